//! A slot while its lease is held: reads, sends, marks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use brewline_failpoint as failpoint;
use brewline_kafka as kafka;
use brewline_kernel::{Timestamp, system};
use brewline_postgres::{Ear, Pace};
use brewline_telemetry::trace::Span;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::timeout;

use super::core::{Core, Limits, Send, Ticket};
use super::lease::Lease;
use super::outgoing::Outgoing;
use super::slot::{Slot, outage};
use super::store::Claimed;
use crate::{Error, OUTAGE_BACKOFF, signals};

/// The watermark is written at most this often: a crash then repeats so much more, and the database is
/// spared a write a batch.
const MARK_EVERY: Duration = Duration::from_millis(50);
/// How often the age of the oldest unsent row is looked up.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How long shutting down waits for Kafka to acknowledge what was sent.
const DRAIN: Duration = Duration::from_secs(3);
/// Positions that may still appear, in ranges; beyond, nothing new is read.
const GAPS_MAX: usize = 10_000;

/// A slot while its lease is held.
pub(super) struct Holding<'a> {
    slot: &'a Slot,
    producer: kafka::Producer,
    core: Core<Outgoing>,
    lease: Lease,
    acks: FuturesUnordered<Ack>,
    // Something may be there to read.
    look: bool,
    pace: Pace,
    // The last read was full: the next one is no small batch.
    more: bool,
    // What this process writes wakes the slot without a notification.
    _ear: Ear,
    outages: u32,
    // Deliveries that failed since the watermark moved last, and how, since it was waited out last.
    refusals: u32,
    refused: Option<Refusal>,
    looked_at: Instant,
    marked_at: Instant,
    measured_at: Instant,
}

/// The broker's answer to one send.
struct Ack {
    ticket: Ticket,
    occurred_at: Timestamp,
    // Of an order whose trace is recorded.
    span: Span,
    delivery: kafka::Delivery,
}

/// How a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    Refused,
    /// It was not acknowledged in time.
    Unheard,
}

/// Why a lease is no longer held.
pub(super) enum End {
    Fenced,
    Shutdown,
    /// A delivery was not acknowledged in time. Either Kafka is away, or the client has lost the
    /// partition for good, which nothing else tells (librdkafka issue 5430): with a new one the former
    /// costs a connection, and the latter is mended.
    Unheard,
}

// === impl Holding ===

impl<'a> Holding<'a> {
    pub(super) fn new(
        slot: &'a Slot,
        producer: kafka::Producer,
        claimed: Claimed,
        asked_at: Instant,
    ) -> Self {
        let limits = Limits {
            batch_rows: slot.settings.batch_rows,
            unacked_rows_max: slot.settings.in_flight_rows_max,
            gaps_max: GAPS_MAX,
        };
        Self {
            slot,
            producer,
            core: Core::new(limits, claimed.watermark),
            lease: Lease::new(claimed.epoch, slot.settings.lease, asked_at),
            acks: FuturesUnordered::new(),
            look: true,
            pace: slot.store.pool.pace(),
            more: false,
            _ear: slot.store.pool.hear(
                super::CHANNEL,
                slot.store.slot.to_string(),
                Arc::clone(&slot.wake),
            ),
            outages: 0,
            refusals: 0,
            refused: None,
            looked_at: asked_at,
            marked_at: asked_at,
            measured_at: asked_at,
        }
    }

