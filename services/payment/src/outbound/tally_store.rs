//! All SQL about risk tallies. Each function is one statement, whatever the number of rows.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_payment_domain::{Slice, Tally};
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Json, Pool, Row, Transaction};

use crate::Error;
use crate::app::SubjectKey;

/// A tally as it is, or shall be, in its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// The tally.
    pub(crate) tally: Tally,
    /// The row's revision; 0 when there is no row yet.
    pub(crate) revision: i64,
    /// Whether it changed since it was read.
    pub(crate) moved: bool,
}

/// How a tally is written: each rule's slices as instants in microseconds and a count.
type Counts = BTreeMap<String, Vec<(i64, i64, u32)>>;

/// Expiry is rounded up in steps of this: while it stays the same, no index has to be written. Each
/// subject has steps of its own, so that tallies do not go all at once.
const EXPIRY_STEP: Duration = Duration::from_secs(300);

/// Rows dropped in one statement, so that no lock is held for long.
pub(crate) const DROP_ROWS_MAX: i64 = 5_000;

// In the order of subjects, so that two batches that meet wait for each other only one way round.
const LOAD: &str = "select subject, revision, counts from risk_tally
    where subject = any($1) order by subject for update";

// A row that was not there when it was to be locked may be there by now: it is not overwritten.
const STORE: &str = "insert into risk_tally as kept (subject, revision, expires_at, counts)
    select * from unnest($1::bytea[], $2::bigint[], $3::timestamptz[], $4::jsonb[])
    on conflict (subject) do update
        set revision = excluded.revision, expires_at = excluded.expires_at, counts = excluded.counts
        where kept.revision = excluded.revision - 1";

const DROP: &str = "delete from risk_tally where subject in (
    select subject from risk_tally where expires_at < $1
    order by expires_at limit $2 for update skip locked)";

/// Reads and locks the tallies of `subjects`; one that is missing has nothing on record.
pub(crate) async fn load(
    tx: &Transaction<'_>,
    subjects: &[SubjectKey],
) -> Result<BTreeMap<SubjectKey, Kept>, Error> {
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let subjects: Vec<&[u8]> = subjects.iter().map(SubjectKey::as_bytes).collect();
    let rows = tx.query(LOAD, &[&subjects]).await?;
    rows.iter().map(decode).collect()
}

/// Writes tallies.
///
/// # Errors
/// [`Error::Raced`] when another transaction wrote one of them for the first time since it was missed.
pub(crate) async fn store(
    tx: &Transaction<'_>,
    tallies: &[(SubjectKey, Kept)],
) -> Result<(), Error> {
    if tallies.is_empty() {
        return Ok(());
    }
    let subjects: Vec<&[u8]> = tallies.iter().map(|(key, _)| key.as_bytes()).collect();
    let revisions: Vec<i64> = tallies.iter().map(|(_, it)| it.revision + 1).collect();
    let expiries: Vec<Instant> = tallies
        .iter()
        .map(|(key, it)| expiry(*key, &it.tally))
        .collect();
    let counts: Vec<Json<Counts>> = tallies.iter().map(|(_, it)| encode(&it.tally)).collect();
    let written = tx
        .execute(STORE, &[&subjects, &revisions, &expiries, &counts])
        .await?;
    if usize::try_from(written).is_ok_and(|written| written == tallies.len()) {
        Ok(())
    } else {
        Err(Error::Raced)
    }
}

/// Drops tallies that expired before `now`, a bounded number; says how many.
pub(crate) async fn drop_expired(pool: &Pool, now: Timestamp) -> Result<u64, Error> {
    let connection = pool.get().await?;
    let dropped = connection
        .execute(DROP, &[&Instant(now), &DROP_ROWS_MAX])
        .await?;
    Ok(dropped)
}

fn encode(tally: &Tally) -> Json<Counts> {
    let brief = |it: &Slice| (it.from.as_micros(), it.until.as_micros(), it.count);
    let counts = tally
        .counts()
        .iter()
        .map(|(rule, slices)| (rule.clone(), slices.iter().map(brief).collect()));
    Json(counts.collect())
}

fn decode(row: &Row) -> Result<(SubjectKey, Kept), Error> {
    let subject: Vec<u8> = row.try_get(0).map_err(postgres::Error::from)?;
    let subject = subject
        .try_into()
        .map_err(|_| Error::BrokenRow("subject of a risk tally".to_owned()))?;
    let Json(counts): Json<Counts> = row.try_get(2).map_err(postgres::Error::from)?;
    let slice = |(from, until, count): (i64, i64, u32)| Slice {
        from: Timestamp::from_micros(from),
        until: Timestamp::from_micros(until),
        count,
    };
    let counts = counts
        .into_iter()
        .map(|(rule, slices)| (rule, slices.into_iter().map(slice).collect()));
    let kept = Kept {
        tally: Tally::new(counts.collect()),
        revision: row.try_get(1).map_err(postgres::Error::from)?,
        moved: false,
    };
    Ok((SubjectKey::new(subject), kept))
}

fn expiry(subject: SubjectKey, tally: &Tally) -> Instant {
    let step = i64::try_from(EXPIRY_STEP.as_micros()).unwrap_or(i64::MAX);
    let byte = subject.as_bytes().first().copied().unwrap_or_default();
    let phase = step / 256 * i64::from(byte);
    let until = tally.until().unwrap_or(Timestamp::EPOCH).as_micros();
    let into_step = until.saturating_sub(phase).rem_euclid(step);
    Instant(Timestamp::from_micros(
        until.saturating_add(step - into_step),
    ))
}

#[cfg(test)]
mod tests {
    use brewline_payment_domain::{Rules, Seen, Subject};

    use super::*;

    #[test]
    fn a_row_stays_until_nothing_in_it_counts_and_moves_seldom() {
        let rules: Rules = "few=card asked 5/60".parse().unwrap();
        for byte in [0, 1, 128, 255] {
            let subject = SubjectKey::new([byte; 16]);
            let mut expiries = Vec::new();
            for second in 0..600 {
                let mut tally = Tally::default();
                let now = Timestamp::from_millis(second * 1_000);
                tally.fold(&rules, Subject::Card, Seen::Asked, now);
                let Instant(at) = expiry(subject, &tally);
                let late = at.since(tally.until().unwrap());
                assert!(
                    Some(at) > tally.until() && late <= EXPIRY_STEP,
                    "{byte} {second}"
                );
                expiries.push(at);
            }
            expiries.dedup();
            assert!(expiries.len() <= 4, "{byte}: {expiries:?}");
        }
    }
}
