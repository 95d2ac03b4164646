//! Running sagas: what waits, what is due, what is called, what is logged.
//!
//! A saga itself is a pure function ([`Saga::react`]). Around it:
//!
//! * [`log`]: the append-only record of its steps.
//! * [`timing`]: when its row is due next. A timer is a row, never memory: what is scheduled survives
//!   every crash.
//! * [`executor`]: the calls it wants made, batched by arrival. A state machine without I/O. Its queue
//!   lives in memory and may be lost or full at any time, because each call is also a due row.
//! * [`driver`]: the loops around them that do what they are told.
//! * `testing` (feature of the same name): three proofs that every saga must pass.

pub mod driver;
pub mod executor;
pub mod log;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timing;

pub use brewline_kernel::{Reaction, Saga};
