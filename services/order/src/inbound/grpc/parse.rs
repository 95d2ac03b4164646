//! Requests into domain types. What is malformed is refused here, field by field, under the names that
//! a caller of the gateway knows.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use brewline_config::Secret;
use brewline_kernel::{CustomerId, IdempotencyKey, OrderId, ProductId, StoreId, TraceParent};
use brewline_order_domain::pricing::{LINES_MAX, RequestedLine};
use brewline_proto::order::v1 as wire;
use brewline_server::status;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::app::cancel_order::REASON_CHARS_MAX;
use crate::app::place_order::PlaceOrder;
use crate::app::query_orders::{PAGE_ORDERS_MAX, Patience, WAIT_MAX};
use crate::inbound::catalogue_consumer;
use crate::outbound::catalogue_store::Token;
use crate::outbound::idempotency_store::Fingerprint;
use crate::outbound::order_view::{self, Filter};
use crate::outbound::store;

/// The most consistency tokens of one request.
const TOKENS_MAX: usize = 8;
/// The longest card token, and the longest name of a principal, in characters.
const PAYMENT_TOKEN_CHARS_MAX: usize = 255;
const PRINCIPAL_CHARS_MAX: usize = 255;

/// Everything wrong with a request so far.
#[derive(Default)]
pub(in crate::inbound) struct Faults(Vec<(String, String)>);

