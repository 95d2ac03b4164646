//! The verbs: one file each, with its `Arguments` and its `run`.

pub mod bench;
pub mod demo;
pub mod dlq;
pub mod down;
pub mod events;
mod given;
pub mod kafka;
pub mod kill;
pub mod logs;
mod operator;
pub mod order;
pub mod provision;
pub mod provisioned;
pub mod psql;
pub mod restart;
pub mod saga;
pub mod scale;
pub mod servers;
pub mod sim;
pub mod status;
pub mod supervise;
pub mod test;
pub mod toolbox;
pub mod up;
pub mod verify;
pub mod view;
pub mod why;

pub use crate::exit::Unknown;
