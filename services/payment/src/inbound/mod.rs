//! The world calls us: `order`, by gRPC.

mod grpc;
mod wire;

pub use grpc::Payments;
