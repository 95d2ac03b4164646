//! The world calls us: what comes in is parsed into domain types and refused early.

pub mod catalogue_consumer;
pub mod customer_grpc;
pub mod grpc;
pub mod readiness;
pub mod saga_operator;
pub mod stock_consumer;
pub mod tickets_consumer;
pub mod view_operator;
