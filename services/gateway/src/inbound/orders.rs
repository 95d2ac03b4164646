//! `/v1/orders`

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use brewline_kernel::{CustomerId, OrderId, ProductId, StoreId};
use brewline_proto::order::v1 as wire;
use serde::Deserialize;

use super::body::{Json, OptionalJson};
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::fields::Faults;
use super::headers::Key;
use super::order_view::{OrderView, status_names, status_of};
use super::path::Id;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::respond::Answer;
use super::status::nonsense;
use super::views::List;

/// The most lines of an order, and the most of one product in a line.
const LINES_MAX: usize = 50;
const QUANTITY_MAX: i64 = 99;

/// The longest card token, in characters.
const CARD_TOKEN_CHARS_MAX: usize = 255;

/// The longest reason to cancel, in characters.
const REASON_CHARS_MAX: usize = 500;

/// How many orders a page holds, unless told, and at most.
const PAGE_SIZE: i32 = 20;
const PAGE_SIZE_MAX: i32 = 100;

/// The longest page token, in characters.
const PAGE_TOKEN_CHARS_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlaceOrder {
    store_id: String,
    customer_id: String,
    lines: Vec<Line>,
    payment: Payment,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    product_id: String,
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    token: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelOrder {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Until {
    until: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(default)]
    customer_id: String,
    #[serde(default)]
    store_id: String,
    status: Option<String>,
    page_size: Option<String>,
    #[serde(default)]
    page_token: String,
}

/// `POST /v1/orders`
#[allow(
    clippy::too_many_arguments,
    reason = "extractors are what the request consists of"
)]
pub(super) async fn place(
    State(edge): State<Edge>,
    principal: Principal,
    call: Call,
    Key(key): Key,
    Tokens(tokens): Tokens,
    patience: Patience,
    Json(order): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    order.check()?;
    // Only a wait for the catalogue's copy takes time of the caller's choosing.
    let wait_ms = if tokens.is_empty() {
        0
    } else {
        patience.wait_ms()
    };
    let call = call.waiting(std::time::Duration::from_millis(u64::from(wait_ms)));
    let message = wire::PlaceOrderRequest {
        principal: principal.name().to_owned(),
        idempotency_key: key.as_str().to_owned(),
        store_id: order.store_id,
        customer_id: order.customer_id,
        lines: order.lines.into_iter().map(Into::into).collect(),
        payment_token: order.payment.token,
        tokens,
        wait_ms,
        traceparent: call.trace.to_string(),
    };
    let mut orders = edge.upstreams().orders.clone();
    let placed = call
        .write(message, async |request| orders.place_order(request).await)
        .await?;
    let order = placed.order.ok_or_else(|| nonsense("the placed order"))?;
    let path = format!("/v1/orders/{}", order.order_id);
    Ok(written(StatusCode::ACCEPTED, order)?
        .at(&path)
        .replayed(placed.replayed)
        .finish())
}

/// `GET /v1/orders/{orderId}`
#[allow(
    clippy::too_many_arguments,
    reason = "extractors are what the request consists of"
)]
pub(super) async fn get(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(order_id): Id<OrderId>,
    Query(until): Query<Until>,
    Tokens(tokens): Tokens,
    patience: Patience,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let until_settled = until.settled()?;
    let message = wire::GetOrderRequest {
        order_id: order_id.to_string(),
        tokens,
        wait_ms: patience.wait_ms(),
        until_settled,
    };
    let mut orders = edge.upstreams().orders.clone();
    let answer = call
        .waiting(patience.wait())
        .read(message, async |request| orders.get_order(request).await)
        .await?;
    let order = answer.order.ok_or_else(|| nonsense("the order"))?;
    let order = OrderView::from(order);
    let etag = order.etag();
    let answer = if etag.is_known(&headers) {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        Answer::json(StatusCode::OK, &order)?
    };
    Ok(answer
        .with(header::ETAG, etag.value())
        .with(PREFERENCE_APPLIED, patience.applied())
        .finish())
}

