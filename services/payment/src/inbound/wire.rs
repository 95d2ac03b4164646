//! Between the wire and the domain. What breaks a rule is refused here, before it is on any record.

use brewline_kernel::{Currency, Money, OrderId, TraceParent};
use brewline_payment_domain::{Command, Effect, Kind, Outcome, Payment, RefusalReason, TokenHash};
use brewline_proto::payment::v1 as proto;
use brewline_proto::payment::v1::outcome::Result as Said;
use brewline_server::status;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::app::Payer;

/// The longest token of a card, in characters.
const TOKEN_CHARS_MAX: usize = 128;

/// A command as it came in.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) order_id: OrderId,
    pub(super) command: Command,
    pub(super) payer: Payer,
    pub(super) trace: Option<TraceParent>,
}

type Fault = (String, String);

pub(super) fn authorise(request: proto::AuthoriseRequest) -> Result<Item, Fault> {
    let order_id = order_id(&request.order_id)?;
    let amount = amount(request.amount)?;
    let token = token(request.token)?;
    Ok(Item {
        order_id,
        payer: Payer::of(&token, &request.customer_id),
        command: Command::Authorise {
            amount,
            token_hash: token_hash(order_id, &token),
            token,
        },
        trace: trace(&request.traceparent),
    })
}

pub(super) fn capture(request: &proto::CaptureRequest) -> Result<Item, Fault> {
    Ok(Item {
        order_id: order_id(&request.order_id)?,
        command: Command::Capture,
        payer: Payer::default(),
        trace: trace(&request.traceparent),
    })
}

pub(super) fn reverse(request: &proto::ReverseRequest) -> Result<Item, Fault> {
    Ok(Item {
        order_id: order_id(&request.order_id)?,
        command: Command::Reverse,
        payer: Payer::default(),
        trace: trace(&request.traceparent),
    })
}

/// All items, or every fault in them, each under its item's place.
pub(super) fn all<R>(
    requests: Vec<R>,
    parse: impl Fn(R) -> Result<Item, Fault>,
) -> Result<Vec<Item>, Status> {
    let (mut items, mut faults) = (Vec::with_capacity(requests.len()), Vec::new());
    for (place, request) in requests.into_iter().enumerate() {
        match parse(request) {
            Ok(item) => items.push(item),
            Err((field, sentence)) => faults.push((format!("items[{place}].{field}"), sentence)),
        }
    }
    if faults.is_empty() {
        Ok(items)
    } else {
        Err(status::invalid(faults))
    }
}

pub(super) fn one(parsed: Result<Item, Fault>) -> Result<Item, Status> {
    parsed.map_err(|fault| status::invalid(vec![fault]))
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Fault> {
    text.parse()
        .map_err(|error: brewline_kernel::InvalidId| ("order_id".to_owned(), error.to_string()))
}

fn amount(money: Option<brewline_proto::money::v1::Money>) -> Result<Money, Fault> {
    let fault = |field: &str, sentence: String| (field.to_owned(), sentence);
    let money = money.ok_or_else(|| fault("amount", "it is missing".to_owned()))?;
    let currency: Currency =
        money
            .currency
            .parse()
            .map_err(|error: brewline_kernel::InvalidCurrency| {
                fault("amount.currency", error.to_string())
            })?;
    if money.amount_minor <= 0 {
        return Err(fault(
            "amount.amount_minor",
            "it must be positive".to_owned(),
        ));
    }
    Ok(Money::new(money.amount_minor, currency))
}

fn token(token: String) -> Result<String, Fault> {
    let fits =
        (1..=TOKEN_CHARS_MAX).contains(&token.len()) && token.bytes().all(|c| c.is_ascii_graphic());
    if fits {
        return Ok(token);
    }
    let sentence = format!("a token has 1 to {TOKEN_CHARS_MAX} visible ASCII characters");
    Err(("token".to_owned(), sentence))
}

/// With the order in it, so that digests do not tell who paid with the same card twice.
fn token_hash(order_id: OrderId, token: &str) -> TokenHash {
    let digest = Sha256::new()
        .chain_update(order_id.as_uuid().as_bytes())
        .chain_update(token.as_bytes())
        .finalize();
    TokenHash(digest.into())
}

/// A malformed trace is no reason to refuse money.
fn trace(text: &str) -> Option<TraceParent> {
    text.parse().ok()
}

pub(super) fn outcome(outcome: Outcome) -> proto::Outcome {
    let said = match outcome {
        Outcome::Done {
            authorisation_id,
            effect,
        } => Said::Done(proto::Done {
            authorisation_id,
            effect: effect_to_wire(effect).into(),
        }),
        Outcome::Declined { code } => Said::Declined(proto::Declined { decline_code: code }),
        Outcome::Unknown { detail } => Said::Unknown(proto::Unknown { detail }),
        Outcome::Refused { reason, detail } => Said::Refused(proto::Refused {
            reason: reason_to_wire(reason).into(),
            detail: told_of(reason, detail),
        }),
    };
    proto::Outcome { result: Some(said) }
}

/// What is answered ends in front of the customer. Which rule it was, and its limits, are for who runs this:
/// they are on record.
fn told_of(reason: RefusalReason, detail: String) -> String {
    match reason {
        RefusalReason::Risk => "a risk rule refuses the payment".to_owned(),
        RefusalReason::Reversed
        | RefusalReason::NotAuthorised
        | RefusalReason::Processor
        | RefusalReason::Mismatch => detail,
    }
}

const fn effect_to_wire(effect: Effect) -> proto::Effect {
    match effect {
        Effect::Authorised => proto::Effect::Authorised,
        Effect::Captured => proto::Effect::Captured,
        Effect::Voided => proto::Effect::Voided,
        Effect::Refunded => proto::Effect::Refunded,
        Effect::Nothing => proto::Effect::Nothing,
    }
}

const fn reason_to_wire(reason: RefusalReason) -> proto::RefusalReason {
    match reason {
        RefusalReason::Reversed => proto::RefusalReason::Reversed,
        RefusalReason::NotAuthorised => proto::RefusalReason::NotAuthorised,
        RefusalReason::Risk => proto::RefusalReason::Risk,
        RefusalReason::Processor => proto::RefusalReason::Processor,
        RefusalReason::Mismatch => proto::RefusalReason::Mismatch,
    }
}

pub(super) fn payment(payment: Option<&Payment>) -> proto::GetPaymentResponse {
    let operations = [Kind::Authorise, Kind::Capture, Kind::Reverse]
        .into_iter()
        .filter_map(|kind| {
            let operation = payment?.operation(kind)?;
            Some(proto::Operation {
                kind: kind.as_str().to_owned(),
                state: operation.state.to_string(),
                attempts: i32::try_from(operation.attempts).unwrap_or(i32::MAX),
                detail: operation.detail.clone(),
                risk_rule: risk_rule(payment?, kind),
            })
        })
        .collect();
    proto::GetPaymentResponse { operations }
}

/// The rule that refused it; empty when none did.
fn risk_rule(payment: &Payment, kind: Kind) -> String {
    let authorisation = payment.authorisation.as_ref();
    authorisation
        .filter(|_| kind == Kind::Authorise)
        .and_then(|it| it.risk_rule.clone())
        .unwrap_or_default()
}
