//! What calls us: gRPC, the orders' events, and our own for the walls. Input becomes domain types here, or is refused here.

pub mod grpc;
pub mod order_consumer;
pub mod wall_consumer;
mod wire;
