//! How the world calls us: the card processor's API, and the switches of its misbehaviour.

mod behaviour;
mod body;
mod door;
mod find;
mod hook;
mod kept;
mod money;
mod problem;
mod serve;
pub(crate) mod smtp;
mod views;

pub use door::Door;
pub use serve::router;
pub(crate) use serve::serve;
