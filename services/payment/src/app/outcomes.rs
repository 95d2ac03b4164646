//! Second transaction: what the processor said, the ledger and the events, or none of them.

use std::collections::BTreeMap;

use brewline_failpoint as failpoint;
use brewline_kernel::OrderId;
use brewline_messaging::NewEvent;
use brewline_payment_domain::{Event, Posting, Seen};
use brewline_postgres::Transaction;
use tokio::sync::mpsc;

use super::operations::{Answered, Machinery};
use super::payer::Payer;
use super::risk::Tallies;
use crate::outbound::event_codec::{self, Told};
use crate::outbound::store::{self, Entry, Recorded};
use crate::{Error, signals};

/// How often a batch that lost against another transaction is tried.
const TRIES_MAX: u32 = 4;

/// A row after everything said about it was taken in.
#[derive(Debug)]
struct Learnt {
    recorded: Recorded,
    /// What happened, with the version that each event got.
    events: Vec<(i64, Event)>,
}

pub(super) async fn run(
    machinery: Machinery,
    mut to_record: mpsc::Receiver<Answered>,
) -> anyhow::Result<()> {
    let rows_max = machinery.limits.batch_rows_max;
    let mut arrived = Vec::with_capacity(rows_max);
    let mut pace = machinery.pool.pace();
    while to_record.recv_many(&mut arrived, rows_max).await > 0 {
        pace.begin();
        handle(&machinery, std::mem::take(&mut arrived)).await;
        pace.end();
        pace.ready().await;
    }
    Ok(())
}

async fn handle(machinery: &Machinery, batch: Vec<Answered>) {
    failpoint::hit("payment.answered-before-record");
    signals::batch("outcomes", batch.len());
    match record(machinery, &batch).await {
        Ok(learnt) => reply(batch, &learnt),
        // The fault may lie in one of them: each for itself, so that it strikes that one alone.
        Err(error) if batch.len() > 1 && !error.is_outage() => {
            tracing::warn!(%error, rows = batch.len(), "a batch of outcomes failed; trying one by one");
            for answered in batch {
                Box::pin(handle(machinery, vec![answered])).await;
            }
        }
        Err(error) => forget(batch, &error),
    }
}

fn reply(batch: Vec<Answered>, learnt: &BTreeMap<OrderId, Learnt>) {
    failpoint::hit("payment.recorded-before-reply");
    for it in learnt.values() {
        for (_, event) in &it.events {
            let held = it.recorded.payment.authorisation.as_ref();
            signals::happened(event, held.map(|held| held.amount));
        }
    }
    for answered in batch {
        let commanded = answered.asked.commanded;
        commanded.reply.give(match learnt.get(&commanded.order_id) {
            Some(it) => Ok(it.recorded.payment.outcome(commanded.command.kind())),
            None => Err(Error::NotRecorded("it got lost".to_owned())),
        });
    }
}

/// The answers are lost, not the money: the intent is on record, and the same command makes the same
/// request under the same key.
fn forget(batch: Vec<Answered>, error: &Error) {
    tracing::warn!(%error, rows = batch.len(), "outcomes could not be recorded");
    for answered in batch {
        let error = Error::NotRecorded(error.to_string());
        answered.asked.commanded.reply.give(Err(error));
    }
}

async fn record(
    machinery: &Machinery,
    batch: &[Answered],
) -> Result<BTreeMap<OrderId, Learnt>, Error> {
    let mut tries = 1;
    loop {
        match record_once(machinery, batch).await {
            Err(error) if error.is_retryable() && tries < TRIES_MAX => tries += 1,
            ended => return ended,
        }
    }
}

async fn record_once(
    machinery: &Machinery,
    batch: &[Answered],
) -> Result<BTreeMap<OrderId, Learnt>, Error> {
    let mut connection = machinery.pool.get().await?;
    let tx = connection.transaction().await?;
    let mut learnt = learn_all(batch, bases(batch));
    let moved = update(&tx, &mut learnt).await?;
    if !moved.is_empty() {
        // Another command wrote these rows since their intent was recorded. What was said is taken
        // in by what is there now, under the row's lock.
        let mut again = learn_all(batch, store::load(&tx, &moved).await?);
        let lost = update(&tx, &mut again).await?;
        if let Some(order_id) = lost.first() {
            return Err(Error::NotRecorded(format!(
                "the locked row of {order_id} moved"
            )));
        }
        learnt.extend(again);
    }
    tell(machinery, &tx, batch, &learnt).await?;
    count_declines(machinery, &tx, batch, &learnt).await?;
    tx.commit().await?;
    Ok(learnt)
}

