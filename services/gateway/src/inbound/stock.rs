//! `/v1/stores/{storeId}/stock`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_kernel::{ProductId, StoreId};
use brewline_proto::inventory::v1 as wire;
use serde::Deserialize;

use super::body::Json;
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::fields::Faults;
use super::headers::Key;
use super::path::Id;
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::status::nonsense;
use super::views::{List, StockView};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AdjustStock {
    product_id: String,
    delta: i64,
    reason: String,
}

/// `GET /v1/stores/{storeId}/stock`
pub(super) async fn list(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
    Tokens(_): Tokens,
) -> Result<Response, Problem> {
    let message = wire::ListStockRequest {
        store_id: store_id.as_str().to_owned(),
    };
    let mut inventory = edge.upstreams().inventory.clone();
    let answer = call
        .read(message, async |request| inventory.list_stock(request).await)
        .await?;
    let list: List<StockView> = List::whole(answer.items);
    Ok(Answer::json(StatusCode::OK, &list)?.finish())
}

/// `POST /v1/stores/{storeId}/stock`
pub(super) async fn adjust(
    State(edge): State<Edge>,
    principal: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
    Key(key): Key,
    Json(body): Json<AdjustStock>,
) -> Result<Response, Problem> {
    body.check()?;
    let subject = format!("{}/{}", store_id.as_str(), body.product_id);
    let message = wire::AdjustStockRequest {
        principal: principal.name().to_owned(),
        idempotency_key: key.as_str().to_owned(),
        store_id: store_id.as_str().to_owned(),
        product_id: body.product_id,
        delta: body.delta,
        reason: body.reason,
    };
    let mut inventory = edge.upstreams().inventory.clone();
    let answer = call
        .write(message, async |request| {
            inventory.adjust_stock(request).await
        })
        .await?;
    let item = answer.item.ok_or_else(|| nonsense("the stock item"))?;
    let token = consistency::token(consistency::INVENTORY, &subject, answer.version);
    Ok(Answer::json(StatusCode::OK, &StockView::from(item))?
        .with(CONSISTENCY, token)
        .replayed(answer.replayed)
        .finish())
}

// === impl AdjustStock ===

impl AdjustStock {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        faults.parse::<ProductId>("productId", &self.product_id);
        if self.delta == 0 {
            faults.add("delta", "0 changes nothing");
        }
        faults.some_text("reason", &self.reason, REASON_CHARS_MAX);
        faults.finish()
    }
}
