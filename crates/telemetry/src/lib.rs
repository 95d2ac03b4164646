//! Logs, metrics and traces: how a service is seen from outside.
//!
//! The only crate that names the libraries behind them. Logs are JSON lines on standard output with
//! `service`, `instance` and, inside a call, `trace_id` on each; metrics are served as Prometheus text;
//! spans go to a collector by OTLP. Every name is in `telemetry/registry`, and a test compares. Labels
//! never hold ids; nothing here ever holds personal data.

mod logs;
pub mod metrics;
pub mod otlp;
mod process;
pub mod trace;

pub use logs::{Guard, InvalidFilter, init};
