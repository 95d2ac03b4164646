//! Roles and databases in PostgreSQL: made by `up` on its own server, by `provision` on any.

use anyhow::Context as _;
use brewline_postgres::{Config, Connection, Pool};

use super::postgres::{DATABASES, VERIFY_ROLE, database};
use super::secrets::Secrets;

/// `brewprov` in ASCII: of several that provision one server at once, one works and the others wait.
const LOCK: &str = "select pg_advisory_lock(7093292214041505654)";

/// Makes roles and databases as a super user (or one that may make both), and sets who may connect
/// where. Can be repeated. A role without a password among the secrets is somebody else's and left alone.
///
/// # Errors
/// When the server refuses or does not answer.
pub async fn provision(super_url: &str, secrets: &Secrets) -> anyhow::Result<()> {
    let config = Config::from_url(super_url, 1).context("read the address of PostgreSQL")?;
    let pool = Pool::new(&config);
    let server = pool.get().await.context("reach PostgreSQL")?;
    let made = make(&server, secrets).await;
    // The lock ends with the session.
    pool.close();
    made.context("make PostgreSQL's roles and databases")
}

async fn make(server: &Connection, secrets: &Secrets) -> anyhow::Result<()> {
    server.batch_execute(LOCK).await?;
    let has_reader = !secrets.postgres(VERIFY_ROLE).is_empty();
    if has_reader {
        role(server, VERIFY_ROLE, secrets).await?;
        server
            .batch_execute(&format!(
                "grant pg_read_all_data to {VERIFY_ROLE};
                 alter role {VERIFY_ROLE} reset default_transaction_read_only"
            ))
            .await?;
    }
    for service in DATABASES {
        let name = database(service);
        if secrets.postgres(&name).is_empty() {
            continue;
        }
        role(server, &name, secrets).await?;
        own_database(server, &name).await?;
        if has_reader {
            let sql = format!("grant connect on database {name} to {VERIFY_ROLE}");
            server.batch_execute(&sql).await?;
        }
    }
    Ok(())
}

async fn role(server: &Connection, name: &str, secrets: &Secrets) -> anyhow::Result<()> {
    let there = "select exists (select from pg_roles where rolname = $1)";
    if !server
        .query_one(there, &[&name])
        .await?
        .try_get::<_, bool>(0)?
    {
        server.batch_execute(&format!("create role {name}")).await?;
    }
    let password = secrets.postgres(name).replace('\'', "''");
    let sql = format!("alter role {name} login password '{password}'");
    server.batch_execute(&sql).await?;
    Ok(())
}

async fn own_database(server: &Connection, name: &str) -> anyhow::Result<()> {
    let there = "select exists (select from pg_database where datname = $1),
                        (select rolsuper from pg_roles where rolname = current_user)";
    let row = server.query_one(there, &[&name]).await?;
    let (is_there, is_super) = (row.try_get::<_, bool>(0)?, row.try_get::<_, bool>(1)?);
    if !is_there {
        // Who is no super user may give a database only to a role it belongs to.
        if !is_super {
            let sql = format!("grant {name} to current_user");
            server.batch_execute(&sql).await?;
        }
        let sql = format!("create database {name} owner {name}");
        server.batch_execute(&sql).await?;
    }
    let sql = format!("revoke all on database {name} from public");
    server.batch_execute(&sql).await?;
    Ok(())
}
