//! Sends the mails whose turn has come.
//!
//! A turn: take due deliveries (a lease, not a lock: a worker that dies gives them back by dying), hand
//! each in on its own connection, record what came of them together. The mail server is asked outside any
//! transaction. Between its answer and the record a crash leaves a mail that is sent again: under the same
//! Message-ID, so that a mailbox shows one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{Clock, IdGenerator, OrderId, system};
use brewline_messaging::Outbox;
use brewline_notification_domain::{
    MailAnswer, Next, Turn, after_mail, judge, message, message_id,
};
use brewline_postgres::{Error as DatabaseError, Pace, Pool, Transaction};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rate::Rate;
use crate::outbound::deliveries::{self, Claimed, Recorded};
use crate::outbound::event_codec::{self, Ended};
use crate::outbound::mailer::{Mail, MailSettings, Mailer};
use crate::signals;

/// How many mails are in hand for each connection: one on its way, one that waits, so that no connection
/// waits for the database.
const IN_HAND_PER_CONNECTION: usize = 2;
/// How long a delivery is taken for: what waits may wait for one that hangs, and then hang itself; the
/// third is reserve. Nobody takes it over while its worker lives.
const LEASE_TIMEOUTS: u32 = 3;
/// How often it is looked for work without being woken.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait after the database failed.
const TROUBLE: Duration = Duration::from_millis(500);
/// How long no mail is tried after the server was not reached. Then one is, and the others follow it: a
/// backlog is not spent on a server that is away.
const AWAY: Duration = Duration::from_millis(500);
/// How long what was read of a delivery is believed. What waited longer for a connection is read again: it may
/// have ended meanwhile, with its order collected or its customer erased.
const FRESH: Duration = Duration::from_millis(200);
/// The most deliveries taken, or recorded, at once.
const BATCH_MAX: usize = 256;

/// What sending needs.
#[derive(Clone)]
pub struct SendMails {
    /// The service's own database.
    pub pool: Pool,
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
    /// Hands mails in.
    pub mailer: Arc<Mailer>,
    /// How mails are sent.
    pub settings: MailSettings,
    /// Says that there is work.
    pub wake: Arc<Notify>,
}

/// A worker at work.
struct Worker {
    parts: SendMails,
    rate: Rate,
    pace: Pace,
    /// Taken, with the instant at which they were.
    queue: VecDeque<(Instant, Claimed)>,
    /// None: nothing became of it that we may record.
    sending: JoinSet<Option<Done>>,
    done: Vec<Done>,
    /// Whether more may be due than was taken.
    more: bool,
    /// When the mail server was not reached, and no mail got through since.
    away_since: Option<Instant>,
}

/// A turn that is over.
#[derive(Debug)]
struct Done {
    claimed: Claimed,
    next: Next,
    expired: bool,
    /// Whether the mail server was not reached.
    away: bool,
}

// === impl SendMails ===

impl SendMails {
    /// Sends until shutdown. What is on its way then is finished and recorded.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut worker = Worker {
            rate: Rate::new(self.settings.per_second_max),
            pace: self.pool.pace(),
            parts: self,
            queue: VecDeque::new(),
            sending: JoinSet::new(),
            done: Vec::new(),
            more: true,
            away_since: None,
        };
        while !shutdown.is_cancelled() {
            worker.turn(&shutdown).await;
        }
        worker.finish().await;
    }
}

impl std::fmt::Debug for SendMails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendMails").finish_non_exhaustive()
    }
}

// === impl Worker ===

