//! What this service does: keep the ledger, and misbehave when told to.

mod clerk;
mod desk;
mod held;
mod keepsakes;
mod world;

pub(crate) use clerk::employ;
pub use desk::Desk;
pub(crate) use desk::{Done, Hold, Replayed, Standings};
pub use keepsakes::Keepsakes;
pub(crate) use keepsakes::keep;
pub use world::World;
