//! PostgreSQL: a bounded pool, transactions, errors sorted by what to do about them, migrations and
//! wake-ups. The only crate that names `tokio-postgres` and `deadpool`.
//!
//! * [`Config`], [`Pool`], [`Connection`]: statements are `&'static str`, so that no SQL is ever built
//!   from input; each is prepared once per connection and kept.
//! * [`Transaction`]: several statements polled together (`futures_util::try_join!`) travel in one
//!   round trip. Dropped without [`Transaction::commit`], it rolls back before anything else that is
//!   sent on its connection.
//! * [`Pace`]: how far apart the batches of one loop begin.
//! * [`Error`]: whether to try again now, to wait for the database, or to map a constraint by name.
//! * [`migrate()`]: the schema, brought up to date by whichever replica comes first.
//! * [`Listener`]: `LISTEN` that reconnects by itself. A hint, never the truth: poll as well.

mod announcer;
mod config;
mod error;
mod instant;
mod listener;
mod migrate;
mod pace;
mod pool;
mod tls;
mod transaction;

pub use announcer::Ear;
pub use config::Config;
pub use error::Error;
pub use instant::Instant;
pub use listener::{Listener, Wake};
pub use migrate::{Migration, migrate};
pub use pace::Pace;
pub use pool::{Connection, Pool, Usage};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, Json, ToSql};
pub use transaction::Transaction;
