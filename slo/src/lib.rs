//! The SLO pack: from one file, `slo.yaml`, to everything that watches a running platform.
//!
//! ```text
//! slo.yaml ──► Pack ──► rules (recording, burn rate, causes) ──► charts/brewline/rules/
//!                  ├──► tests for promtool, each alert firing and not ──► slo/promtool/
//!                  └──► runbook pages ──► docs/runbooks/
//! dashboard::all() ──► charts/brewline/dashboards/
//! ```
//!
//! Nothing here does I/O: files are made as text, a test compares them with the committed ones, and
//! `BREWLINE_REGENERATE=1 cargo test -p brewline-slo` writes them. The [`Pack`] is scaled by its `timeScale`: with 60, an hour
//! of the objectives is a minute of the clock, so that a test can see an alert fire.

pub mod dashboard;
pub mod expression;
pub mod files;
mod pack;
mod promtool;
pub mod registry;
mod rules;
mod runbook;
mod span;
mod yaml;

pub use files::File;
pub use pack::{Burn, Case, Cause, Indicator, InvalidPack, Objective, Pack, Severity};
pub use rules::{Group, Rule, groups};
pub use span::Span;
pub use yaml::rule_file;

/// The pack as it was committed.
pub const SLO_YAML: &str = include_str!("../slo.yaml");
