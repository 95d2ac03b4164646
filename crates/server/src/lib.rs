//! What every service's `main` is made of: boot, health, admin port, gRPC in and out, drain.
//!
//! A service's `main.rs` is one call of [`main`]; its `run` builds what it needs, hands long-lived
//! work to [`Context::spawn`] and returns. The process then lives until SIGTERM or SIGINT, or until a
//! piece of that work fails: a half-working service is worse than one that is started again.

mod admin;
mod boot;
mod calls;
pub mod client;
mod context;
#[cfg(feature = "events")]
pub mod database;
#[cfg(feature = "events")]
pub mod events;
pub mod grpc;
mod health;
pub mod http;
mod resolver;
pub mod status;

pub use boot::main;
pub use context::Context;
pub use health::{Gate, Health, Heartbeat};

// Every request and every batch makes and drops many small values; glibc's allocator spent a
// twentieth of all processor time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
