//! The service `order`: event-sourced orders, customers, the checkout saga.
//!
//! * [`app`]: one use case a file: load, decide, store and publish, in one transaction.
//! * [`inbound`]: gRPC and the consumers parse what comes in and call a use case.
//! * [`outbound`]: the database and payment.
//!
//! The rules themselves are in the package `brewline-order-domain`, which can do no I/O.

pub mod app;
pub mod config;
pub mod inbound;
mod migrations;
pub mod outbound;
mod parts;
mod run;
pub mod signals;

pub use migrations::MIGRATIONS;
pub use parts::Parts;
pub use run::run;
