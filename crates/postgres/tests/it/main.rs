//! Against a real PostgreSQL.

mod listener;
mod migrate;
mod pool;
