//! Calling payment. Whatever is not a definite answer is [`Outcome::Unknown`]: a deadline, a broken
//! connection, an error of the other side, an answer that says nothing.

use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{OrderId, TraceParent};
use brewline_order_domain::checkout::{Effect, Outcome};
use brewline_proto::money::v1::Money;
use brewline_proto::payment::v1 as wire;
use brewline_server::client::Channel;
use tonic::{Request, Status};
use wire::payment_service_client::PaymentServiceClient;

use super::saga_store::Card;

/// What is asked of payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// Hold the amount.
    Authorise,
    /// Take it.
    Capture,
    /// Undo whatever was done, and refuse whatever comes later.
    Reverse,
}

/// One order's call. Idempotent by order and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The order.
    pub order_id: OrderId,
    /// What an authorisation asks for; none for other kinds.
    pub card: Option<Card>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Payment's client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PaymentsClient {
    client: PaymentServiceClient<Channel>,
    timeout: Duration,
}

/// A planted bug.
const KEEPS_CAPTURE: &str = "reject-keeps-capture";

/// The outcomes as they came, one a call, or why none did.
type Answers = Result<Vec<Option<wire::Outcome>>, Status>;

// === impl CallKind ===

impl CallKind {
    /// Its name, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Reverse => "reverse",
        }
    }

    /// The method that takes a batch of them.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Authorise => "brewline.payment.v1.PaymentService/AuthoriseBatch",
            Self::Capture => "brewline.payment.v1.PaymentService/CaptureBatch",
            Self::Reverse => "brewline.payment.v1.PaymentService/ReverseBatch",
        }
    }
}

// === impl PaymentsClient ===

impl PaymentsClient {
    /// Calls through `channel`; each call may take `timeout`.
    #[must_use]
    pub fn new(channel: impl Into<Channel>, timeout: Duration) -> Self {
        Self {
            client: PaymentServiceClient::new(channel.into()),
            timeout,
        }
    }

    /// Makes `calls`, all of one kind, in one request. Answers one outcome each, in their order.
    pub async fn call(&self, kind: CallKind, calls: &[Call]) -> Vec<Outcome> {
        let forgets = failpoint::planted("forget-reverse") || failpoint::planted(KEEPS_CAPTURE);
        if kind == CallKind::Reverse && forgets {
            return calls
                .iter()
                .map(|_| Outcome::Done(Effect::Nothing))
                .collect();
        }
        let answers = match kind {
            CallKind::Authorise => self.within(self.authorise(calls)).await,
            CallKind::Capture => self.within(self.capture(calls)).await,
            CallKind::Reverse => self.within(self.reverse(calls)).await,
        };
        let mut answers = answers.unwrap_or_else(|status| {
            let call = kind.as_str();
            tracing::warn!(call, orders = calls.len(), %status, "payment gave no answer");
            Vec::new()
        });
        // An answer that is missing is an answer that is not known.
        answers.resize(calls.len(), None);
        let outcomes = answers.into_iter().map(|answer| outcome(kind, answer));
        self.sabotaged(kind, calls, outcomes.collect()).await
    }

    /// The channel has no deadline of its own, and waits while no replica can be reached.
    async fn within(&self, answers: impl Future<Output = Answers>) -> Answers {
        let timed = tokio::time::timeout(self.timeout, answers).await;
        timed.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
    }

    async fn authorise(&self, calls: &[Call]) -> Answers {
        let items = calls.iter().map(authorise_request).collect();
        let request = self.request(wire::AuthoriseBatchRequest { items });
        let response = self.client.clone().authorise_batch(request).await?;
        let items = response.into_inner().items.into_iter();
        Ok(items.map(|item| item.outcome).collect())
    }

    async fn capture(&self, calls: &[Call]) -> Answers {
        let items = calls.iter().map(|call| wire::CaptureRequest {
            order_id: call.order_id.to_string(),
            traceparent: call.trace(),
        });
        let request = self.request(wire::CaptureBatchRequest {
            items: items.collect(),
        });
        let response = self.client.clone().capture_batch(request).await?;
        let items = response.into_inner().items.into_iter();
        Ok(items.map(|item| item.outcome).collect())
    }

