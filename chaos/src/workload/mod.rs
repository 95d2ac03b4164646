//! Customers: orders at times fixed beforehand, with a journal of what was asked and answered.
//!
//! The load is open-loop: an order's latency counts from the instant it was meant to be sent, so a
//! system that makes its customers wait cannot hide it (coordinated omission). A customer without a
//! certain answer asks again under the same key, as a good client does.

mod bar;
mod client;
mod leaver;
mod mix;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brewline_kernel::Clock as _;
use brewline_kernel::system::SystemClock;
use hyper::Method;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use bar::{Bar, WallItem, wall};
pub use client::{Answer, Client, Error};
pub use leaver::Leavers;
pub use mix::{Mix, Planned, Seeded, Shop};

use crate::history::{Journal, Line, Phase};

/// How orders are placed.
#[derive(Clone, Debug)]
pub struct Load {
    /// The gateway, `http://host:port`.
    pub gateway: String,
    /// Whom and what the orders are for.
    pub shop: Shop,
    /// What customers do.
    pub mix: Mix,
    /// Orders a second; none: each connection sends its next as soon as the last is answered.
    pub rate: Option<u64>,
    /// For how long.
    pub duration: Duration,
    /// How many requests may be open at once.
    pub connections: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// For how long a customer without a certain answer asks again.
    pub insist: Duration,
    /// Repeats the orders.
    pub seed: u64,
    /// Where to write down what was asked and answered.
    pub journal: Option<Journal>,
}

/// What came of one order, as its customer saw it.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The order, when it was accepted.
    pub order: Option<Uuid>,
    /// From the intended start to the answer.
    pub latency: Duration,
    /// When the order was meant to be sent.
    pub intended_micros: i64,
    /// The last status; none when no answer came.
    pub status: Option<u16>,
    /// Whether its card is one that is declined.
    pub declined: bool,
    /// Whether it was cancelled by its customer.
    pub cancelled: bool,
}

/// What came of asking once for an order.
#[derive(Debug)]
pub struct Attempt {
    /// The answer.
    pub answer: Result<Answer, Error>,
    /// What it says for certain.
    pub phase: Phase,
    /// The order, when it was accepted.
    pub order: Option<Uuid>,
}

/// An order and the moment it is meant to be sent.
type Arrival = (Planned, Instant);

/// Places orders until the time is over or `stop` is cancelled; then waits for the answers.
pub async fn run(load: Load, stop: CancellationToken) -> Vec<Placed> {
    let load = Arc::new(load);
    // The queue holds what customers wait with: it is bounded by what can arrive in the whole run.
    let (send, receive) = mpsc::channel(load.queue());
    let receive = Arc::new(Mutex::new(receive));
    let latest = Arc::new(Latest::default());
    let mut workers = JoinSet::new();
    for _ in 0..load.connections {
        workers.spawn(serve(
            Arc::clone(&load),
            Arc::clone(&receive),
            Arc::clone(&latest),
        ));
    }
    arrive(&load, &send, &stop).await;
    drop(send);
    workers.join_all().await.into_iter().flatten().collect()
}

// === impl Load ===

impl Load {
    /// One place an order for open load; a single one where each connection waits for its answer.
    fn queue(&self) -> usize {
        let orders = self
            .rate
            .map_or(1, |rate| rate.saturating_mul(self.duration.as_secs() + 1));
        usize::try_from(orders)
            .unwrap_or(usize::MAX)
            .clamp(1, 1_000_000)
    }
}

async fn arrive(load: &Load, send: &mpsc::Sender<Arrival>, stop: &CancellationToken) {
    let mut random = Seeded::new(load.seed);
    let started = Instant::now();
    for number in 0_u64.. {
        let at = match load.rate {
            Some(rate) => started + Duration::from_nanos(number * 1_000_000_000 / rate.max(1)),
            None => Instant::now(),
        };
        if at.duration_since(started) >= load.duration {
            return;
        }
        let planned = load.mix.plan(&load.shop, &mut random);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(at) => {}
        }
        // With open load there is always room; with closed load this waits for a free connection.
        if send.send((planned, at)).await.is_err() {
            return;
        }
    }
}

