//! Erase a customer's personal data: from the record, the outbox, and the answers kept for repeats, in
//! one transaction with the event that tells everybody else to. Open orders go on.

use std::time::Duration;

use brewline_kernel::{Backoff, CustomerId, TraceParent};
use brewline_postgres::Transaction;
use prost::Message as _;

use super::{Error, changed, on_wire};
use crate::Parts;
use crate::outbound::customer_store::{self, Customer};
use crate::outbound::{erasure_store, idempotency_store};

/// How long to wait before the list of erasures is tried again: it is short, and the database may be away.
const AGAIN: Backoff = match Backoff::new(Duration::from_millis(200), Duration::from_secs(10)) {
    Ok(backoff) => backoff,
    Err(_) => panic!("the longest is longer than the first"),
};

/// Erases a customer, or finds that it is erased. Answers the version that says so.
///
/// # Errors
/// When there never was one, or the database fails.
pub async fn erase(
    parts: &Parts,
    customer_id: &CustomerId,
    traceparent: Option<TraceParent>,
) -> Result<i64, Error> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let before = customer_store::lock(&tx, customer_id).await?;
    let before = before.ok_or(Error::NotFound)?;
    if before.erased {
        return Ok(before.version);
    }
    let after = Customer {
        version: before.version.saturating_add(1),
        ..Customer::erased(before.customer_id)
    };
    customer_store::update(&tx, &after).await?;
    forget(&tx, &after).await?;
    let event = changed(&after, traceparent, parts.ids.next(), parts.clock.now());
    parts.store.outbox().append(&tx, &[event]).await?;
    brewline_failpoint::hit("order.erased-before-commit");
    tx.commit().await?;
    Ok(after.version)
}

/// Applies the list of erasures once more, as has to be done after a restore; says to how many.
///
/// # Errors
/// When the database fails.
pub async fn erase_again(parts: &Parts) -> Result<usize, Error> {
    let connection = parts.pool.get().await?;
    let risen = erasure_store::risen(&connection).await?;
    drop(connection);
    for customer_id in &risen {
        erase(parts, customer_id, None).await?;
    }
    Ok(risen.len())
}

/// Applies the list of erasures once more, again and again until it is applied: whoever is on it must not stay
/// because the database was away for a moment.
pub async fn erase_until_done(parts: &Parts) {
    let mut failures = 0;
    loop {
        match erase_again(parts).await {
            Ok(0) => return,
            Ok(erased) => {
                tracing::warn!(erased, "customers were erased once more");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the list of erasures was not applied; trying again");
                let wait = AGAIN.delay(failures, brewline_kernel::system::random());
                failures = failures.saturating_add(1);
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// What was written about the customer before. A replay finds the id, and nothing else.
async fn forget(tx: &Transaction<'_>, erased: &Customer) -> Result<(), Error> {
    erasure_store::record(tx, &erased.customer_id).await?;
    erasure_store::blank_payloads(tx, &erased.customer_id).await?;
    if !brewline_failpoint::planted("erasure-forgets-answers") {
        let mut answer = on_wire(erased);
        answer.version = 1;
        let answer = answer.encode_to_vec();
        idempotency_store::replace_answers(tx, &erased.customer_id, &answer).await?;
    }
    Ok(())
}