    pub(super) async fn work(&mut self) -> Result<End, Error> {
        while !self.slot.shutdown.is_cancelled() {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(end)) => return Ok(end),
                Err(Error::Postgres(error)) => {
                    let wait = outage("relay", error, &mut self.outages)?;
                    self.slot.pause(wait).await;
                    self.look = true;
                }
                Err(error) => return Err(error),
            }
            if self.wait_out_refusal().await == Some(Refusal::Unheard) {
                return Ok(End::Unheard);
            }
        }
        Ok(End::Shutdown)
    }

    /// A record that Kafka refuses is sent again, and with it whatever follows the watermark: ever more
    /// slowly, lest a record that is refused for good floods the log with its neighbours' duplicates.
    async fn wait_out_refusal(&mut self) -> Option<Refusal> {
        let refused = self.refused.take();
        if refused.is_some() {
            let wait = OUTAGE_BACKOFF.delay(self.refusals, system::random());
            self.refusals = self.refusals.saturating_add(1);
            self.slot.pause(wait).await;
        }
        refused
    }

    /// Marks what is acknowledged, reads and sends what is there, else waits.
    async fn turn(&mut self) -> Result<Option<End>, Error> {
        if self.mark_is_due() && !self.mark().await? {
            return Ok(Some(End::Fenced));
        }
        self.measure().await?;
        self.look |= self.looked_at.elapsed() >= self.slot.settings.poll;
        if self.look && self.core.next_read().is_some() && self.may_read() {
            return self.read().await;
        }
        self.wait().await?;
        Ok(None)
    }

    fn mark_is_due(&self) -> bool {
        let due = self.marked_at.elapsed() >= MARK_EVERY;
        self.lease.is_renewal_due(Instant::now()) || (due && self.core.next_mark().is_some())
    }

    /// Writes the watermark and renews the lease. False when the slot has another holder.
    async fn mark(&mut self) -> Result<bool, Error> {
        let (mark, asked_at) = (self.core.mark(), Instant::now());
        let moves = self.core.next_mark().is_some();
        if moves {
            failpoint::hit("relay.acked-before-mark");
        }
        let store = &self.slot.store;
        let xid = store
            .mark(self.lease.epoch(), mark.watermark, self.slot.settings.lease)
            .await?;
        if moves {
            failpoint::hit("relay.marked");
        }
        let Some(xid) = xid else {
            // Planted: it takes no notice of who holds the slot now.
            return Ok(failpoint::planted("relay-ignores-lease"));
        };
        self.outages = 0;
        if moves {
            self.refusals = 0;
        }
        self.marked_at = asked_at;
        self.lease.renew(asked_at);
        self.core.marked(mark, xid);
        Ok(true)
    }

    /// Whether it is time for another read, or the last one left rows behind.
    fn may_read(&self) -> bool {
        self.more || self.pace.is_ready()
    }

    async fn read(&mut self) -> Result<Option<End>, Error> {
        let Some(read) = self.core.next_read() else {
            return Ok(None);
        };
        self.pace.begin();
        self.looked_at = Instant::now();
        let seen = self.slot.store.read(&read, self.lease.epoch()).await?;
        self.outages = 0;
        // A full read means that there is more; whatever comes later wakes us.
        self.more = seen.rows.len() >= read.limit;
        self.look = self.more;
        if !seen.rows.is_empty() {
            failpoint::hit("relay.read-before-send");
        }
        for send in self.core.rows(&read, seen.rows, seen.xmin) {
            if !self.may_send().await? {
                return Ok(Some(End::Fenced));
            }
            if !self.send(send)? {
                break;
            }
        }
        if !self.look {
            self.producer.hurry();
        }
        self.pace.end();
        Ok(None)
    }

    /// Checks the lease on the monotonic clock. When it has passed (the process stood still), only
    /// the database can tell whether it is still ours.
    async fn may_send(&mut self) -> Result<bool, Error> {
        if self.lease.is_valid(Instant::now()) {
            return Ok(true);
        }
        match self.mark().await {
            Ok(ours) => Ok(ours),
            Err(error) => {
                self.start_over();
                Err(error)
            }
        }
    }

    /// Hands a row to the producer. False when sending has to start over.
    fn send(&mut self, send: Send<Outgoing>) -> Result<bool, Error> {
        let occurred_at = send.record.occurred_at;
        let (record, span) = send.record.traced();
        match self.producer.send(record) {
            Ok(delivery) => {
                self.acks.push(Ack {
                    ticket: send.ticket,
                    occurred_at,
                    span,
                    delivery,
                });
                Ok(true)
            }
            Err(error) => {
                self.failed(send.ticket, error)?;
                Ok(false)
            }
        }
    }

    async fn wait(&mut self) -> Result<(), Error> {
        let until_look = self
            .slot
            .settings
            .poll
            .saturating_sub(self.looked_at.elapsed());
        let until_mark = MARK_EVERY.saturating_sub(self.marked_at.elapsed());
        let marking = self.core.next_mark().is_some() && !until_mark.is_zero();
        let nap = if marking {
            until_mark.min(until_look)
        } else {
            until_look
        };
        let reading = self.look && self.core.next_read().is_some();
        tokio::select! {
            biased;
            Some((ticket, answer)) = self.acks.next() => self.answered(ticket, answer).await?,
            () = self.slot.wake.notified() => self.look = true,
            () = self.pace.ready(), if reading => {}
            () = self.slot.shutdown.cancelled() => {}
            () = tokio::time::sleep(nap) => {}
        }
        Ok(())
    }

    /// Takes this answer and all others that are there already.
    async fn answered(&mut self, ticket: Ticket, answer: Answer) -> Result<(), Error> {
        let mut next = Some((ticket, answer));
        while let Some((ticket, answer)) = next {
            self.take(ticket, answer).await?;
            next = futures_util::FutureExt::now_or_never(self.acks.next()).flatten();
        }
        Ok(())
    }

    async fn take(&mut self, ticket: Ticket, answer: Answer) -> Result<(), Error> {
        if let Err(error) = answer {
            return self.failed(ticket, error);
        }
        let Some(next) = self.core.acked(ticket) else {
            return Ok(());
        };
        // The key's next row. Fenced, the next mark tells; until then nothing more is sent.
        if self.may_send().await? && self.send(next)? {
            self.producer.hurry();
        }
        Ok(())
    }

    fn failed(&mut self, ticket: Ticket, error: kafka::Error) -> Result<(), Error> {
        if !self.core.failed(ticket) {
            return Ok(());
        }
        self.producer.purge();
        self.look = true;
        let how = if error.is_timed_out() {
            Refusal::Unheard
        } else {
            Refusal::Refused
        };
        // Purging makes its neighbours fail too, in another way.
        self.refused = self.refused.max(Some(how));
        if error.is_fatal() {
            return Err(error.into());
        }
        signals::RELAY_DELIVERY_FAILED.inc();
        tracing::warn!(%error, relay.slot = self.slot.store.slot, "a delivery failed; sending again from the watermark");
        Ok(())
    }

    /// Throws away what is queued: it is for the next holder to send.
    pub(super) fn abandon(&self) {
        self.producer.purge();
    }

    fn start_over(&mut self) {
        self.abandon();
        self.core.reset();
        self.look = true;
    }

    async fn measure(&mut self) -> Result<(), Error> {
        if self.measured_at.elapsed() >= MEASURE_EVERY {
            self.measured_at = Instant::now();
            let oldest = self.slot.store.oldest_unsent().await?;
            signals::outbox(self.slot.store.slot, oldest, self.core.unacked_rows());
        }
        Ok(())
    }

    /// Waits for what is on its way, marks it, and gives the lease back, so that another instance
    /// goes on at once.
    pub(super) async fn finish(&mut self) {
        self.producer.hurry();
        let drain = async {
            while !self.core.is_drained() {
                match self.acks.next().await {
                    Some((ticket, Ok(_))) => drop(self.core.acked(ticket)),
                    Some((_, Err(_))) | None => break,
                }
            }
        };
        // What does not make it is published again by the next holder.
        drop(timeout(DRAIN, drain).await);
        let epoch = self.lease.epoch();
        let released = match self.mark().await {
            Ok(true) => self.slot.store.release(epoch).await.map_err(Error::from),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = released {
            tracing::warn!(%error, "the relay slot was not given back; it is free when the lease ends");
        }
    }
}

type Answer = Result<(i32, i64), kafka::Error>;

// === impl Ack ===

impl Future for Ack {
    type Output = (Ticket, Answer);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.delivery).poll(cx));
        match &answer {
            Ok(_) => signals::acknowledged(self.occurred_at),
            Err(_) => self.span.fail("not-delivered"),
        }
        drop(std::mem::take(&mut self.span));
        Poll::Ready((self.ticket, answer))
    }
}
