//! The card processor's HTTP, turned into answers that the rules understand.
//!
//! Nothing here repeats a request: the rules decide what is asked next, and the saga when.

use std::time::{Duration, Instant};

use brewline_failpoint as failpoint;
use brewline_kernel::{Money, OrderId, TraceParent};
use brewline_payment_domain::{Answer, Call, Found, FoundStatus, Request};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::ProcessorConfig;
use crate::{Error, signals};

/// How long an idle connection is kept: shorter than servers usually do, so that the next request
/// seldom meets one that is being closed.
const IDLE: Duration = Duration::from_secs(20);

/// How much of an error's body is kept for people, in characters.
const DETAIL_CHARS_MAX: usize = 200;

/// A client of the card processor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Processor {
    client: Client,
    url: String,
}

/// An authorisation on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorisation {
    id: String,
    status: String,
    #[serde(default)]
    decline_code: Option<String>,
}

/// What an error's body may say.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

// === impl Processor ===

impl Processor {
    /// A client that keeps its connections open.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn new(config: &ProcessorConfig) -> Result<Self, Error> {
        let client = Client::builder()
            .timeout(config.timeout)
            .pool_max_idle_per_host(config.concurrency_max)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url: config.url.clone(),
        })
    }

    /// Makes one request and says what came of it.
    pub(crate) async fn ask(&self, request: &Request, trace: Option<TraceParent>) -> Answer {
        let started = Instant::now();
        let mut span = Span::start(&names::CARD_PROCESSOR, trace);
        let trace = span.context().or(trace);
        let answer = match planted::instead(self, request).await {
            Some(answer) => answer,
            None => self.make(request, trace).await,
        };
        signals::asked(&request.call, &answer, started.elapsed());
        record(&mut span, request, &answer);
        answer
    }

    async fn make(&self, request: &Request, trace: Option<TraceParent>) -> Answer {
        let order = request.order_id;
        let Some(key) = planted::key(request) else {
            return self.find("reference", &order.to_string()).await;
        };
        let (path, body) = on_the_wire(order, &request.call);
        self.post(&path, &key, &body, trace, &request.call).await
    }

    async fn post(
        &self,
        path: &str,
        key: &str,
        body: &Value,
        trace: Option<TraceParent>,
        call: &Call,
    ) -> Answer {
        let mut request = self
            .client
            .post(format!("{}/v1/authorisations{path}", self.url))
            .header("idempotency-key", key)
            .json(body);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
        }
        match send(request).await {
            Err(detail) => Answer::Unknown { detail },
            Ok((status, body)) if status.is_success() => accepted(call, &body),
            Ok((status, body)) => refused(call, status, &body),
        }
    }

    async fn find(&self, by: &str, value: &str) -> Answer {
        // Neither an order's id nor a key made of it has anything to escape.
        let url = format!("{}/v1/authorisations?{by}={value}", self.url);
        let request = self.client.get(url);
        match send(request).await {
            Err(detail) => Answer::Unknown { detail },
            Ok((StatusCode::NOT_FOUND, _)) => Answer::Found(Vec::new()),
            Ok((status, body)) if status.is_success() => found(&body),
            Ok((status, _)) => unknown(format!("the look-up was answered {status}")),
        }
    }
}

fn record(span: &mut Span, request: &Request, answer: &Answer) {
    let (call, said) = (
        signals::call_name(&request.call),
        signals::answer_name(answer),
    );
    if matches!(answer, Answer::Unknown { .. }) {
        span.fail(said);
    }
    span.named(|| format!("POST {call}"));
    span.set(attribute::ORDER_ID, || request.order_id.to_string());
    span.set(attribute::CALL, || call);
    span.set(attribute::OUTCOME, || said);
}

async fn send(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), String> {
    let answered = async {
        let response: Response = request.send().await?;
        let status = response.status();
        Ok((status, response.bytes().await?.to_vec()))
    };
    // Without the URL: it names orders, and the row it ends up in does so already.
    answered
        .await
        .map_err(|error: reqwest::Error| error.without_url().to_string())
}

fn on_the_wire(order: OrderId, call: &Call) -> (String, Value) {
    let whole = |amount: &Money| json!({"amountMinor": amount.minor, "currency": amount.currency});
    match call {
        Call::Authorise { amount, token } => (
            String::new(),
            json!({
                "reference": order,
                "amountMinor": planted::amount(amount.minor),
                "currency": amount.currency,
                "token": token,
            }),
        ),
        Call::Capture {
            authorisation_id,
            amount,
        } => (
            format!("/{authorisation_id}/captures"),
            planted::part(whole(amount)),
        ),
        Call::Void { authorisation_id } => (format!("/{authorisation_id}/voids"), json!({})),
        Call::Refund {
            authorisation_id,
            amount,
        } => (
            format!("/{authorisation_id}/refunds"),
            planted::part(whole(amount)),
        ),
        Call::FindByReference => (String::new(), Value::Null),
    }
}

