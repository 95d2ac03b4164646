//! First transaction: what is intended is on record before the processor hears of it.

use std::collections::BTreeMap;

use brewline_failpoint as failpoint;
use brewline_kernel::OrderId;
use brewline_payment_domain::{Command, Hit, Payment, Request, Step};
use brewline_postgres::Transaction;
use tokio::sync::mpsc;

use super::operations::{Asked, Commanded, Machinery};
use super::risk::Tallies;
use crate::outbound::store::{self, Recorded};
use crate::{Error, signals};

/// How often a batch that lost against another transaction is tried.
const TRIES_MAX: u32 = 4;

/// What a command came to, and the row it was derived from as it stands after this transaction.
#[derive(Debug)]
struct Decided {
    recorded: Recorded,
    step: Step,
    /// The risk rule that refuses it.
    hit: Option<Hit>,
}

pub(super) async fn run(
    machinery: Machinery,
    mut commanded: mpsc::Receiver<Commanded>,
    requests: mpsc::Sender<Asked>,
) -> anyhow::Result<()> {
    let rows_max = machinery.limits.batch_rows_max;
    let mut arrived = Vec::with_capacity(rows_max);
    let mut pace = machinery.pool.pace();
    while commanded.recv_many(&mut arrived, rows_max).await > 0 {
        pace.begin();
        let mut rest = std::mem::take(&mut arrived);
        while !rest.is_empty() {
            let (batch, later) = one_an_order(rest);
            rest = later;
            handle(&machinery, batch, &requests).await;
        }
        pace.end();
        pace.ready().await;
    }
    Ok(())
}

/// Splits off the first command of each order: a second one has to see what the first recorded.
fn one_an_order(commands: Vec<Commanded>) -> (BTreeMap<OrderId, Commanded>, Vec<Commanded>) {
    let mut batch = BTreeMap::new();
    let mut later = Vec::new();
    for commanded in commands {
        match batch.entry(commanded.order_id) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(commanded);
            }
            std::collections::btree_map::Entry::Occupied(_) => later.push(commanded),
        }
    }
    (batch, later)
}

async fn handle(
    machinery: &Machinery,
    batch: BTreeMap<OrderId, Commanded>,
    requests: &mpsc::Sender<Asked>,
) {
    signals::batch("intents", batch.len());
    match record(machinery, &batch).await {
        Ok(decided) => go_on(batch, decided, requests).await,
        // The fault may lie in one of them: each for itself, so that it strikes that one alone.
        Err(error) if batch.len() > 1 && !error.is_outage() => {
            tracing::warn!(%error, rows = batch.len(), "a batch of intents failed; trying one by one");
            for (order_id, commanded) in batch {
                let single = BTreeMap::from([(order_id, commanded)]);
                Box::pin(handle(machinery, single, requests)).await;
            }
        }
        Err(error) => refuse(batch, &error),
    }
}

async fn go_on(
    batch: BTreeMap<OrderId, Commanded>,
    mut decided: BTreeMap<OrderId, Decided>,
    requests: &mpsc::Sender<Asked>,
) {
    failpoint::hit("payment.intent-recorded-before-request");
    for (order_id, commanded) in batch {
        match decided.remove(&order_id) {
            None => commanded
                .reply
                .give(Err(Error::NotRecorded("it got lost".to_owned()))),
            Some(Decided {
                step: Step::Answer(outcome),
                hit,
                ..
            }) => {
                hit.iter().for_each(signals::risk_refused);
                commanded.reply.give(Ok(outcome));
            }
            Some(Decided {
                step: Step::Ask(request),
                recorded,
                ..
            }) => ask(commanded, recorded, request, requests).await,
        }
    }
}

async fn ask(
    commanded: Commanded,
    recorded: Recorded,
    request: Request,
    requests: &mpsc::Sender<Asked>,
) {
    let asked = Asked {
        commanded,
        recorded,
        request,
    };
    if let Err(mpsc::error::SendError(asked)) = requests.send(asked).await {
        asked.commanded.reply.give(Err(Error::ShuttingDown));
    }
}

fn refuse(batch: BTreeMap<OrderId, Commanded>, error: &Error) {
    tracing::warn!(%error, rows = batch.len(), "intents could not be recorded");
    for commanded in batch.into_values() {
        let error = Error::NotRecorded(error.to_string());
        commanded.reply.give(Err(error));
    }
}

async fn record(
    machinery: &Machinery,
    batch: &BTreeMap<OrderId, Commanded>,
) -> Result<BTreeMap<OrderId, Decided>, Error> {
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
    batch: &BTreeMap<OrderId, Commanded>,
) -> Result<BTreeMap<OrderId, Decided>, Error> {
    let mut connection = machinery.pool.get().await?;
    let tx = connection.transaction().await?;
    let decided = decide_all(machinery, &tx, batch).await?;
    tx.commit().await?;
    Ok(decided)
}

