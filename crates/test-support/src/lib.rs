//! What tests share: a database and topics per test, a clock turned by hand, waiting with a bound.
//! A dev-dependency only.
//!
//! Servers are not started here: `./brewline test` does that and says where they are.

mod clock;
mod database;
mod eventually;
mod golden;
mod servers;
mod topics;

pub use clock::{ManualClock, SequentialIds};
pub use database::TestDatabase;
pub use eventually::{eventually, eventually_within};
pub use golden::{GOLDEN_ORDER, golden_events};
pub use servers::{kafka, postgres_url};
pub use topics::TestTopics;
