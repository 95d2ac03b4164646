//! `/v1/stores` and `/v1/catalogue`
//!
//! Both are read from the very tables that are written: whatever a consistency token asks for is there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_kernel::{Currency, ProductId, StoreId};
use brewline_proto::catalogue::v1 as wire;
use brewline_proto::money::v1::Money;
use serde::Deserialize;

use super::body::Json;
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::fields::Faults;
use super::path::Id;
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::status::nonsense;
use super::views::{List, ProductView, StoreView, kind_of};

/// The longest name, time zone, method and origin, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// The most prices of a product: there are fewer currencies.
const PRICES_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutStore {
    name: String,
    currency: String,
    time_zone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutProduct {
    name: String,
    kind: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    origin: String,
    prices: Vec<Price>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Price {
    amount_minor: i64,
    currency: String,
}

/// `GET /v1/stores`
pub(super) async fn stores(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Tokens(_): Tokens,
) -> Result<Response, Problem> {
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .read(wire::ListStoresRequest {}, async |request| {
            catalogue.list_stores(request).await
        })
        .await?;
    let list: List<StoreView> = List::whole(answer.stores);
    Ok(Answer::json(StatusCode::OK, &list)?.finish())
}

/// `PUT /v1/stores/{storeId}`
pub(super) async fn put_store(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
    Json(store): Json<PutStore>,
) -> Result<Response, Problem> {
    store.check()?;
    let message = wire::PutStoreRequest {
        store: Some(wire::Store {
            store_id: store_id.as_str().to_owned(),
            name: store.name,
            currency: store.currency,
            time_zone: store.time_zone,
            version: 0,
        }),
    };
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .write(message, async |request| catalogue.put_store(request).await)
        .await?;
    let store = answer.store.ok_or_else(|| nonsense("the store"))?;
    let token = token_of("store", &store.store_id, store.version);
    let answer = put(answer.created, &StoreView::from(store))?;
    Ok(answer.with(CONSISTENCY, token).finish())
}

/// `DELETE /v1/stores/{storeId}`
pub(super) async fn retire_store(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
) -> Result<Response, Problem> {
    let message = wire::RetireStoreRequest {
        store_id: store_id.as_str().to_owned(),
    };
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .write(message, async |request| {
            catalogue.retire_store(request).await
        })
        .await?;
    let token = token_of("store", store_id.as_str(), answer.version);
    let answer = Answer::empty(StatusCode::NO_CONTENT);
    Ok(answer.with(CONSISTENCY, token).finish())
}

/// `GET /v1/catalogue`
pub(super) async fn products(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Tokens(_): Tokens,
) -> Result<Response, Problem> {
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .read(wire::ListProductsRequest {}, async |request| {
            catalogue.list_products(request).await
        })
        .await?;
    let list: List<ProductView> = List::whole(answer.products);
    Ok(Answer::json(StatusCode::OK, &list)?.finish())
}

/// `PUT /v1/catalogue/{productId}`
pub(super) async fn put_product(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(product_id): Id<ProductId>,
    Json(product): Json<PutProduct>,
) -> Result<Response, Problem> {
    product.check()?;
    let message = wire::PutProductRequest {
        product: Some(product.into_wire(&product_id)),
    };
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .write(message, async |request| {
            catalogue.put_product(request).await
        })
        .await?;
    let product = answer.product.ok_or_else(|| nonsense("the product"))?;
    let token = token_of("product", &product.product_id, product.version);
    let answer = put(answer.created, &ProductView::from(product))?;
    Ok(answer.with(CONSISTENCY, token).finish())
}

/// `DELETE /v1/catalogue/{productId}`
pub(super) async fn retire_product(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(product_id): Id<ProductId>,
) -> Result<Response, Problem> {
    let message = wire::RetireProductRequest {
        product_id: product_id.as_str().to_owned(),
    };
    let mut catalogue = edge.upstreams().catalogue.clone();
    let answer = call
        .write(message, async |request| {
            catalogue.retire_product(request).await
        })
        .await?;
    let token = token_of("product", product_id.as_str(), answer.version);
    let answer = Answer::empty(StatusCode::NO_CONTENT);
    Ok(answer.with(CONSISTENCY, token).finish())
}

fn put(created: bool, body: &impl serde::Serialize) -> Result<Answer, Problem> {
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Answer::json(status, body)
}

fn token_of(noun: &str, id: &str, version: i64) -> Option<axum::http::HeaderValue> {
    let subject = format!("{noun}/{id}");
    consistency::token(consistency::CATALOGUE, &subject, version)
}

// === impl PutStore ===

impl PutStore {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        faults.some_text("name", &self.name, TEXT_CHARS_MAX);
        faults.parse::<Currency>("currency", &self.currency);
        faults.some_text("timeZone", &self.time_zone, TEXT_CHARS_MAX);
        faults.finish()
    }
}

// === impl PutProduct ===

impl PutProduct {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        faults.some_text("name", &self.name, TEXT_CHARS_MAX);
        if kind_of(&self.kind).is_none() {
            faults.add("kind", "`drink` or `food`");
        }
        faults.text("method", &self.method, TEXT_CHARS_MAX);
        faults.text("origin", &self.origin, TEXT_CHARS_MAX);
        if !(1..=PRICES_MAX).contains(&self.prices.len()) {
            faults.add("prices", format!("1 to {PRICES_MAX}, one a currency"));
        }
        for (n, price) in self.prices.iter().take(PRICES_MAX).enumerate() {
            if price.amount_minor < 0 {
                faults.add(format!("prices[{n}].amountMinor"), "not negative");
            }
            faults.parse::<Currency>(format!("prices[{n}].currency"), &price.currency);
        }
        faults.finish()
    }

    fn into_wire(self, product_id: &ProductId) -> wire::Product {
        let prices = self.prices.into_iter().map(|price| Money {
            amount_minor: price.amount_minor,
            currency: price.currency,
        });
        wire::Product {
            product_id: product_id.as_str().to_owned(),
            name: self.name,
            kind: kind_of(&self.kind).unwrap_or_default().into(),
            method: self.method,
            origin: self.origin,
            prices: prices.collect(),
            version: 0,
        }
    }
}
