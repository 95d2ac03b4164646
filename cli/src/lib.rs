//! The command `brewline`: the local stack, orders from the shell, and the operator's view.
//!
//! `stack` starts and keeps processes; each file in `verbs` is one verb of the command line.

pub mod bench;
pub mod decode;
pub mod exit;
pub mod shop;
pub mod sources;
pub mod stack;
pub mod terminal;
pub mod verbs;