impl Worker {
    async fn turn(&mut self, shutdown: &CancellationToken) {
        self.collect();
        self.pump();
        let room = self.room();
        let work = !self.done.is_empty() || (self.more && room > 0);
        if work && self.pace.is_ready() {
            self.pace.begin();
            if let Err(error) = self.move_on(room).await {
                tracing::warn!(%error, "mails were neither taken nor recorded; trying again");
                tokio::time::sleep(TROUBLE).await;
            }
            self.pace.end();
            return;
        }
        let pace = &self.pace;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = pace.ready(), if work => {}
            Some(Ok(done)) = self.sending.join_next() => self.over(done),
            () = self.parts.wake.notified() => self.more = true,
            () = tokio::time::sleep(POLL) => self.more = true,
        }
    }

    /// One transaction: what was done is recorded with the events that tell it, what is due is taken.
    async fn move_on(&mut self, room: usize) -> Result<(), DatabaseError> {
        if !self.done.is_empty() {
            failpoint::hit("notification.sent-before-record");
        }
        let mut connection = self.parts.pool.get().await?;
        // The database counts the lease from the transaction's start: so is it counted here, or a mail
        // could still be sent when another worker already may.
        let taken_at = Instant::now();
        let tx = connection.transaction().await?;
        self.record(&tx).await?;
        let claimed = if self.more && room > 0 {
            let most = i64::try_from(room).unwrap_or(i64::MAX);
            deliveries::claim(&tx, most, self.lease()).await?
        } else {
            Vec::new()
        };
        tx.commit().await?;
        for done in self.done.drain(..) {
            signals::turn(done.claimed.told.kind.name(), outcome(&done));
        }
        self.take(claimed, room, taken_at);
        Ok(())
    }

    fn take(&mut self, claimed: Vec<Claimed>, room: usize, taken_at: Instant) {
        self.more = self.more && claimed.len() >= room;
        if !claimed.is_empty() {
            failpoint::hit("notification.claimed");
        }
        self.rate.take(claimed.len());
        let taken = claimed.into_iter().map(|claimed| (taken_at, claimed));
        self.queue.extend(taken);
        self.pump();
    }

    /// Begins as many as there are connections.
    fn pump(&mut self) {
        while self.sending.len() < self.parts.settings.connections_max {
            let Some((taken_at, claimed)) = self.queue.pop_front() else {
                return;
            };
            // With less left of its lease than it may take, somebody else could take it meanwhile.
            let age = taken_at.elapsed();
            if age + self.parts.settings.timeout < self.lease() {
                self.begin(claimed, age);
            }
        }
    }

    fn begin(&mut self, claimed: Claimed, age: Duration) {
        let mailer = Arc::clone(&self.parts.mailer);
        if age < FRESH {
            self.sending
                .spawn(async { Some(try_once(mailer, claimed).await) });
        } else {
            let pool = self.parts.pool.clone();
            // Reading takes time of the lease as well: what is left after it must still do for the mail server.
            let left = self.lease().saturating_sub(self.parts.settings.timeout);
            let until = Instant::now() + left.saturating_sub(age);
            self.sending
                .spawn(try_again_read(pool, mailer, claimed, until));
        }
    }

    fn collect(&mut self) {
        while self.done.len() < BATCH_MAX {
            match self.sending.try_join_next() {
                Some(Ok(done)) => self.over(done),
                // It panicked: its lease ends by itself.
                Some(Err(error)) => tracing::error!(%error, "a mail was not tried to its end"),
                None => break,
            }
        }
    }

    fn over(&mut self, done: Option<Done>) {
        let Some(done) = done else { return };
        if done.away {
            self.away_since = Some(Instant::now());
        } else if done.next == Next::Sent {
            self.away_since = None;
        }
        self.done.push(done);
    }

    /// How many may be taken now.
    fn room(&mut self) -> usize {
        let most = self.parts.settings.connections_max * IN_HAND_PER_CONNECTION;
        let in_hand = self.sending.len().saturating_add(self.queue.len());
        let most = match self.away_since {
            None => most,
            Some(since) if since.elapsed() < AWAY => 0,
            Some(_) => 1,
        };
        let free = most.saturating_sub(in_hand);
        free.min(self.rate.room()).min(BATCH_MAX)
    }

    fn lease(&self) -> Duration {
        self.parts.settings.timeout * LEASE_TIMEOUTS
    }

    /// What was done, and the events that tell it.
    async fn record(&self, tx: &Transaction<'_>) -> Result<(), DatabaseError> {
        if self.done.is_empty() {
            return Ok(());
        }
        let turns: Vec<Recorded> = self.done.iter().map(recorded).collect();
        let counted = deliveries::record(tx, &turns).await?;
        let (now, ids) = (self.parts.clock.now(), &self.parts.ids);
        let named = |done: &'_ Done| done.claimed.told.id;
        let by_id: BTreeMap<Uuid, &Done> = self.done.iter().map(|d| (named(d), d)).collect();
        let ended = counted.iter().filter_map(|id| by_id.get(id));
        let events: Vec<_> = ended
            .filter_map(|done| Some((done, ended_as(done)?)))
            .map(|(done, how)| event_codec::ended(ids.next(), now, &done.claimed.told, &how))
            .collect();
        self.parts.outbox.append(tx, &events).await
    }

    /// What is on its way is finished and recorded; what was only taken comes up again by itself.
    async fn finish(&mut self) {
        while let Some(done) = self.sending.join_next().await {
            self.done.extend(done.ok().flatten());
        }
        if let Err(error) = self.move_on(0).await {
            tracing::warn!(%error, "mails were sent and not recorded: they will be sent again");
        }
    }
}

