//! Snapshots in the service's own database: all SQL about them.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::TopicPartition;
use brewline_postgres as postgres;
use brewline_postgres::{Pool, Transaction};
use sha2::{Digest as _, Sha256};

/// The meaning of the bytes. Another one is not read: the log is.
const FORMAT: i32 = 1;
/// A part of a snapshot: a second's work for no statement, and few statements.
const PART_BYTES: usize = 512 * 1024;
/// A writer that is silent for so long has lost its lease.
const LEASE: Duration = Duration::from_secs(15);

const TAKE_LEASE: &str = "
    insert into snapshot_lease as l (id, holder, epoch, expires_at)
    values (1, $1, 1, clock_timestamp() + $2::bigint * interval '1 millisecond')
    on conflict (id) do update
    set holder = excluded.holder, expires_at = excluded.expires_at,
        epoch = l.epoch + (case when l.holder = excluded.holder then 0 else 1 end)
    where l.holder = excluded.holder or l.expires_at < clock_timestamp()
    returning epoch";

const RENEW: &str = "
    update snapshot_lease set expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
    where id = 1 and holder = $1 and epoch = $2";

const BEGIN: &str = "
    insert into snapshot (format, epoch, bytes, checksum) values ($1, $2, $3, $4) returning id";

// What a writer left half-written. Its epoch is older, or it was this very process, which writes one at a
// time.
const CLEAR: &str = "delete from snapshot where not complete and epoch <= $1";

const PART: &str = "insert into snapshot_part (snapshot_id, number, body) values ($1, $2, $3)";

const POSITIONS: &str = "
    insert into snapshot_position (snapshot_id, topic, topic_id, partition, next_offset)
    select $1, p.topic, p.topic_id, p.partition, p.next_offset
    from unnest($2::text[], $3::text[], $4::integer[], $5::bigint[]) as p(topic, topic_id, partition, next_offset)";

const COMPLETE: &str =
    "update snapshot set complete = true, taken_at = clock_timestamp() where id = $1";

const FORGET: &str = "delete from snapshot where complete and id < $1";

const NEWEST: &str = "
    select id, checksum, bytes from snapshot where complete and format = $1 order by id desc limit 1";

const READ_PART: &str = "select body from snapshot_part where snapshot_id = $1 and number = $2";

const READ_POSITIONS: &str = "
    select topic, topic_id, partition, next_offset from snapshot_position where snapshot_id = $1";

/// What a snapshot holds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The next offset of each partition.
    pub offsets: BTreeMap<TopicPartition, i64>,
    /// The topics' ids.
    pub topic_ids: BTreeMap<String, String>,
}

/// A snapshot as it was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The state.
    pub bytes: Vec<u8>,
    /// What it holds up to.
    pub positions: Positions,
}

/// Who may write, and since when.
#[derive(Clone, Debug)]
pub struct Lease {
    holder: String,
    epoch: i64,
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// Somebody else writes snapshots now.
    #[error("another replica writes snapshots now")]
    LeaseLost,
}

/// The right to write snapshots, if nobody else has it.
///
/// # Errors
/// When the database does not answer.
pub async fn take_lease(pool: &Pool, holder: &str) -> Result<Option<Lease>, postgres::Error> {
    let row = pool
        .get()
        .await?
        .query_opt(TAKE_LEASE, &[&holder, &millis(LEASE)])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let holder = holder.to_owned();
    Ok(Some(Lease {
        holder,
        epoch: row.try_get(0)?,
    }))
}

/// Writes a snapshot. Killed on the way, it leaves the one before as it was.
///
/// # Errors
/// When the database does not answer, or the lease was lost.
pub async fn write(
    pool: &Pool,
    lease: &Lease,
    bytes: &[u8],
    positions: &Positions,
) -> Result<(), Error> {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let checksum = Sha256::digest(bytes).to_vec();
    let connection = pool.get().await?;
    connection.execute(CLEAR, &[&lease.epoch]).await?;
    let row = connection
        .query_one(BEGIN, &[&FORMAT, &lease.epoch, &length, &checksum])
        .await?;
    let id: i64 = row.try_get(0).map_err(postgres::Error::from)?;
    for (number, part) in (0_i32..).zip(bytes.chunks(PART_BYTES)) {
        renew(&connection, lease).await?;
        connection.execute(PART, &[&id, &number, &part]).await?;
        brewline_failpoint::hit("leaderboard.snapshot-half-written");
    }
    drop(connection);
    complete(pool, lease, id, positions).await
}