/// An authorisation is nearly always the first that is heard of its order, so it is inserted blindly;
/// everything else is read, and locked, first. What turns out to be on record is decided again from
/// there.
async fn decide_all(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    batch: &BTreeMap<OrderId, Commanded>,
) -> Result<BTreeMap<OrderId, Decided>, Error> {
    let follow_ups: Vec<OrderId> = batch
        .values()
        .filter(|it| !matches!(it.command, Command::Authorise { .. }))
        .map(|it| it.order_id)
        .collect();
    let mut known = match follow_ups.is_empty() {
        true => BTreeMap::new(),
        false => store::load(tx, &follow_ups).await?,
    };
    let mut decided = BTreeMap::new();
    let (mut fresh, mut changed) = (Vec::new(), Vec::new());
    for (order_id, commanded) in batch {
        let base = known
            .remove(order_id)
            .unwrap_or_else(|| unheard_of(*order_id));
        let (it, moved) = decide(machinery, &commanded.command, base);
        match (moved, it.recorded.revision) {
            (false, _) => {}
            (true, 0) => fresh.push(*order_id),
            (true, _) => changed.push(*order_id),
        }
        decided.insert(*order_id, it);
    }
    let taken = insert(tx, &mut decided, &fresh).await?;
    // Whose row was there already was judged when it was written: the money may be held by now.
    fresh.retain(|order_id| !taken.contains(order_id));
    if !taken.is_empty() {
        changed.extend(decide_again(machinery, tx, batch, &mut decided, &taken).await?);
    }
    changed.extend(refuse_risky(machinery, tx, batch, &mut decided, &fresh).await?);
    update(tx, &mut decided, &changed).await?;
    Ok(decided)
}

/// Asks the risk rules about authorisations that this transaction has put on record for the first time:
/// each is judged, and counted, exactly once. Their rows are written before the tallies are locked, here
/// as where outcomes are recorded, so that transactions wait for each other only one way round.
async fn refuse_risky(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    batch: &BTreeMap<OrderId, Commanded>,
    decided: &mut BTreeMap<OrderId, Decided>,
    fresh: &[OrderId],
) -> Result<Vec<OrderId>, Error> {
    let judged: Vec<_> = fresh
        .iter()
        .filter_map(|order_id| batch.get(order_id))
        .filter(|it| matches!(it.command, Command::Authorise { .. }))
        .filter(|it| decided.get(&it.order_id).is_some_and(Decided::is_first))
        .collect();
    let payers = judged.iter().map(|it| &it.payer);
    let mut tallies = Tallies::load(tx, &machinery.rules, payers).await?;
    let (mut refused, now) = (Vec::new(), machinery.clock.now());
    for commanded in judged {
        let Some(hit) = tallies.judge(&machinery.rules, &commanded.payer, now) else {
            continue;
        };
        if let Some(it) = decided.get_mut(&commanded.order_id) {
            it.step = Step::Answer(it.recorded.payment.refuse(&hit));
            it.hit = Some(hit);
            refused.push(commanded.order_id);
        }
    }
    tallies.store(tx).await?;
    Ok(refused)
}

fn decide(machinery: &Machinery, command: &Command, base: Recorded) -> (Decided, bool) {
    let before = base.payment.clone();
    let mut recorded = base;
    let now = machinery.clock.now();
    let step = recorded
        .payment
        .decide(command, now, machinery.key_lifetime);
    let moved = recorded.payment != before;
    let decided = Decided {
        recorded,
        step,
        hit: None,
    };
    (decided, moved)
}

/// Decides those that were inserted by somebody else in the meantime; says which changed by it.
async fn decide_again(
    machinery: &Machinery,
    tx: &Transaction<'_>,
    batch: &BTreeMap<OrderId, Commanded>,
    decided: &mut BTreeMap<OrderId, Decided>,
    taken: &[OrderId],
) -> Result<Vec<OrderId>, Error> {
    let mut changed = Vec::new();
    for (order_id, base) in store::load(tx, taken).await? {
        let Some(commanded) = batch.get(&order_id) else {
            continue;
        };
        let (it, moved) = decide(machinery, &commanded.command, base);
        if moved {
            changed.push(order_id);
        }
        decided.insert(order_id, it);
    }
    Ok(changed)
}

/// Inserts what is heard of for the first time; says which of them was on record after all.
async fn insert(
    tx: &Transaction<'_>,
    decided: &mut BTreeMap<OrderId, Decided>,
    fresh: &[OrderId],
) -> Result<Vec<OrderId>, Error> {
    let rows = rows(decided, fresh);
    let inserted = store::insert(tx, &rows).await?;
    for order_id in &inserted {
        if let Some(it) = decided.get_mut(order_id) {
            it.recorded.revision = 1;
        }
    }
    Ok(fresh
        .iter()
        .filter(|order_id| !inserted.contains(order_id))
        .copied()
        .collect())
}

/// Overwrites rows that this transaction has locked.
async fn update(
    tx: &Transaction<'_>,
    decided: &mut BTreeMap<OrderId, Decided>,
    changed: &[OrderId],
) -> Result<(), Error> {
    let rows = rows(decided, changed);
    let updated = store::update(tx, &rows).await?;
    for order_id in changed {
        match decided.get_mut(order_id) {
            Some(it) if updated.contains(order_id) => it.recorded.revision += 1,
            _ => {
                return Err(Error::NotRecorded(format!(
                    "the locked row of {order_id} moved"
                )));
            }
        }
    }
    Ok(())
}

fn rows<'d>(decided: &'d BTreeMap<OrderId, Decided>, of: &[OrderId]) -> Vec<&'d Recorded> {
    of.iter()
        .filter_map(|order_id| decided.get(order_id))
        .map(|it| &it.recorded)
        .collect()
}

const fn unheard_of(order_id: OrderId) -> Recorded {
    Recorded {
        payment: Payment::new(order_id),
        revision: 0,
    }
}

// === impl Decided ===

impl Decided {
    /// Whether this transaction wrote its row for the first time.
    const fn is_first(&self) -> bool {
        self.recorded.revision == 1 && matches!(self.step, Step::Ask(_))
    }
}