/// One turn of a delivery that waited: what it is now counts, not what it was when it was taken.
///
/// Nothing is sent after `until`, when another worker might be about to send it.
async fn try_again_read(
    pool: Pool,
    mailer: Arc<Mailer>,
    claimed: Claimed,
    until: Instant,
) -> Option<Done> {
    let read = async { deliveries::still(&pool.get().await?, &claimed.told).await };
    match read.await {
        Ok(_) if Instant::now() >= until => None,
        Ok(still) => Some(try_once(mailer, still?).await),
        Err(error) => {
            // Its lease ends by itself, and it comes up again.
            tracing::warn!(%error, "a mail was not tried: what it is now cannot be read");
            None
        }
    }
}

/// One turn: the mail is handed in, if it still has a point.
async fn try_once(mailer: Arc<Mailer>, claimed: Claimed) -> Done {
    let (kind, happened_at) = (claimed.told.kind, claimed.happened_at);
    let (reason, expired) = match judge(kind, happened_at, claimed.email.is_some(), claimed.now) {
        Turn::Send => return send(mailer, claimed).await,
        Turn::Expire(reason) => (reason, true),
        Turn::GiveUp(reason) => (reason, false),
    };
    Done {
        claimed,
        next: Next::Failed {
            reason: reason.to_owned(),
        },
        expired,
        away: false,
    }
}

/// Hands one mail in.
async fn send(mailer: Arc<Mailer>, claimed: Claimed) -> Done {
    let (told, order) = (&claimed.told, OrderId::new(claimed.told.order));
    let (name, locale) = (claimed.name.as_str(), claimed.locale.as_str());
    let mail = Mail {
        to: claimed.email.clone().unwrap_or_default(),
        message_id: named(message_id(order, told.kind), told.attempts),
        text: message(told.kind, order, name, locale, &claimed.detail),
    };
    let mut span = Span::start(&names::SEND_NOTIFICATION, told.because.traceparent);
    let answer = mailer.send(&mail).await;
    describe(&mut span, order, &answer);
    drop(span);
    if answer == MailAnswer::Taken && failpoint::planted("mail-twice") {
        let message_id = mail.message_id.replace("@brewline", ".again@brewline");
        drop(mailer.send(&Mail { message_id, ..mail }).await);
    }
    let attempt = u32::try_from(told.attempts).unwrap_or(u32::MAX);
    let away = matches!(answer, MailAnswer::Away(_));
    let next = after_mail(answer, attempt, system::random());
    Done {
        claimed,
        next,
        expired: false,
        away,
    }
}

fn describe(span: &mut Span, order: OrderId, answer: &MailAnswer) {
    let outcome = match answer {
        MailAnswer::Taken => "sent",
        MailAnswer::NotNow(_) => "not-now",
        MailAnswer::Away(_) => "away",
        MailAnswer::Never(_) => "never",
    };
    if *answer != MailAnswer::Taken {
        span.fail(outcome);
    }
    span.named(|| "send mail".to_owned());
    span.set(attribute::ORDER_ID, || order.to_string());
    span.set(attribute::DELIVERY_CHANNEL, || "mail");
    span.set(attribute::OUTCOME, || outcome);
}

/// Planted: each attempt has a name of its own, so that a mailbox shows all of them.
fn named(message_id: String, attempts: i32) -> String {
    if attempts > 1 && failpoint::planted("new-message-id-on-retry") {
        return message_id.replace("@brewline", &format!(".{attempts}@brewline"));
    }
    message_id
}

fn recorded(done: &Done) -> Recorded {
    let (state, reason, after) = match &done.next {
        Next::Sent => ("sent", "", Duration::ZERO),
        Next::Again { after, reason } => ("pending", reason.as_str(), *after),
        Next::Failed { reason } if done.expired => ("expired", reason.as_str(), Duration::ZERO),
        Next::Failed { reason } => ("failed", reason.as_str(), Duration::ZERO),
    };
    Recorded {
        id: done.claimed.told.id,
        attempts: done.claimed.told.attempts,
        state,
        reason: reason.to_owned(),
        after,
    }
}

/// How it ended, if it did.
fn ended_as(done: &Done) -> Option<Ended> {
    match &done.next {
        Next::Sent => Some(Ended::Sent),
        Next::Again { .. } => None,
        Next::Failed { reason } if done.expired => Some(Ended::Expired(reason.clone())),
        Next::Failed { reason } => Some(Ended::Failed(reason.clone())),
    }
}

const fn outcome(done: &Done) -> &'static str {
    match done.next {
        Next::Sent => "sent",
        Next::Again { .. } => "again",
        Next::Failed { .. } if done.expired => "expired",
        Next::Failed { .. } => "failed",
    }
}
