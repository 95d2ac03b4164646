use std::fmt::Write as _;

use brewline_postgres::{Config, Connection, Migration, Pool, migrate};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::postgres_url;

/// The pool of a test: small, since many tests run at once.
const POOL_SIZE: usize = 4;

/// One test at a time makes a template; `brew` in ASCII.
const LOCK: i64 = 0x6272_6577;

/// A database of its own for one test, dropped with this value. It is a copy of a template that has
/// all migrations applied, which the first test to need it makes.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    config: Config,
    pool: Pool,
    url: String,
}

// === impl TestDatabase ===

impl TestDatabase {
    /// Makes a database with these migrations applied.
    ///
    /// # Panics
    /// When there is no server, or a migration fails.
    pub async fn create(migrations: &[Migration]) -> Self {
        let maintenance = maintenance();
        let connection = maintenance.get().await.expect("connect to the test server");
        let template = template(&connection, migrations).await;
        let name = format!("brewline_test_{}", Uuid::new_v4().simple());
        // Copying files instead of logging every page is faster for databases this small.
        let sql = format!("create database {name} template {template} strategy file_copy");
        connection
            .batch_execute(&sql)
            .await
            .expect("copy the template database");
        let url = url_of(&name);
        let config = Config::from_url(&url, POOL_SIZE).expect("the test server's URL is valid");
        let pool = Pool::new(&config);
        Self {
            name,
            config,
            pool,
            url,
        }
    }

    /// A pool of this database.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How to reach this database, for listeners and pools of another size.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Where this database is, for processes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.pool.close();
        let sql = format!("drop database if exists {} with (force)", self.name);
        // `drop` cannot await, and the test's own runtime may be single-threaded and blocked here.
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("build a runtime").block_on(async {
                let connection = maintenance().get().await?;
                connection.batch_execute(&sql).await
            })
        });
        if !matches!(dropper.join(), Ok(Ok(()))) {
            tracing::warn!(
                database = self.name,
                "the test's database could not be dropped"
            );
        }
    }
}

/// A pool of the maintenance database.
fn maintenance() -> Pool {
    let config = Config::from_url(&postgres_url(), 1).expect("the test server's URL is valid");
    Pool::new(&config)
}

/// The name of the template with these migrations; made when it is missing.
async fn template(connection: &Connection, migrations: &[Migration]) -> String {
    let name = format!("brewline_template_{}", fingerprint(migrations));
    let exists = async || {
        connection
            .query_one(
                "select exists (select from pg_database where datname = $1)",
                &[&name],
            )
            .await
            .expect("look for the template")
            .get::<_, bool>(0)
    };
    if exists().await {
        return name;
    }
    // Other tests may wait long for whoever makes it.
    connection
        .batch_execute("set lock_timeout = '120s'")
        .await
        .expect("set a limit");
    connection
        .query("select pg_advisory_lock($1)", &[&LOCK])
        .await
        .expect("wait for the template");
    if !exists().await {
        build(connection, &name, migrations).await;
    }
    connection
        .query("select pg_advisory_unlock($1)", &[&LOCK])
        .await
        .expect("let others on");
    name
}

/// Builds under another name first, so that a half-made template is never found.
async fn build(connection: &Connection, name: &str, migrations: &[Migration]) {
    let draft = format!("{name}_draft");
    let run = async |sql: String| {
        connection
            .batch_execute(&sql)
            .await
            .expect("make the template database");
    };
    run(format!("drop database if exists {draft} with (force)")).await;
    run(format!("create database {draft}")).await;
    let config = Config::from_url(&url_of(&draft), 1).expect("the test server's URL is valid");
    let pool = Pool::new(&config);
    migrate(&pool, migrations)
        .await
        .expect("apply the migrations");
    pool.close();
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
    connection
        .query(end, &[&draft])
        .await
        .expect("end the template's sessions");
    run(format!("alter database {draft} rename to {name}")).await;
}

/// The first 16 hexadecimal digits of a hash over all migrations.
fn fingerprint(migrations: &[Migration]) -> String {
    let mut hash = Sha256::new();
    for migration in migrations {
        hash.update(migration.version.to_be_bytes());
        hash.update(migration.name);
        hash.update(migration.sql);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// The maintenance URL with another database name.
fn url_of(database: &str) -> String {
    let url = postgres_url();
    let (base, query) = url
        .split_once('?')
        .map_or((url.as_str(), None), |(b, q)| (b, Some(q)));
    let (server, _) = base
        .rsplit_once('/')
        .expect("the URL names a maintenance database");
    match query {
        Some(query) => format!("{server}/{database}?{query}"),
        None => format!("{server}/{database}"),
    }
}
