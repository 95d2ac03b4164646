//! The simulator: the services' own decisions under a seed, over an in-memory log and store.
//!
//! Nothing is stubbed where it decides: the relay's and the consumer's state machines, the plan of a
//! batch, the inbox, the checkout, the order, the reservations, the stock and the payment are the very
//! code that runs in production. What is written anew here is what a pure core has no opinion about:
//! time, transport, transactions, processes, and everything that goes wrong with them.
//!
//! A [`run()`] has a storm, in which things break, and a calm, in which nothing does and everything must
//! come to its end. Then the checkers of `brewline-chaos` judge, the same as on live servers.
//!
//! - [`world`]: the clock and the queue; [`process`]: a replica and what can happen to it.
//! - [`barista`]: the one who is asked before a sold order is cancelled.
//! - [`store`] with its [`tables`], [`broker`], [`processor`]: what outlives processes.
//! - [`relay`], [`consumer`] in its [`group`], [`checkout`] with its [`draft`], [`calls`], [`shelf`],
//!   [`money`], and their [`transactions`]: the shells around the cores.
//! - [`clients`], [`faults`]: who wants something, and what gets in the way.
//! - [`evidence`], [`trace`]: what is left to be judged.
//!
//! One seed is one history, byte for byte: there is no other source of chance, no real time, no thread
//! and no unordered map in here.

pub mod barista;
pub mod broker;
pub mod calls;
pub mod checkout;
pub mod clients;
pub mod consumer;
pub mod draft;
pub mod evidence;
pub mod faults;
pub mod group;
pub mod money;
mod planted;
pub mod process;
pub mod processor;
pub mod random;
pub mod relay;
pub mod shelf;
pub mod store;
pub mod tables;
pub mod trace;
pub mod transactions;
pub mod world;

mod run;

pub use run::{Run, Sum, run, run_many};
