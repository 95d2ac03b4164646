//! Logs and metrics: how a service is seen from outside.
//!
//! The only crate that names the libraries behind them. Logs are JSON lines on standard output with
//! `service` and `instance` on each; metrics are served as Prometheus text. Names of metrics begin
//! with `brewline_` and end with their unit; labels never hold ids or personal data.

mod logs;
pub mod metrics;

pub use logs::{Guard, InvalidFilter, init};
