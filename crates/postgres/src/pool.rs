use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, PoolError, RecyclingMethod};
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::announcer::{Announcer, Ear};
use crate::{Config, Error, Pace, Transaction};

/// A bounded set of connections to one database. Cloning shares it.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    // Beside the pool's own connections, so that a hint never waits for work to end.
    announcer: Arc<Announcer>,
    acquire_timeout: Duration,
    answer_timeout: Duration,
    batch_interval: Duration,
    name: Arc<str>,
}

/// How a pool is used at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Open connections that nobody has.
    pub idle: usize,
    /// Lent connections.
    pub used: usize,
    /// Connections there may be.
    pub max: usize,
    /// Who waits for one.
    pub waiting: usize,
}

/// One connection, lent by the pool; it goes back when dropped, unless it turned out broken.
pub struct Connection {
    // Present until dropped; an option only so that `drop` can take it out of the pool.
    lent: Option<Object>,
    health: Health,
    announcer: Arc<Announcer>,
}

/// What was noticed about a connection while it was used.
pub(crate) struct Health {
    broken: AtomicBool,
    answer_timeout: Duration,
}

// === impl Pool ===

impl Pool {
    /// A pool that opens connections when they are asked for: nothing is contacted yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            inner: native(config, config.pool_size),
            announcer: Arc::new(Announcer::new(native(config, 1))),
            acquire_timeout: config.acquire_timeout,
            answer_timeout: config.answer_timeout,
            batch_interval: config.batch_interval,
            name: config.session.get_dbname().unwrap_or_default().into(),
        }
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is used at this moment.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let status = self.inner.status();
        Usage {
            idle: status.available,
            used: status.size.saturating_sub(status.available),
            max: status.max_size,
            waiting: status.waiting,
        }
    }

    /// The pace for one loop that makes batches of transactions.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        Pace::new(self.batch_interval)
    }

    /// Lends a connection, waiting a bounded time for a free one.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when none was free in time, [`Error::Connect`] when none could be opened.
    pub async fn get(&self) -> Result<Connection, Error> {
        let lent = self.inner.get().await.map_err(|error| match error {
            PoolError::Backend(error) => Error::Connect(error),
            PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Error::Exhausted(self.acquire_timeout),
        })?;
        Ok(Connection {
            lent: Some(lent),
            announcer: Arc::clone(&self.announcer),
            health: Health {
                broken: AtomicBool::new(false),
                answer_timeout: self.answer_timeout,
            },
        })
    }

    /// Has this process's own hints of `payload` on `channel` wake `wake` at their commit, instead of
    /// notifying: for the one who is listening anyway. Other processes' hints come by
    /// [`crate::Listener`] as before.
    #[must_use]
    pub fn hear(&self, channel: &'static str, payload: String, wake: Arc<Notify>) -> Ear {
        self.announcer.hear((channel, payload), wake)
    }

    /// Whether the database takes writes, for readiness: `select 1` is green on a standby too.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when it does not; any other when it cannot be asked.
    pub async fn check_writable(&self) -> Result<(), Error> {
        let connection = self.get().await?;
        let row = connection
            .query_one(
                "select current_setting('transaction_read_only') = 'on'",
                &[],
            )
            .await?;
        if row.try_get::<_, bool>(0)? {
            return connection.health.note(Err(Error::ReadOnly));
        }
        Ok(())
    }

    /// Closes all connections; those lent are closed when they come back.
    pub fn close(&self) {
        self.inner.close();
        self.announcer.close();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.inner.status();
        f.debug_struct("Pool")
            .field("open", &status.size)
            .field("free", &status.available)
            .field("max", &status.max_size)
            .finish_non_exhaustive()
    }
}

/// A pool of the driver's own, opening connections when they are asked for.
fn native(config: &Config, size: usize) -> deadpool_postgres::Pool {
    // `Fast` looks only whether the socket is closed: a round trip per loan would double the cost of
    // small transactions. Whoever meets a broken connection evicts it (see `Health`).
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config.session.clone(), config.tls.clone(), recycling);
    deadpool_postgres::Pool::builder(manager)
        .max_size(size)
        .wait_timeout(Some(config.acquire_timeout))
        .create_timeout(Some(config.acquire_timeout))
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .build()
        .expect("a pool with a runtime may have timeouts")
}

// === impl Connection ===

impl Connection {
    /// All rows.
    ///
    /// # Errors
    /// When the statement fails or the database does not answer.
    pub async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let client = self.client();
        let run = async {
            client
                .query(&client.prepare_cached(sql).await?, params)
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
        let client = self.client();
        let run = async {
            client
                .query_one(&client.prepare_cached(sql).await?, params)
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
        let client = self.client();
        let run = async {
            client
                .query_opt(&client.prepare_cached(sql).await?, params)
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
        let client = self.client();
        let run = async {
            client
                .execute(&client.prepare_cached(sql).await?, params)
                .await
        };
        self.health.watch(run).await
    }

    /// Runs several statements without parameters, such as a schema. Never give it text that came
    /// from outside.
    ///
    /// # Errors
    /// When a statement fails or the database does not answer.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.health.watch(self.client().batch_execute(sql)).await
    }

    /// Begins a transaction (read committed). Dropping this future or the transaction rolls back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let Self {
            lent,
            health,
            announcer,
        } = self;
        let client = present(lent.as_mut());
        let begun = health.watch(client.transaction()).await?;
        Ok(Transaction::new(begun, health, announcer))
    }

    fn client(&self) -> &Object {
        present(self.lent.as_ref())
    }
}

fn present<T>(lent: Option<T>) -> T {
    lent.expect("a connection is present until it is dropped")
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.health.broken.load(Ordering::Relaxed) {
            return;
        }
        // Taken out of the pool, the client closes its socket, and with it the server's session.
        if let Some(broken) = self.lent.take() {
            drop(Object::take(broken));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

// === impl Health ===

impl Health {
    /// Waits for an answer, within bounds, and remembers an error after which the connection must
    /// not be used again.
    pub(crate) async fn watch<T>(
        &self,
        run: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.answer_timeout, run).await;
        self.note(match answer {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => Err(Error::Unanswered(self.answer_timeout)),
        })
    }

    fn note<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if answer.as_ref().is_err_and(Error::is_breaking) {
            self.broken.store(true, Ordering::Relaxed);
        }
        answer
    }
}