async fn serve(
    load: Arc<Load>,
    arrivals: Arc<Mutex<mpsc::Receiver<Arrival>>>,
    latest: Arc<Latest>,
) -> Vec<Placed> {
    let mut client = Client::new(&load.gateway, load.timeout);
    let mut placed = Vec::new();
    loop {
        let next = arrivals.lock().await.recv().await;
        let Some((planned, at)) = next else {
            return placed;
        };
        let result = place(&load, &mut client, &planned, at).await;
        if let Some(order) = result.order {
            latest.set(order);
            if planned.cancel {
                // Half of them change their minds at once, half only once the order is confirmed.
                if planned.digest.is_multiple_of(2) {
                    let path = format!("/v1/orders/{order}?until=settled");
                    follow_up(&mut client, Method::GET, &path).await;
                }
                follow_up(
                    &mut client,
                    Method::POST,
                    &format!("/v1/orders/{order}/cancel"),
                )
                .await;
            }
        }
        if let (true, Some(order)) = (planned.read, latest.get()) {
            follow_up(&mut client, Method::GET, &format!("/v1/orders/{order}")).await;
        }
        placed.push(result);
    }
}

/// A request that is part of the load and whose answer nobody judges.
async fn follow_up(client: &mut Client, method: Method, path: &str) {
    let answer = client.send(method, path, None, String::new()).await;
    if let Err(error) = answer {
        tracing::debug!(%error, path, "a request of the workload got no answer");
    }
}

async fn place(load: &Load, client: &mut Client, planned: &Planned, at: Instant) -> Placed {
    let intended_micros = micros_ago(at.elapsed());
    let mut status = None;
    let mut order = None;
    loop {
        let attempt = attempt(load.journal.as_ref(), client, planned).await;
        if let Ok(answer) = &attempt.answer {
            status = Some(answer.status.as_u16());
            order = attempt.order;
        }
        if attempt.phase != Phase::Info || at.elapsed() >= load.insist {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Placed {
        order,
        latency: at.elapsed(),
        intended_micros,
        status,
        declined: planned.declined,
        cancelled: planned.cancel && order.is_some(),
    }
}

/// Asks once for an order, and writes into the journal that it was asked for and what came of it. An
/// order that is asked for in any other way is one that the journal's reader takes for a phantom.
pub async fn attempt(journal: Option<&Journal>, client: &mut Client, planned: &Planned) -> Attempt {
    write(journal, planned, Phase::Invoke, None, None);
    let body = planned.body.clone();
    let answer = client
        .send(Method::POST, "/v1/orders", Some(&planned.key), body)
        .await;
    let order = answer.as_ref().ok().and_then(accepted);
    let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
    let phase = status.map_or(Phase::Info, |status| phase(status, order));
    write(journal, planned, phase, order, status);
    Attempt {
        answer,
        phase,
        order,
    }
}

/// How long a customer waits before asking again.
const PAUSE: Duration = Duration::from_millis(200);

/// Only an answer of the 4xx kind says that nothing happened, and not even each of these: 408 and
/// 429 may follow work, and a 409 says that the same request is still in flight.
fn phase(status: u16, order: Option<Uuid>) -> Phase {
    match status {
        200..=299 if order.is_some() => Phase::Ok,
        400 | 401 | 403..=407 | 410..=428 | 431..=499 => Phase::Fail,
        _ => Phase::Info,
    }
}

fn accepted(answer: &Answer) -> Option<Uuid> {
    if !answer.status.is_success() {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    body.get("orderId")?.as_str()?.parse().ok()
}

fn micros_ago(ago: Duration) -> i64 {
    SystemClock.now().as_micros() - i64::try_from(ago.as_micros()).unwrap_or(0)
}

fn write(
    journal: Option<&Journal>,
    planned: &Planned,
    phase: Phase,
    order: Option<Uuid>,
    status: Option<u16>,
) {
    let Some(journal) = journal else { return };
    let line = Line {
        at_micros: SystemClock.now().as_micros(),
        phase,
        operation: "place".to_owned(),
        store_id: planned.store.clone(),
        key: planned.key.clone(),
        order_id: order,
        status,
        body: planned.digest,
    };
    // Without the journal the run proves nothing: better to stop than to judge a gap.
    journal.write(&line).expect("the journal can be written");
}

/// The order accepted last by anyone.
#[derive(Debug, Default)]
struct Latest {
    high: AtomicU64,
    low: AtomicU64,
}

// === impl Latest ===

impl Latest {
    fn set(&self, order: Uuid) {
        let (high, low) = order.as_u64_pair();
        self.high.store(high, Ordering::Relaxed);
        self.low.store(low, Ordering::Relaxed);
    }

    /// Two halves of different orders are a 404 at worst, which no reader minds.
    fn get(&self) -> Option<Uuid> {
        let halves = (
            self.high.load(Ordering::Relaxed),
            self.low.load(Ordering::Relaxed),
        );
        (halves != (0, 0)).then(|| Uuid::from_u64_pair(halves.0, halves.1))
    }
}
