//! What calls us: the orders' and the customers' events, and gRPC.

pub mod customer_consumer;
pub mod grpc;
pub mod order_consumer;
pub mod view_operator;