/// `GET /v1/orders`
pub(super) async fn list(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Query(filter): Query<Filter>,
    Tokens(tokens): Tokens,
    patience: Patience,
) -> Result<Response, Problem> {
    let message = wire::ListOrdersRequest {
        status: filter.status()?.into(),
        page_size: filter.page_size()?,
        customer_id: filter.customer_id,
        store_id: filter.store_id,
        page_token: filter.page_token,
        tokens,
        wait_ms: patience.wait_ms(),
    };
    let mut orders = edge.upstreams().orders.clone();
    let page = call
        .waiting(patience.wait())
        .read(message, async |request| orders.list_orders(request).await)
        .await?;
    let list: List<OrderView> = List {
        items: page.orders.into_iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
    };
    let answer = Answer::json(StatusCode::OK, &list)?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

/// `POST /v1/orders/{orderId}/cancel`
pub(super) async fn cancel(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(order_id): Id<OrderId>,
    OptionalJson(body): OptionalJson<CancelOrder>,
) -> Result<Response, Problem> {
    let mut faults = Faults::default();
    faults.text("reason", &body.reason, REASON_CHARS_MAX);
    faults.finish()?;
    let message = wire::CancelOrderRequest {
        order_id: order_id.to_string(),
        reason: body.reason,
    };
    let mut orders = edge.upstreams().orders.clone();
    let answer = call
        .write(message, async |request| orders.cancel_order(request).await)
        .await?;
    let order = answer
        .order
        .ok_or_else(|| nonsense("the cancelled order"))?;
    // While `cancelling` the barista is being asked.
    let status = if order.status() == wire::OrderStatus::Cancelling {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok(written(status, order)?.finish())
}

/// `POST /v1/orders/{orderId}/collect`
pub(super) async fn collect(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(order_id): Id<OrderId>,
    Tokens(tokens): Tokens,
    patience: Patience,
) -> Result<Response, Problem> {
    let wait_ms = if tokens.is_empty() {
        0
    } else {
        patience.wait_ms()
    };
    let call = call.waiting(std::time::Duration::from_millis(u64::from(wait_ms)));
    let message = wire::CollectOrderRequest {
        order_id: order_id.to_string(),
        tokens,
        wait_ms,
    };
    let mut orders = edge.upstreams().orders.clone();
    let answer = call
        .write(message, async |request| orders.collect_order(request).await)
        .await?;
    let order = answer
        .order
        .ok_or_else(|| nonsense("the collected order"))?;
    Ok(written(StatusCode::OK, order)?.finish())
}

/// An order that was just changed, with its tag and the token of the change.
fn written(status: StatusCode, order: wire::Order) -> Result<Answer, Problem> {
    let token = consistency::token(consistency::ORDERS, &order.order_id, order.version);
    let order = OrderView::from(order);
    let etag = order.etag().value();
    Ok(Answer::json(status, &order)?
        .with(CONSISTENCY, token)
        .with(header::ETAG, etag))
}

// === impl PlaceOrder ===

impl PlaceOrder {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        faults.parse::<StoreId>("storeId", &self.store_id);
        faults.parse::<CustomerId>("customerId", &self.customer_id);
        if !(1..=LINES_MAX).contains(&self.lines.len()) {
            let detail = format!(
                "an order has 1 to {LINES_MAX} lines, not {}",
                self.lines.len()
            );
            faults.add("lines", detail);
        }
        for (n, line) in self.lines.iter().take(LINES_MAX).enumerate() {
            line.check(n, &mut faults);
        }
        let token = &self.payment.token;
        let fits = (1..=CARD_TOKEN_CHARS_MAX).contains(&token.len());
        if !fits || !token.bytes().all(|c| c.is_ascii_graphic()) {
            let detail = format!("1 to {CARD_TOKEN_CHARS_MAX} visible ASCII characters");
            faults.add("payment.token", detail);
        }
        faults.finish()
    }
}

// === impl Line ===

impl Line {
    fn check(&self, n: usize, faults: &mut Faults) {
        let id: Result<ProductId, _> = self.product_id.parse();
        if let Err(error) = id {
            faults.add(format!("lines[{n}].productId"), error.to_string());
        }
        if !(1..=QUANTITY_MAX).contains(&self.quantity) {
            let detail = format!("1 to {QUANTITY_MAX}, not {}", self.quantity);
            faults.add(format!("lines[{n}].quantity"), detail);
        }
    }
}

impl From<Line> for wire::RequestedLine {
    fn from(line: Line) -> Self {
        Self {
            product_id: line.product_id,
            quantity: line.quantity,
        }
    }
}

// === impl Until ===

impl Until {
    fn settled(&self) -> Result<bool, Problem> {
        match self.until.as_deref() {
            None => Ok(false),
            Some("settled") => Ok(true),
            Some(_) => {
                Err(Problem::malformed("invalid-query", "until: only `settled`").at("until"))
            }
        }
    }
}

// === impl Filter ===

impl Filter {
    fn status(&self) -> Result<wire::OrderStatus, Problem> {
        self.check()?;
        match self.status.as_deref() {
            None | Some("") => Ok(wire::OrderStatus::Unspecified),
            Some(name) => status_of(name).ok_or_else(|| {
                let detail = format!("status: one of {}", status_names());
                Problem::malformed("invalid-query", detail).at("status")
            }),
        }
    }

    fn page_size(&self) -> Result<i32, Problem> {
        let Some(text) = &self.page_size else {
            return Ok(PAGE_SIZE);
        };
        let size = text.parse().ok();
        size.filter(|size| (1..=PAGE_SIZE_MAX).contains(size))
            .ok_or_else(|| {
                let detail = format!("pageSize: 1 to {PAGE_SIZE_MAX}");
                Problem::malformed("invalid-query", detail).at("pageSize")
            })
    }

    fn check(&self) -> Result<(), Problem> {
        let at = |field: &'static str, detail: String| {
            Problem::malformed("invalid-query", format!("{field}: {detail}")).at(field)
        };
        if !self.customer_id.is_empty() {
            let id: Result<CustomerId, _> = self.customer_id.parse();
            id.map_err(|error| at("customerId", error.to_string()))?;
        }
        if !self.store_id.is_empty() {
            let id: Result<StoreId, _> = self.store_id.parse();
            id.map_err(|error| at("storeId", error.to_string()))?;
        }
        let plain = self.page_token.bytes().all(|c| c.is_ascii_graphic());
        if !plain || self.page_token.len() > PAGE_TOKEN_CHARS_MAX {
            let detail = "pageToken: it is none that a page gave";
            return Err(Problem::malformed("invalid-page-token", detail).at("pageToken"));
        }
        Ok(())
    }
}
