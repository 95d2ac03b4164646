//! The rules of ordering: no clock, no I/O, no randomness; the manifest is the proof.
//!
//! ```text
//! pending ──► confirmed ──► preparing ──► ready ──► collected
//!    │  │         │  ▲
//!    │  │         ▼  │ refused
//!    │  │      cancelling ──► cancelled
//!    │  └──────────────────────▲
//!    └──► rejected
//! ```
//!
//! [`order`] is the aggregate, [`pricing`] turns what is asked for into priced lines, [`checkout`] is the
//! saga that takes an order from placed to sold, or back.

pub mod checkout;
pub mod order;
pub mod pricing;
