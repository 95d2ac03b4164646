use std::fmt;
use std::sync::Arc;

use brewline_kernel::{Clock, IdGenerator, OrderId, TraceParent};
use brewline_messaging::Outbox;
use brewline_payment_domain::{Answer, Command, KeyLifetime, Outcome, Payment, Request, Rules};
use brewline_postgres::Pool;
use brewline_server::Context;
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use tokio::sync::{mpsc, oneshot};

use super::payer::Payer;
use super::{intents, outcomes, requests, risk};
use crate::config::Limits;
use crate::outbound::processor::Processor;
use crate::outbound::store::{self, Recorded};
use crate::{Error, signals};

/// Where commands go in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operations {
    commands: mpsc::Sender<Commanded>,
    pool: Pool,
}

/// What the stages work with.
#[derive(Clone)]
pub struct Machinery {
    /// The database.
    pub pool: Pool,
    /// The card processor.
    pub processor: Processor,
    /// Requests to it that are open at once.
    pub concurrency_max: usize,
    /// How old a request may be when it leaves.
    pub patience: std::time::Duration,
    /// How long it remembers a key.
    pub key_lifetime: KeyLifetime,
    /// Where events are left.
    pub outbox: Outbox,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of events.
    pub ids: Arc<dyn IdGenerator>,
    /// Which authorisations are too risky.
    pub rules: Arc<Rules>,
    /// How much is held where.
    pub limits: Limits,
}

/// A command on its way.
#[derive(Debug)]
pub(super) struct Commanded {
    pub(super) order_id: OrderId,
    pub(super) command: Command,
    pub(super) payer: Payer,
    pub(super) trace: Option<TraceParent>,
    pub(super) reply: Reply,
}

/// Where its outcome goes.
#[derive(Debug)]
pub(super) struct Reply(oneshot::Sender<Result<Outcome, Error>>);

/// A command whose intent is on record and whose request is to be made.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) commanded: Commanded,
    pub(super) recorded: Recorded,
    pub(super) request: Request,
}

/// A command whose request was made.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) asked: Asked,
    pub(super) answer: Answer,
}

// === impl Operations ===

impl Operations {
    /// Starts the stages. They end when the context shuts down and every handle is gone, having
    /// finished what they hold.
    #[must_use]
    pub fn start(context: &Context, machinery: Machinery) -> Self {
        let room = machinery.limits.queue_rows_max;
        let (commands, commanded) = mpsc::channel(room);
        let (requests, to_ask) = mpsc::channel(room);
        let (answers, to_record) = mpsc::channel(room);
        let pool = machinery.pool.clone();
        context.spawn(
            "intents",
            intents::run(machinery.clone(), commanded, requests),
        );
        let (risk_pool, clock) = (machinery.pool.clone(), Arc::clone(&machinery.clock));
        context.spawn("risk", risk::forget(risk_pool, clock, context.shutdown()));
        context.spawn(
            "requests",
            requests::run(machinery.clone(), to_ask, answers),
        );
        context.spawn("outcomes", outcomes::run(machinery, to_record));
        Self { commands, pool }
    }

    /// Moves an order's money on by at most one request to the processor; `payer` is whose the risk of
    /// an authorisation is. Whoever waits may go away: what was begun is recorded all the same.
    ///
    /// # Errors
    /// When it could not be recorded; the same command again finds out how it stands.
    pub async fn run(
        &self,
        order_id: OrderId,
        command: Command,
        payer: Payer,
        trace: Option<TraceParent>,
    ) -> Result<Outcome, Error> {
        let kind = command.kind();
        let (reply, outcome) = oneshot::channel();
        let mut span = Span::of_sampled(&names::PAYMENT_COMMAND, trace);
        span.named(|| format!("payment {}", kind.as_str()));
        span.set(attribute::ORDER_ID, || order_id.to_string());
        span.set(attribute::CALL, || kind.as_str());
        let commanded = Commanded {
            order_id,
            command,
            payer,
            trace: span.context().or(trace),
            reply: Reply(reply),
        };
        let sent = self.commands.send(commanded).await;
        sent.map_err(|_| Error::ShuttingDown)?;
        let outcome = outcome.await.map_err(|_| Error::ShuttingDown)??;
        let said = signals::answered(kind, &outcome);
        span.set(attribute::OUTCOME, || said);
        Ok(outcome)
    }

    /// What is known of an order's money; none when it was never heard of.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find(&self, order_id: OrderId) -> Result<Option<Payment>, Error> {
        store::find(&self.pool, order_id).await
    }
}

// === impl Machinery ===

impl fmt::Debug for Machinery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machinery")
            .field("pool", &self.pool)
            .field("processor", &self.processor)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

// === impl Reply ===

impl Reply {
    /// Hands the outcome over, if somebody still waits for it.
    pub(super) fn give(self, outcome: Result<Outcome, Error>) {
        drop(self.0.send(outcome));
    }
}
