//! What this service does: keep the ledger, and misbehave when told to.

mod clerk;
mod desk;
mod held;
mod world;

pub(crate) use clerk::employ;
pub use desk::Desk;
pub(crate) use desk::{Done, Hold, Replayed, Standings};
pub use world::World;
