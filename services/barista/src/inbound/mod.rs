//! What calls us: gRPC, and the orders' events. Input becomes domain types here, or is refused here.

pub mod grpc;
pub mod order_consumer;
mod wire;
