//! `/v1/events`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_kernel::StoreId;
use brewline_proto::notification::v1 as wire;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::Call;
use super::edge::Edge;
use super::fields::Faults;
use super::notifications::NOTIFICATION;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::respond::Answer;
use super::status::nonsense;
use super::views::{Instant, List};

/// The longest position, in characters: a number of 64 bits.
const AFTER_CHARS_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(default)]
    after: String,
    /// Separated by commas.
    #[serde(default)]
    types: String,
    #[serde(default)]
    store_id: String,
}

/// An order's event; what a webhook tells of it is the same object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView {
    id: String,
    r#type: String,
    time: Option<Instant>,
    store_id: String,
    order_id: String,
    data: Value,
}

/// `GET /v1/events`
pub(super) async fn pull(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Query(filter): Query<Filter>,
    patience: Patience,
) -> Result<Response, Problem> {
    filter.check()?;
    // Without a word about waiting the answer is what there is.
    let wait = patience.asked();
    let types = filter.types.split(',').map(str::trim);
    let message = wire::PullEventsRequest {
        types: types
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        after: filter.after,
        store_id: filter.store_id,
        wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let page = call
        .to(NOTIFICATION)
        .waiting(wait)
        .read(message, async |request| {
            notifications.pull_events(request).await
        })
        .await?;
    let items = page.events.into_iter().map(view);
    let list = List {
        items: items.collect::<Result<Vec<EventView>, Problem>>()?,
        next_page_token: page.next,
    };
    let answer = Answer::json(StatusCode::OK, &list)?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

fn view(event: wire::PulledEvent) -> Result<EventView, Problem> {
    Ok(EventView {
        data: serde_json::from_str(&event.data_json).map_err(|_| nonsense("an event"))?,
        id: event.id,
        r#type: event.r#type,
        time: event.time.map(Into::into),
        store_id: event.store_id,
        order_id: event.order_id,
    })
}

// === impl Filter ===

impl Filter {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        let number = self.after.bytes().all(|c| c.is_ascii_digit());
        if !number || self.after.len() > AFTER_CHARS_MAX {
            faults.add("after", "is a `nextPageToken` of an earlier answer");
        }
        if !self.store_id.is_empty() {
            faults.parse::<StoreId>("storeId", &self.store_id);
        }
        faults.finish()
    }
}