/// What a 2xx says. One that cannot be read says nothing.
fn accepted(call: &Call, body: &[u8]) -> Answer {
    let Ok(said) = serde_json::from_slice::<Authorisation>(body) else {
        return unknown("the answer could not be read".to_owned());
    };
    match (call, said.status.as_str()) {
        (_, "declined") => Answer::Declined {
            code: said.decline_code.unwrap_or_else(|| "declined".to_owned()),
        },
        // A repeat may be answered with how the authorisation stands by now.
        (Call::Authorise { .. }, _) => Answer::Authorised { id: said.id },
        _ => Answer::Accepted,
    }
}

/// What another status says. Only a clear "no" is one: the rest may have taken effect, or may yet.
fn refused(call: &Call, status: StatusCode, body: &[u8]) -> Answer {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    match (call, problem.code.as_str()) {
        // Nobody else touches our authorisations: what was done under a key that the processor has
        // forgotten was done by us.
        (Call::Capture { .. }, "already-captured" | "already-refunded")
        | (Call::Void { .. }, "already-voided")
        | (Call::Refund { .. }, "already-refunded") => return Answer::Accepted,
        _ => {}
    }
    let detail = describe(status, &problem);
    let definite = [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    if definite.contains(&status) && !problem.code.is_empty() {
        Answer::Refused { detail }
    } else {
        Answer::Unknown { detail }
    }
}

fn describe(status: StatusCode, problem: &Problem) -> String {
    let text = match (problem.detail.as_str(), problem.code.as_str()) {
        ("", "") => format!("the processor answered {status}"),
        ("", code) => format!("{status}: {code}"),
        (detail, _) => format!("{status}: {detail}"),
    };
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

/// Reads a look-up's answer: a list, bare or under `items`.
fn found(body: &[u8]) -> Answer {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = value.get_mut("items").map(Value::take).unwrap_or(value);
    match serde_json::from_value::<Vec<Authorisation>>(items) {
        Ok(found) => Answer::Found(found.into_iter().filter_map(standing).collect()),
        Err(_) => unknown("the look-up's answer could not be read".to_owned()),
    }
}

fn standing(found: Authorisation) -> Option<Found> {
    let status = match found.status.as_str() {
        "authorised" => FoundStatus::Authorised,
        "declined" => FoundStatus::Declined(found.decline_code.unwrap_or_default()),
        "captured" => FoundStatus::Captured,
        "voided" => FoundStatus::Voided,
        "refunded" => FoundStatus::Refunded,
        _ => return None,
    };
    Some(Found {
        id: found.id,
        status,
    })
}

const fn unknown(detail: String) -> Answer {
    Answer::Unknown { detail }
}

/// Bugs that someone could really make here, for the tests of the tests.
mod planted {
    use super::{Answer, Call, Processor, Request, Value, failpoint, json};

    /// Retries under a fresh key.
    pub(super) fn key(request: &Request) -> Option<String> {
        let key = request.key()?;
        if failpoint::planted("new-key-on-unknown") && request.attempt > 1 {
            return Some(format!("{key}/{}", request.attempt));
        }
        Some(key)
    }

    /// Holds, and so captures, another amount than the order's.
    pub(super) fn amount(minor: i64) -> i64 {
        minor + i64::from(failpoint::planted("wrong-capture-amount"))
    }

    /// With a wrong amount held, all of it is taken.
    pub(super) fn part(whole: Value) -> Value {
        if failpoint::planted("wrong-capture-amount") {
            return json!({});
        }
        whole
    }

    /// Asks something else, or more, than the rules said.
    pub(super) async fn instead(processor: &Processor, request: &Request) -> Option<Answer> {
        match &request.call {
            Call::Void { authorisation_id } if failpoint::planted("capture-after-reverse") => {
                let capture = format!("/{authorisation_id}/captures");
                let key = format!("{}/capture", request.order_id);
                Some(
                    processor
                        .post(&capture, &key, &json!({}), None, &request.call)
                        .await,
                )
            }
            Call::Authorise { .. } if failpoint::planted("double-capture") => {
                charge_again(processor, request).await;
                None
            }
            Call::Authorise { .. } if request.attempt > 1 && failpoint::planted("404-means-no") => {
                let found = processor.find("key", &request.key()?).await;
                let nothing = found == Answer::Found(Vec::new());
                nothing.then(|| Answer::Refused {
                    detail: "the processor knows nothing of it".to_owned(),
                })
            }
            Call::Authorise { .. }
            | Call::Capture { .. }
            | Call::Void { .. }
            | Call::Refund { .. }
            | Call::FindByReference => None,
        }
    }

    /// Authorises and captures once more, under keys that nobody knows.
    async fn charge_again(processor: &Processor, request: &Request) {
        let (path, body) = super::on_the_wire(request.order_id, &request.call);
        let key = format!("{}/again", request.order_id);
        let held = processor
            .post(&path, &key, &body, None, &request.call)
            .await;
        if let Answer::Authorised { id } = held {
            let path = format!("/{id}/captures");
            processor
                .post(&path, &key, &json!({}), None, &request.call)
                .await;
        }
    }
}