    async fn reverse(&self, calls: &[Call]) -> Answers {
        let items = calls.iter().map(|call| wire::ReverseRequest {
            order_id: call.order_id.to_string(),
            traceparent: call.trace(),
        });
        let request = self.request(wire::ReverseBatchRequest {
            items: items.collect(),
        });
        let response = self.client.clone().reverse_batch(request).await?;
        let items = response.into_inner().items.into_iter();
        Ok(items.map(|item| item.outcome).collect())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // Payment is told as well, so that it does not work on what nobody waits for.
        request.set_timeout(self.timeout);
        request
    }

    /// The planted bug `reject-keeps-capture`: some orders are captured, called declined, and never
    /// reversed.
    async fn sabotaged(
        &self,
        kind: CallKind,
        calls: &[Call],
        mut outcomes: Vec<Outcome>,
    ) -> Vec<Outcome> {
        if kind != CallKind::Authorise || !failpoint::planted(KEEPS_CAPTURE) {
            return outcomes;
        }
        let pairs = calls.iter().zip(outcomes.iter_mut());
        for (call, outcome) in
            pairs.filter(|(call, _)| call.order_id.as_uuid().as_u128().is_multiple_of(8))
        {
            let captured = self.capture(std::slice::from_ref(call)).await;
            if captured.is_ok() {
                let code = "planted".to_owned();
                *outcome = Outcome::Declined { code };
            }
        }
        outcomes
    }
}

fn authorise_request(call: &Call) -> wire::AuthoriseRequest {
    let mut request = wire::AuthoriseRequest {
        order_id: call.order_id.to_string(),
        traceparent: call.trace(),
        ..wire::AuthoriseRequest::default()
    };
    if let Some(card) = &call.card {
        request.amount = Some(Money {
            amount_minor: card.amount.minor,
            currency: card.amount.currency.to_string(),
        });
        request.token = card.token.expose().to_owned();
        request.customer_id = card.customer_id.to_string();
    }
    request
}

fn outcome(kind: CallKind, answer: Option<wire::Outcome>) -> Outcome {
    use wire::outcome::Result as Answer;
    match answer.and_then(|answer| answer.result) {
        Some(Answer::Done(done)) => effect(done.effect()).map_or(Outcome::Unknown, Outcome::Done),
        Some(Answer::Declined(declined)) => Outcome::Declined {
            code: declined.decline_code,
        },
        Some(Answer::Refused(refused)) => match refused.reason() {
            wire::RefusalReason::Risk => Outcome::RiskRefused {
                detail: refused.detail,
            },
            wire::RefusalReason::Unspecified
            | wire::RefusalReason::Reversed
            | wire::RefusalReason::NotAuthorised
            | wire::RefusalReason::Processor
            | wire::RefusalReason::Mismatch => Outcome::Refused {
                detail: refused.detail,
            },
        },
        Some(Answer::Unknown(_)) | None
            if kind == CallKind::Authorise
                && failpoint::planted("confirm-without-authorisation-known") =>
        {
            Outcome::Done(Effect::Authorised)
        }
        Some(Answer::Unknown(_)) | None
            if kind == CallKind::Capture && failpoint::planted("unknown-capture-means-refused") =>
        {
            Outcome::Refused {
                detail: "no answer".to_owned(),
            }
        }
        Some(Answer::Unknown(_)) | None => Outcome::Unknown,
    }
}

fn effect(effect: wire::Effect) -> Option<Effect> {
    match effect {
        wire::Effect::Unspecified => None,
        wire::Effect::Authorised => Some(Effect::Authorised),
        wire::Effect::Captured => Some(Effect::Captured),
        wire::Effect::Voided => Some(Effect::Voided),
        wire::Effect::Refunded => Some(Effect::Refunded),
        wire::Effect::Nothing => Some(Effect::Nothing),
    }
}

// === impl Call ===

impl Call {
    fn trace(&self) -> String {
        self.traceparent
            .map(|trace| trace.to_string())
            .unwrap_or_default()
    }
}
