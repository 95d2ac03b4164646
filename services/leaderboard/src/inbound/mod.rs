//! What calls us: the log's records, gRPC, people on call.

pub mod grpc;
pub mod operator;
mod parse;
pub mod records;
mod show;
pub mod views;
mod watch;
