//! Makes the calls that sagas owe, a batch at a time, and writes what came of them.

use brewline_failpoint as failpoint;
use brewline_order_domain::checkout::{CheckoutEvent, Outcome};
use brewline_postgres::Pool;
use brewline_saga::driver::{self, Panicked, Performer};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Checkouts, Error, Happening, signals};
use crate::outbound::payments_client::{Call, CallKind, PaymentsClient};
use crate::outbound::store::Cause;

/// How often the outcomes of a batch are written anew when their transaction lost against another one.
/// After that the sagas' timers do it.
const WRITE_ATTEMPTS_MAX: u32 = 3;

/// Makes calls and dispatches their outcomes.
#[derive(Debug)]
pub struct CallSender {
    pool: Pool,
    checkouts: Checkouts,
    payments: PaymentsClient,
}

// === impl CallSender ===

impl CallSender {
    /// Calls `payments`, and writes through `pool`.
    #[must_use]
    pub const fn new(pool: Pool, checkouts: Checkouts, payments: PaymentsClient) -> Self {
        Self {
            pool,
            checkouts,
            payments,
        }
    }

    /// Makes calls as they are handed over, until `shutdown`.
    ///
    /// # Errors
    /// When a batch panicked.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Panicked> {
        let (handle, pace) = (self.checkouts.calls.clone(), self.pool.pace());
        driver::send_calls(Arc::new(self), handle, pace, shutdown).await
    }

    async fn write(&self, happenings: Vec<Happening>) -> Result<(), Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        let moved = self.checkouts.dispatch(&tx, happenings).await?;
        tx.commit().await?;
        failpoint::hit("checkout.outcome-committed");
        self.checkouts.committed(moved);
        Ok(())
    }

    /// Writes outcomes; what cannot be written is asked for again when the sagas' rows fall due.
    async fn write_or_leave(&self, kind: CallKind, happenings: Vec<Happening>) {
        for attempt in 1..=WRITE_ATTEMPTS_MAX {
            let Err(error) = self.write(happenings.clone()).await else {
                return;
            };
            let lost = error
                .database()
                .is_some_and(brewline_postgres::Error::is_retryable);
            if !lost || attempt == WRITE_ATTEMPTS_MAX {
                tracing::warn!(
                    call = kind.as_str(),
                    orders = happenings.len(),
                    error = %error,
                    "outcomes of calls could not be written; the calls will be made again"
                );
                return;
            }
        }
    }
}

/// A span for each call whose trace is recorded. The call names it as the parent.
fn spans(kind: CallKind, calls: &mut [Call]) -> Vec<Span> {
    let mut spans = Vec::new();
    for call in calls {
        let mut span = Span::of_sampled(&names::RPC_CLIENT, call.traceparent);
        let Some(context) = span.context() else {
            continue;
        };
        span.named(|| format!("payment {}", kind.as_str()));
        span.set(attribute::RPC_SYSTEM_NAME, || "grpc");
        span.set(attribute::RPC_METHOD, || kind.method());
        span.set(attribute::ORDER_ID, || call.order_id.to_string());
        call.traceparent = Some(context);
        spans.push(span);
    }
    spans
}

/// What an answer leads to is a part of the call's trace. Elsewhere the saga's own context counts.
fn cause(call: &Call) -> Option<Cause> {
    let trace = call.traceparent.filter(|trace| trace.sampled);
    trace.map(|trace| Cause::request(call.order_id, Some(trace)))
}

impl Performer for CallSender {
    type Kind = CallKind;
    type Call = Call;

    async fn perform(&self, kind: CallKind, mut calls: Vec<Call>) {
        failpoint::hit("checkout.step-recorded-before-call");
        let started = Instant::now();
        let spans = spans(kind, &mut calls);
        let outcomes = self.payments.call(kind, &calls).await;
        drop(spans);
        let unknown = outcomes.iter().filter(|o| **o == Outcome::Unknown).count();
        signals::called(kind, calls.len(), unknown, started.elapsed());
        failpoint::hit("checkout.call-answered-before-commit");
        let happenings = calls.iter().zip(outcomes).map(|(call, outcome)| {
            let event = match kind {
                CallKind::Authorise => CheckoutEvent::AuthoriseOutcome(outcome),
                CallKind::Capture => CheckoutEvent::CaptureOutcome(outcome),
                CallKind::Reverse => CheckoutEvent::ReverseOutcome(outcome),
            };
            Happening {
                cause: cause(call),
                ..Happening::new(call.order_id, event)
            }
        });
        self.write_or_leave(kind, happenings.collect()).await;
    }
}