/// Lets the risk rules know of what was declined.
async fn count_declines(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    batch: &[Answered],
    learnt: &BTreeMap<OrderId, Learnt>,
) -> Result<(), Error> {
    let mut payers: BTreeMap<OrderId, Payer> = batch.iter().filter_map(card_on_record).collect();
    let told = batch.iter().map(|it| &it.asked.commanded);
    let told = told.filter(|it| it.payer.is_known());
    payers.extend(told.map(|it| (it.order_id, it.payer.clone())));
    let declined: Vec<(&Payer, Seen)> = learnt
        .iter()
        .filter(|(_, it)| it.events.iter().any(|(_, event)| is_decline(event)))
        .filter_map(|(order_id, it)| {
            let amount = it.recorded.payment.authorisation.as_ref()?.amount;
            Some((payers.get(order_id)?, Seen::Declined(amount)))
        })
        .collect();
    let subjects = declined.iter().map(|(payer, _)| *payer);
    let mut tallies = Tallies::load(tx, &machinery.rules, subjects).await?;
    let now = machinery.clock.now();
    for (payer, seen) in declined {
        tallies.fold(&machinery.rules, payer, seen, now);
    }
    tallies.store(tx).await
}

/// Whose card it was, where only the row says so: an undo names no payer, but the card is on record for as
/// long as its authorisation may have to be repeated. Whose customer it was is kept nowhere.
fn card_on_record(answered: &Answered) -> Option<(OrderId, Payer)> {
    let payment = &answered.asked.recorded.payment;
    let token = payment.authorisation.as_ref()?.token.as_deref()?;
    Some((payment.order_id, Payer::of(token, "")))
}

const fn is_decline(event: &Event) -> bool {
    matches!(event, Event::Declined { .. })
}

/// The rows as the first transaction left them: the newest, where a batch has several of one order.
fn bases(batch: &[Answered]) -> BTreeMap<OrderId, Recorded> {
    let mut bases: BTreeMap<OrderId, Recorded> = BTreeMap::new();
    for answered in batch {
        let recorded = &answered.asked.recorded;
        let order_id = recorded.payment.order_id;
        let newest = bases.get(&order_id).map_or(0, |base| base.revision);
        if recorded.revision > newest {
            bases.insert(order_id, recorded.clone());
        }
    }
    bases
}

fn learn_all(batch: &[Answered], bases: BTreeMap<OrderId, Recorded>) -> BTreeMap<OrderId, Learnt> {
    let mut learnt: BTreeMap<OrderId, Learnt> = bases
        .into_iter()
        .map(|(order_id, recorded)| {
            let events = Vec::new();
            (order_id, Learnt { recorded, events })
        })
        .collect();
    for answered in batch {
        let Some(it) = learnt.get_mut(&answered.asked.request.order_id) else {
            continue;
        };
        let payment = &mut it.recorded.payment;
        if let Some(event) = payment.learn(&answered.asked.request, &answered.answer) {
            it.events.push((payment.events, event));
        }
    }
    learnt
}

/// Writes the rows; says which were written by somebody else since.
async fn update(
    tx: &Transaction<'_>,
    learnt: &mut BTreeMap<OrderId, Learnt>,
) -> Result<Vec<OrderId>, Error> {
    let rows: Vec<&Recorded> = learnt.values().map(|it| &it.recorded).collect();
    let updated = store::update(tx, &rows).await?;
    Ok(learnt
        .keys()
        .filter(|order_id| !updated.contains(order_id))
        .copied()
        .collect())
}

/// Writes the ledger and the outbox.
async fn tell(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    batch: &[Answered],
    learnt: &BTreeMap<OrderId, Learnt>,
) -> Result<(), Error> {
    let now = machinery.clock.now();
    let traces: BTreeMap<_, _> = batch
        .iter()
        .map(|it| (it.asked.commanded.order_id, it.asked.commanded.trace))
        .collect();
    let (mut entries, mut told) = (Vec::new(), Vec::new());
    for (order_id, it) in learnt {
        let Some(authorisation) = &it.recorded.payment.authorisation else {
            continue;
        };
        for (version, event) in &it.events {
            let (version, amount) = (*version, authorisation.amount);
            entries.extend(
                Posting::of(event, amount)
                    .filter(|_| !forgotten(event))
                    .map(|posting| Entry {
                        order_id: *order_id,
                        version,
                        event: store::event_name(event),
                        posting,
                        amount,
                        at: now,
                    }),
            );
            told.push(event_codec::encode(
                event,
                Told {
                    id: machinery.ids.next(),
                    order_id: *order_id,
                    version,
                    amount,
                    authorisation_id: authorisation.id.clone(),
                    at: now,
                    traceparent: traces.get(order_id).copied().flatten(),
                },
            ));
        }
    }
    write(machinery, tx, &entries, &told).await
}

async fn write(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    entries: &[Entry],
    told: &[NewEvent],
) -> Result<(), Error> {
    let posted = store::post(tx, entries);
    let appended = async { Ok(machinery.outbox.append(tx, told).await?) };
    // Polled together, both travel in one round trip.
    futures_util::try_join!(posted, appended)?;
    Ok(())
}

/// A bug that someone could really make: the books never hear of a refund.
fn forgotten(event: &Event) -> bool {
    *event == Event::Refunded && failpoint::planted("ledger-forgets-refund")
}