pub(super) fn place_order(request: wire::PlaceOrderRequest) -> Result<PlaceOrder, Status> {
    let mut faults = Faults::default();
    let fingerprint = fingerprint(&request);
    let principal = faults.principal(request.principal);
    let key: Option<IdempotencyKey> = faults.parse("idempotencyKey", &request.idempotency_key);
    let store_id: Option<StoreId> = faults.parse("storeId", &request.store_id);
    let customer_id: Option<CustomerId> = faults.parse("customerId", &request.customer_id);
    let lines = lines(&mut faults, &request.lines);
    let payment_token = payment_token(&mut faults, request.payment_token);
    let parsed = (|| {
        Some(PlaceOrder {
            principal: principal?,
            key: key?,
            fingerprint,
            store_id: store_id?,
            customer_id: customer_id?,
            lines,
            payment_token: payment_token?,
            traceparent: traceparent(&request.traceparent),
        })
    })();
    faults.finish(parsed)
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Status> {
    let mut faults = Faults::default();
    let order_id = faults.parse("orderId", text);
    faults.finish(order_id)
}

pub(super) fn cancel_reason(text: &str) -> Result<String, Status> {
    let chars = text.chars().count();
    if chars > REASON_CHARS_MAX || text.contains('\0') {
        let detail =
            format!("a reason has at most {REASON_CHARS_MAX} characters, none of them NUL");
        return Err(status::invalid(vec![("reason".to_owned(), detail)]));
    }
    Ok(text.to_owned())
}

pub(super) fn filter(request: &wire::ListOrdersRequest) -> Result<Filter, Status> {
    let mut faults = Faults::default();
    let customer_id = faults.parse_given("customerId", &request.customer_id);
    let store_id = faults.parse_given("storeId", &request.store_id);
    let status = order_view::status_back(request.status).unwrap_or_else(|number| {
        faults.add("status", format!("{number} is no status of an order"));
        None
    });
    faults.finish(Some(Filter {
        customer_id,
        store_id,
        status,
    }))
}

pub(super) fn page_size(asked: i32) -> Result<u16, Status> {
    let size = u16::try_from(asked).ok();
    size.filter(|size| (1..=PAGE_ORDERS_MAX).contains(size))
        .ok_or_else(|| {
            let detail = format!("a page has 1 to {PAGE_ORDERS_MAX} orders, not {asked}");
            status::invalid(vec![("pageSize".to_owned(), detail)])
        })
}

/// What a read waits for. What tokens say of tickets is waited for apart, by the consumer that hears of
/// them; those of other topics say nothing about the view of orders: it is made of our own events alone.
pub(super) fn patience(
    tokens: &[wire::ConsistencyToken],
    wait_ms: u32,
) -> Result<Patience, Status> {
    let mut faults = Faults::default();
    faults.limit_tokens(tokens);
    let mut versions = Vec::new();
    for token in tokens.iter().filter(|token| token.topic == store::TOPIC) {
        let order_id = faults.parse("consistency", &token.subject);
        versions.extend(order_id.map(|order_id: OrderId| (order_id, token.version)));
    }
    faults.finish(Some(Patience {
        versions,
        wait: wait(wait_ms),
    }))
}

/// What the copy of the catalogue must hold before an order is priced. Customers are our own table: what
/// a token says of them is there already.
pub(super) fn catalogue_tokens(tokens: &[wire::ConsistencyToken]) -> Result<Vec<Token>, Status> {
    let mut faults = Faults::default();
    faults.limit_tokens(tokens);
    let ours = tokens
        .iter()
        .filter(|token| token.topic == catalogue_consumer::TOPIC);
    let ours = ours.map(|token| Token {
        subject: token.subject.clone(),
        version: token.version,
    });
    faults.finish(Some(ours.collect()))
}

/// Tokens, as many as there may be.
pub(super) fn limited(
    tokens: &[wire::ConsistencyToken],
) -> Result<&[wire::ConsistencyToken], Status> {
    let mut faults = Faults::default();
    faults.limit_tokens(tokens);
    faults.finish(Some(tokens))
}

pub(super) fn wait(wait_ms: u32) -> Duration {
    Duration::from_millis(u64::from(wait_ms)).min(WAIT_MAX)
}

/// A trace that is not understood is no reason to refuse an order.
pub(in crate::inbound) fn traceparent(text: &str) -> Option<TraceParent> {
    text.parse().ok()
}

/// Of what is ordered; who asks, under which key and with which patience is not part of it.
fn fingerprint(request: &wire::PlaceOrderRequest) -> Fingerprint {
    let body = wire::PlaceOrderRequest {
        principal: String::new(),
        idempotency_key: String::new(),
        tokens: Vec::new(),
        wait_ms: 0,
        traceparent: String::new(),
        ..request.clone()
    };
    Sha256::digest(body.encode_to_vec()).into()
}

/// Counts and quantities are judged by the domain; here only what it cannot even be asked about.
fn lines(faults: &mut Faults, asked: &[wire::RequestedLine]) -> Vec<RequestedLine> {
    let mut lines = Vec::new();
    // One more than allowed is enough for the domain to refuse it.
    for (index, line) in asked.iter().take(LINES_MAX + 1).enumerate() {
        let field = format!("lines[{index}].productId");
        let product_id: Option<ProductId> = faults.parse(&field, &line.product_id);
        lines.extend(product_id.map(|product_id| RequestedLine {
            product_id,
            quantity: line.quantity,
        }));
    }
    lines
}

fn payment_token(faults: &mut Faults, token: String) -> Option<Secret<String>> {
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=PAYMENT_TOKEN_CHARS_MAX).contains(&token.len()) {
        return Some(Secret::new(token));
    }
    let detail = format!("a token has 1 to {PAYMENT_TOKEN_CHARS_MAX} visible ASCII characters");
    faults.add("payment.token", detail);
    None
}

// === impl Faults ===

impl Faults {
    pub(in crate::inbound) fn add(&mut self, field: &str, detail: impl Into<String>) {
        self.0.push((field.to_owned(), detail.into()));
    }

    pub(in crate::inbound) fn parse<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// An empty text stands for nothing.
    pub(in crate::inbound) fn parse_given<T: FromStr>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T>
    where
        T::Err: Display,
    {
        if text.is_empty() {
            return None;
        }
        self.parse(field, text)
    }

    pub(in crate::inbound) fn principal(&mut self, principal: String) -> Option<String> {
        let visible = principal.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=PRINCIPAL_CHARS_MAX).contains(&principal.len()) {
            return Some(principal);
        }
        let detail = format!("a principal has 1 to {PRINCIPAL_CHARS_MAX} visible ASCII characters");
        self.add("principal", detail);
        None
    }

    fn limit_tokens(&mut self, tokens: &[wire::ConsistencyToken]) {
        if tokens.len() > TOKENS_MAX {
            let detail = format!("at most {TOKENS_MAX} tokens, not {}", tokens.len());
            self.add("consistency", detail);
        }
    }

    pub(in crate::inbound) fn finish<T>(self, parsed: Option<T>) -> Result<T, Status> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => Err(status::invalid(self.0)),
        }
    }
}
