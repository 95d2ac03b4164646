use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::Error;
use crate::announcer::{Announcer, Hint};
use crate::pool::Health;

/// A transaction. Statements polled together are pipelined: the server runs them in the order in
/// which they were first polled, and their answers come back in one round trip.
///
/// Dropped, it rolls back: the rollback is queued on the connection at once, so the next borrower
/// cannot find it open.
pub struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    health: &'a Health,
    announcer: &'a Arc<Announcer>,
    hints: Mutex<Vec<Hint>>,
}

// === impl Transaction ===

impl<'a> Transaction<'a> {
    pub(crate) const fn new(
        inner: deadpool_postgres::Transaction<'a>,
        health: &'a Health,
        announcer: &'a Arc<Announcer>,
    ) -> Self {
        Self {
            inner,
            health,
            announcer,
            hints: Mutex::new(Vec::new()),
        }
    }

    /// Notifies a channel once the commit is known, over another connection. A hint, which may be
    /// lost: it costs the commit nothing, whereas `NOTIFY` inside a transaction lets only one such
    /// transaction of the whole server commit at a time.
    pub fn notify_after_commit(&self, channel: &'static str, payload: impl Into<String>) {
        let hint = (channel, payload.into());
        self.hints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(hint);
    }

    /// All rows.
    ///
    /// # Errors
    /// When the statement fails or the database does not answer.
    pub async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let run = async {
            self.inner
                .query(&self.inner.prepare_cached(sql).await?, params)
                .await
        };
        self.health.watch(run).await
    }

    /// The one row there must be.
    ///
    /// # Errors
    /// When the statement fails, the database does not answer, or there is not exactly one row.
    pub async fn query_one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        let run = async {
            self.inner
                .query_one(&self.inner.prepare_cached(sql).await?, params)
                .await
        };
        self.health.watch(run).await
    }

    /// The row there may be.
    ///
    /// # Errors
    /// When the statement fails, the database does not answer, or there are several rows.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let run = async {
            self.inner
                .query_opt(&self.inner.prepare_cached(sql).await?, params)
                .await
        };
        self.health.watch(run).await
    }

    /// Runs a statement and says how many rows it touched.
    ///
    /// # Errors
    /// When the statement fails or the database does not answer.
    pub async fn execute(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let run = async {
            self.inner
                .execute(&self.inner.prepare_cached(sql).await?, params)
                .await
        };
        self.health.watch(run).await
    }

    /// Runs several statements without parameters. Never give it text that came from outside.
    ///
    /// # Errors
    /// When a statement fails or the database does not answer.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.health.watch(self.inner.batch_execute(sql)).await
    }

    /// Commits. When this fails because the connection broke, the outcome is unknown: look it up by
    /// a key, never assume.
    ///
    /// # Errors
    /// When a deferred constraint fails or the database does not answer.
    pub async fn commit(self) -> Result<(), Error> {
        let Self {
            inner,
            health,
            announcer,
            hints,
        } = self;
        health.watch(inner.commit()).await?;
        announcer.announce(hints.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Rolls back and waits for the answer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rollback(self) -> Result<(), Error> {
        self.health.watch(self.inner.rollback()).await
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
