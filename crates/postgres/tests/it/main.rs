//! Against a real PostgreSQL.

#[cfg(test)]
mod listener;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod tls;
