use std::collections::BTreeSet;

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_order_domain::order::{Order, OrderEvent, Placement};
use brewline_postgres::{self as postgres, Transaction};

use super::keys::Keys;
use super::{Answer, Refusal, Waiting, verdict};
use crate::Parts;
use crate::app::checkout;
use crate::outbound::saga_store::{Card, CardToken, NewSaga};
use crate::outbound::store::{self, Cause, Change};
use crate::outbound::{customer_store, idempotency_store};
use crate::signals;

/// The longest a statement of this transaction waits for a lock. Ten ordinary batches take less; who
/// holds a key for longer is stuck, and must not hold up the rest of the batch.
const LOCK_WAIT_MS: u32 = 200;

/// One planted bug in so many orders shows: enough to be caught, few enough to look like an accident.
const PLANTED_SHARE: u128 = 16;

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Before the commit was sent: nothing was placed.
    Before(postgres::Error),
    /// At the commit.
    Commit(postgres::Error),
    /// What is stored, or was about to be, is not as it must be.
    Stored(String),
}

/// Runs one attempt: answers in the order of `waiting`.
pub(super) async fn run(parts: &Parts, waiting: &[Waiting]) -> Result<Vec<Answer>, Fault> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let priced = price(parts, &tx, waiting).await?;
    let keys = Keys::look(&tx, waiting, &priced).await?;
    let (answers, sagas, changes) = decide(waiting, priced, &keys, parts.clock.now());
    // Boxed: three statements in flight make a large future, and it would be carried by all its callers.
    Box::pin(append(parts, &tx, &sagas, changes)).await?;
    brewline_failpoint::hit("order.before-commit");
    if brewline_failpoint::planted("lose-acked-order") && sagas.iter().any(is_chosen) {
        tx.rollback().await?;
    } else {
        tx.commit().await.map_err(Fault::Commit)?;
    }
    brewline_failpoint::hit("order.placed-before-reply");
    signals::place_batch(sagas.len());
    Ok(answers)
}

/// One round trip: the catalogue as of now, the customers, the limit on waiting. Then pure pricing.
async fn price(
    parts: &Parts,
    tx: &Transaction<'_>,
    waiting: &[Waiting],
) -> Result<Vec<Result<Placement, Refusal>>, postgres::Error> {
    let customers: BTreeSet<&str> = waiting
        .iter()
        .map(|waiting| waiting.request.customer_id.as_str())
        .collect();
    let ((), catalogue, customers) = futures_util::try_join!(
        idempotency_store::limit_lock_wait(tx, LOCK_WAIT_MS),
        parts.catalogue.current(tx),
        customer_store::known(tx, &customers),
    )?;
    let judge = |waiting| verdict::judge(waiting, &catalogue, &customers);
    Ok(waiting.iter().map(judge).collect())
}

type Decided = (Vec<Answer>, Vec<NewSaga>, Vec<Change>);

/// Each request's answer, and what the accepted ones write.
fn decide(
    waiting: &[Waiting],
    priced: Vec<Result<Placement, Refusal>>,
    keys: &Keys,
    now: Timestamp,
) -> Decided {
    let (mut sagas, mut changes) = (Vec::new(), Vec::new());
    let mut answers = Vec::with_capacity(waiting.len());
    for (waiting, priced) in waiting.iter().zip(priced) {
        let answer = keys.answer(waiting, priced, |placement| {
            if !(brewline_failpoint::planted("checkout-forgotten") && is_rare(placement.order_id)) {
                sagas.push(saga(waiting, &placement));
            }
            accept(waiting, placement, now, &mut changes)
        });
        answers.push(answer);
    }
    (answers, sagas, changes)
}

/// The change that places an order, and the order after it.
fn accept(
    waiting: &Waiting,
    placement: Placement,
    at: Timestamp,
    changes: &mut Vec<Change>,
) -> Option<Order> {
    let cause = Cause::request(placement.order_id, waiting.request.traceparent);
    if brewline_failpoint::planted("phantom-order") && is_rare(placement.order_id) {
        changes.push(phantom(placement.clone(), at, cause));
    }
    let events = vec![OrderEvent::Placed { placement, at }];
    let order = brewline_order_domain::order::fold(&events);
    changes.push(Change::new(None, events, cause));
    order
}

/// The saga that begins with an order.
fn saga(waiting: &Waiting, placement: &Placement) -> NewSaga {
    let mut amount = placement.total;
    if brewline_failpoint::planted("wrong-total") && is_rare(placement.order_id) {
        amount = Money::new(amount.minor.saturating_add(1), amount.currency);
    }
    NewSaga {
        order_id: placement.order_id,
        card: Card {
            token: CardToken::new(waiting.request.payment_token.expose().clone()),
            amount,
            customer_id: placement.customer_id.clone(),
        },
        traceparent: waiting.request.traceparent,
    }
}

async fn append(
    parts: &Parts,
    tx: &Transaction<'_>,
    sagas: &[NewSaga],
    changes: Vec<Change>,
) -> Result<(), Fault> {
    if changes.is_empty() {
        return Ok(());
    }
    futures_util::try_join!(
        async { Ok::<_, Fault>(parts.store.append(tx, changes).await?) },
        async { Ok(parts.checkouts.begin(tx, sagas).await?) },
    )?;
    Ok(())
}

/// A planted bug: an order that nobody asked for.
fn phantom(mut placement: Placement, at: Timestamp, cause: Cause) -> Change {
    let id = placement.order_id.as_uuid().as_u128();
    placement.order_id = OrderId::new(uuid::Uuid::from_u128(id.wrapping_add(1)));
    Change::new(None, vec![OrderEvent::Placed { placement, at }], cause)
}

fn is_chosen(saga: &NewSaga) -> bool {
    is_rare(saga.order_id)
}

fn is_rare(order_id: OrderId) -> bool {
    order_id.as_uuid().as_u128().is_multiple_of(PLANTED_SHARE)
}

// === impl Fault ===

impl From<postgres::Error> for Fault {
    fn from(error: postgres::Error) -> Self {
        Self::Before(error)
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Database(error) => Self::Before(error),
            store::Error::VersionConflict
            | store::Error::Corrupt { .. }
            | store::Error::NotAnOrder => Self::Stored(error.to_string()),
        }
    }
}

impl From<checkout::Error> for Fault {
    fn from(error: checkout::Error) -> Self {
        match error.into_database() {
            Ok(error) => Self::Before(error),
            Err(error) => Self::Stored(error.to_string()),
        }
    }
}
