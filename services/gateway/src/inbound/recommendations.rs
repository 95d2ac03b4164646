//! `/v1/customers/{customerId}/recommendations`: what to try next, with the reason.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_kernel::CustomerId;
use brewline_proto::leaderboard::v1 as wire;
use serde::Serialize;

use super::boards::LEADERBOARD;
use super::call::Call;
use super::consistency::Tokens;
use super::edge::Edge;
use super::path::Id;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;

/// Suggestions of each kind: more is a catalogue.
const LIMIT: i32 = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecommendationsView {
    customer_id: String,
    methods: Vec<MethodView>,
    products: Vec<ProductView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MethodView {
    method: String,
    reason: ReasonView,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    to_try: Option<ProductView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductView {
    product_id: String,
    name: String,
    reason: ReasonView,
}

/// A sentence, and the numbers behind it.
#[derive(Serialize)]
struct ReasonView {
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    likes: String,
    both: i64,
    of: i64,
}

/// `GET /v1/customers/{customerId}/recommendations`
pub(super) async fn get(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
    Tokens(tokens): Tokens,
    patience: Patience,
) -> Result<Response, Problem> {
    let message = wire::RecommendRequest {
        customer_id: customer_id.as_str().to_owned(),
        limit: LIMIT,
        tokens,
        wait_ms: patience.wait_ms(),
    };
    let mut boards = edge.upstreams().boards.clone();
    let answer = call
        .to(LEADERBOARD)
        .waiting(patience.wait())
        .read(message, async |request| boards.recommend(request).await)
        .await?;
    let view = RecommendationsView {
        customer_id: customer_id.into(),
        methods: answer.methods.into_iter().map(MethodView::from).collect(),
        products: answer.products.into_iter().map(ProductView::from).collect(),
    };
    let answer = Answer::json(StatusCode::OK, &view)?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

// === impl views ===

impl From<wire::MethodSuggestion> for MethodView {
    fn from(suggestion: wire::MethodSuggestion) -> Self {
        Self {
            method: suggestion.method,
            reason: suggestion.because.unwrap_or_default().into(),
            to_try: suggestion.r#try.map(ProductView::from),
        }
    }
}

impl From<wire::ProductSuggestion> for ProductView {
    fn from(suggestion: wire::ProductSuggestion) -> Self {
        Self {
            product_id: suggestion.product_id,
            name: suggestion.name,
            reason: suggestion.because.unwrap_or_default().into(),
        }
    }
}

impl From<wire::Because> for ReasonView {
    fn from(because: wire::Because) -> Self {
        let wire::Because {
            likes,
            likes_name,
            both,
            of,
        } = because;
        let text = match (likes.is_empty(), both, of) {
            (true, _, 1) => "1 customer tried it".to_owned(),
            (true, _, _) => format!("{of} customers tried it"),
            (false, 1, 1) => format!("the one customer who tried {likes_name} tried it too"),
            (false, _, _) => {
                format!("{both} of the {of} customers who tried {likes_name} tried it too")
            }
        };
        Self {
            text,
            likes,
            both,
            of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_no_crowd() {
        for (likes, both, of, text) in [
            ("", 0, 1, "1 customer tried it"),
            ("", 0, 2, "2 customers tried it"),
            ("v60", 1, 1, "the one customer who tried V60 tried it too"),
            (
                "v60",
                1,
                2,
                "1 of the 2 customers who tried V60 tried it too",
            ),
        ] {
            let because = wire::Because {
                likes: likes.to_owned(),
                likes_name: "V60".to_owned(),
                both,
                of,
            };
            assert_eq!(ReasonView::from(because).text, text);
        }
    }
}
