use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{Error, Pool, Transaction};

/// One step of a schema. Once released it is never edited: add another.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub version: i32,
    /// What it is called, for people.
    pub name: &'static str,
    /// What it does; it runs inside a transaction.
    pub sql: &'static str,
}

/// Replicas start together, and the losers wait here for the winner's whole migration.
const LIMITS: &str = "set local lock_timeout = '120s'; set local statement_timeout = '600s'";

/// The key of the advisory lock: `brewline` in ASCII. Locks are per database, so one key serves all.
const LOCK: &str = "select pg_advisory_xact_lock(7093292213571972709)";

/// Asked first: whoever may create nothing can still start on a schema that is up to date.
const HAS_TABLE: &str = "select to_regclass('schema_migration') is not null";

const TABLE: &str = "create table schema_migration (
    version    integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now()
)";

const APPLIED: &str = "select version, checksum from schema_migration";

const RECORD: &str = "insert into schema_migration (version, name, checksum) values ($1, $2, $3)";

/// Brings the schema up to date, in one transaction: all of what is missing, or nothing. Of replicas
/// that start together one does the work, the others wait for it and find it done. A schema that is
/// newer than this program is left alone, so that an older replica can live beside a newer one.
///
/// # Errors
/// When an applied migration was changed, one comes too late, or a statement fails.
pub async fn migrate(pool: &Pool, migrations: &[Migration]) -> Result<(), Error> {
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    tx.batch_execute(LIMITS).await?;
    tx.batch_execute(LOCK).await?;
    if !tx.query_one(HAS_TABLE, &[]).await?.try_get::<_, bool>(0)? {
        tx.batch_execute(TABLE).await?;
    }
    let applied = applied(&tx).await?;
    for migration in pending(migrations, &applied)? {
        tracing::info!(
            migration.version = migration.version,
            migration.name = migration.name,
            "applying a migration"
        );
        tx.batch_execute(migration.sql).await?;
        let params: [&(dyn crate::ToSql + Sync); 3] = [
            &migration.version,
            &migration.name,
            &checksum(migration.sql),
        ];
        tx.execute(RECORD, &params).await?;
    }
    tx.commit().await
}

async fn applied(tx: &Transaction<'_>) -> Result<BTreeMap<i32, String>, Error> {
    let rows = tx.query(APPLIED, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// What is still to do, in order.
fn pending<'a>(
    migrations: &'a [Migration],
    applied: &BTreeMap<i32, String>,
) -> Result<Vec<&'a Migration>, Error> {
    let newest = applied.keys().next_back().copied().unwrap_or(0);
    let mut pending = Vec::new();
    for migration in migrations {
        let Migration { version, name, sql } = *migration;
        match applied.get(&version) {
            Some(known) if *known == checksum(sql) => {}
            Some(_) => return Err(Error::MigrationChanged { version, name }),
            None if version <= newest => {
                let at = newest;
                return Err(Error::MigrationSkipped { version, name, at });
            }
            None => pending.push(migration),
        }
    }
    pending.sort_by_key(|migration| migration.version);
    Ok(pending)
}

/// SHA-256 in hexadecimal.
fn checksum(sql: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(sql) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration {
        version: 1,
        name: "one",
        sql: "select 1",
    };
    const TWO: Migration = Migration {
        version: 2,
        name: "two",
        sql: "select 2",
    };

    #[test]
    fn only_what_is_missing_is_done() {
        let applied = BTreeMap::from([(1, checksum(ONE.sql))]);
        let migrations = [TWO, ONE];
        let versions = |applied| -> Vec<_> {
            pending(&migrations, applied)
                .unwrap()
                .iter()
                .map(|m| m.version)
                .collect()
        };
        assert_eq!(versions(&applied), [2]);
        assert_eq!(versions(&BTreeMap::new()), [1, 2]);
    }

    #[test]
    fn a_migration_older_than_the_schema_is_refused() {
        let applied = BTreeMap::from([(2, checksum(TWO.sql))]);
        let refused = pending(&[ONE, TWO], &applied).unwrap_err();
        assert!(matches!(
            refused,
            Error::MigrationSkipped {
                version: 1,
                at: 2,
                ..
            }
        ));
    }
}