/// The newest snapshot that can be read; none where a start must begin with the log.
///
/// # Errors
/// When the database does not answer.
pub async fn newest(pool: &Pool) -> Result<Option<Stored>, postgres::Error> {
    let mut connection = pool.get().await?;
    // One look at all of it: a writer may complete the next one meanwhile, and forget this one.
    let tx = connection.transaction().await?;
    tx.batch_execute("set transaction isolation level repeatable read, read only")
        .await?;
    let stored = read(&tx).await?;
    tx.commit().await?;
    Ok(stored)
}

async fn read(tx: &Transaction<'_>) -> Result<Option<Stored>, postgres::Error> {
    let Some(row) = tx.query_opt(NEWEST, &[&FORMAT]).await? else {
        return Ok(None);
    };
    let (id, checksum): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    let length = usize::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length);
    for number in 0_i32.. {
        // Part by part: one answer of all of them could be larger than a message may be.
        match tx.query_opt(READ_PART, &[&id, &number]).await? {
            Some(part) => bytes.extend_from_slice(part.try_get(0)?),
            None => break,
        }
    }
    let positions = read_positions(tx, id).await?;
    if Sha256::digest(&bytes).as_slice() != checksum {
        tracing::warn!(
            snapshot = id,
            "the snapshot is damaged; boards are made from the log"
        );
        return Ok(None);
    }
    Ok(Some(Stored { bytes, positions }))
}

async fn renew(connection: &postgres::Connection, lease: &Lease) -> Result<(), Error> {
    let renewed = connection
        .execute(RENEW, &[&lease.holder, &lease.epoch, &millis(LEASE)])
        .await?;
    if renewed == 0 {
        Err(Error::LeaseLost)
    } else {
        Ok(())
    }
}

/// The switch: the new one counts and the old one is gone, in one commit.
async fn complete(pool: &Pool, lease: &Lease, id: i64, positions: &Positions) -> Result<(), Error> {
    let mut connection = pool.get().await?;
    let tx = connection.transaction().await?;
    let held = tx
        .execute(RENEW, &[&lease.holder, &lease.epoch, &millis(LEASE)])
        .await?;
    if held == 0 {
        tx.rollback().await?;
        return Err(Error::LeaseLost);
    }
    let places: Vec<_> = positions.offsets.iter().collect();
    let topics: Vec<&str> = places
        .iter()
        .map(|(place, _)| place.topic.as_ref())
        .collect();
    let id_of = |topic: &&str| positions.topic_ids.get(*topic).map_or("", String::as_str);
    let topic_ids: Vec<&str> = topics.iter().map(id_of).collect();
    let partitions: Vec<i32> = places.iter().map(|(place, _)| place.partition).collect();
    let offsets: Vec<i64> = places.iter().map(|(_, offset)| **offset).collect();
    tx.execute(
        POSITIONS,
        &[&id, &topics, &topic_ids, &partitions, &offsets],
    )
    .await?;
    tx.execute(COMPLETE, &[&id]).await?;
    tx.execute(FORGET, &[&id]).await?;
    tx.commit().await?;
    Ok(())
}

async fn read_positions(tx: &Transaction<'_>, id: i64) -> Result<Positions, postgres::Error> {
    let mut positions = Positions::default();
    for row in tx.query(READ_POSITIONS, &[&id]).await? {
        let (topic, topic_id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let place = TopicPartition::new(topic.as_str(), row.try_get(2)?);
        positions.offsets.insert(place, row.try_get(3)?);
        positions.topic_ids.insert(topic, topic_id);
    }
    Ok(positions)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
