//! Calls webhooks: fans the log out to endpoints, calls what is due, records what came of it.
//!
//! Each endpoint has room of its own, for calls at once and calls a second, and gives only as many as it
//! has room for. An endpoint that hangs fills its own room and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{Clock, system};
use brewline_notification_domain::{CallNext, after_call};
use brewline_postgres::{Error as DatabaseError, Pace, Pool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::rooms::Rooms;
use crate::outbound::caller::{Call, CallSettings, Caller};
use crate::outbound::endpoints::{self, Claimed, Recorded};
use crate::outbound::event_json;
use crate::signals;

/// How long a call is taken for: twice what it may take, so that nobody takes it over while its worker
/// lives.
const LEASE_TIMEOUTS: u32 = 2;
/// How often it is looked for work without being woken.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait after the database failed.
const TROUBLE: Duration = Duration::from_millis(500);
/// How many events are fanned out to one endpoint at once.
const STRETCH_EVENTS: i64 = 500;
/// Calls at once in all: memory, no more; no endpoint comes near it alone.
const CALLS_MAX: usize = 2_000;

/// What calling needs.
#[derive(Clone)]
pub struct CallHooks {
    /// The service's own database.
    pub pool: Pool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Calls.
    pub caller: Arc<Caller>,
    /// How webhooks are called.
    pub settings: CallSettings,
    /// Says that there is work.
    pub wake: Arc<Notify>,
}

/// A worker at work.
struct Worker {
    parts: CallHooks,
    pace: Pace,
    rooms: Rooms<Done>,
    done: Vec<Done>,
    more: bool,
}

/// A call that is over.
struct Done {
    claimed: Claimed,
    next: CallNext,
}

// === impl CallHooks ===

impl CallHooks {
    /// Calls until shutdown; calls on their way then are left to their leases.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut worker = Worker {
            pace: self.pool.pace(),
            rooms: Rooms::new(self.settings.per_endpoint_max, self.settings.per_second_max),
            parts: self,
            done: Vec::new(),
            more: true,
        };
        while !shutdown.is_cancelled() {
            worker.turn(&shutdown).await;
        }
        if let Err(error) = worker.record().await {
            tracing::warn!(%error, "calls were made and not recorded: they will be made again");
        }
    }
}

impl std::fmt::Debug for CallHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallHooks").finish_non_exhaustive()
    }
}

// === impl Worker ===

impl Worker {
    async fn turn(&mut self, shutdown: &CancellationToken) {
        while let Some(done) = self.rooms.try_next() {
            self.done.push(done);
        }
        let work = self.more || !self.done.is_empty();
        if work && self.pace.is_ready() {
            self.pace.begin();
            if let Err(error) = self.move_on().await {
                tracing::warn!(%error, "webhooks were neither taken nor recorded; trying again");
                tokio::time::sleep(TROUBLE).await;
            }
            self.pace.end();
            return;
        }
        let pace = &self.pace;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = pace.ready(), if work => {}
            Some(done) = self.rooms.next() => self.done.push(done),
            () = self.parts.wake.notified() => self.more = true,
            () = tokio::time::sleep(POLL) => self.more = true,
        }
    }

    async fn move_on(&mut self) -> Result<(), DatabaseError> {
        self.record().await?;
        self.more = false;
        let connection = self.parts.pool.get().await?;
        let fanned_out = endpoints::fan_out(&connection, STRETCH_EVENTS).await?;
        if self.rooms.len() >= CALLS_MAX {
            return Ok(());
        }
        let lease = self.parts.settings.timeout * LEASE_TIMEOUTS;
        let (busy, usual) = (self.rooms.busy(), self.rooms.usual());
        let claimed = endpoints::claim(&connection, &busy, usual, lease).await?;
        self.more = fanned_out > 0 || !claimed.is_empty();
        claimed.into_iter().for_each(|claimed| self.begin(claimed));
        Ok(())
    }

    fn begin(&mut self, claimed: Claimed) {
        let caller = Arc::clone(&self.parts.caller);
        let timestamp_s = self.parts.clock.now().as_millis().div_euclid(1_000);
        let endpoint = claimed.endpoint;
        self.rooms
            .begin(endpoint, call(caller, claimed, timestamp_s));
    }

    async fn record(&mut self) -> Result<(), DatabaseError> {
        if self.done.is_empty() {
            return Ok(());
        }
        failpoint::hit("notification.hook-sent-before-record");
        let calls: Vec<Recorded> = self.done.iter().map(recorded).collect();
        let mut connection = self.parts.pool.get().await?;
        let tx = connection.transaction().await?;
        endpoints::record(&tx, &calls).await?;
        tx.commit().await?;
        for done in std::mem::take(&mut self.done) {
            signals::call(outcome(&done));
            self.rooms.leave(done.claimed.endpoint);
        }
        self.more = true;
        Ok(())
    }
}

/// Makes one call.
async fn call(caller: Arc<Caller>, claimed: Claimed, timestamp_s: i64) -> Done {
    let body = match event_json::item(&claimed.event) {
        Ok(item) => item.to_string(),
        Err(error) => {
            let reason = format!("the event cannot be read: {error}");
            let next = CallNext::Failed { reason };
            return Done { claimed, next };
        }
    };
    let call = Call {
        endpoint: claimed.endpoint,
        url: claimed.url.clone(),
        id: named(&claimed),
        secrets: claimed.secrets.clone(),
        timestamp_s,
        body,
    };
    let answer = caller.call(&call).await;
    let attempt = u32::try_from(claimed.attempts).unwrap_or(u32::MAX);
    let next = after_call(answer, attempt, system::random());
    Done { claimed, next }
}

/// The event's id, the same for every attempt. Planted: each attempt has one of its own.
fn named(claimed: &Claimed) -> String {
    let id = claimed.event.id;
    if failpoint::planted("hook-new-id-per-attempt") {
        return format!("{id}.{}", claimed.attempts);
    }
    id.to_string()
}

fn recorded(done: &Done) -> Recorded {
    let (state, reason, after) = match &done.next {
        CallNext::Delivered => ("delivered", "", Duration::ZERO),
        CallNext::Again { after, reason } => ("pending", reason.as_str(), *after),
        CallNext::Failed { reason } => ("failed", reason.as_str(), Duration::ZERO),
        CallNext::Disable => ("failed", "the endpoint is gone", Duration::ZERO),
    };
    Recorded {
        endpoint: done.claimed.endpoint,
        event: done.claimed.event.id,
        claims: done.claimed.claims,
        gone: done.next == CallNext::Disable,
        state,
        reason: reason.to_owned(),
        after,
    }
}

const fn outcome(done: &Done) -> &'static str {
    match done.next {
        CallNext::Delivered => "delivered",
        CallNext::Again { .. } => "again",
        CallNext::Failed { .. } => "failed",
        CallNext::Disable => "disabled",
    }
}
