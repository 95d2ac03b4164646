//! Demo data with fixed ids, through the same doors as everybody's, and the first order.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use brewline_proto::customer::v1::CreateCustomerRequest;
use brewline_proto::customer::v1::customer_service_client::CustomerServiceClient;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::Stack;
use super::folder::write_atomically;
use super::marks::{self, Placed};
use crate::shop::{self, Shop};
use crate::terminal;

const STORES: &str = include_str!("../../demo/stores.json");
const PRODUCTS: &str = include_str!("../../demo/products.json");

/// Who places the first order, and where.
const CUSTOMER: &str = "customer-demo";
const STORE: &str = "store-lisbon";

/// Units of each product that each store begins with.
const STOCK: u32 = 1000;

/// The gateway takes the load in batches; more at once would only queue.
const REQUESTS_AT_ONCE: usize = 16;

/// The first order's way ends within this, or something is wrong.
const ORDER_WITHIN: Duration = Duration::from_secs(30);

/// A first process may still refuse for a moment while it catches up.
const RETRIES: u32 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Loads the demo once per data folder and returns tokens for what the first order needs. What was
/// loaded before under the same keys is not loaded twice.
///
/// # Errors
/// When a service refuses.
pub async fn load(stack: &Stack) -> anyhow::Result<Vec<String>> {
    let marker = stack.folder().root().join("demo-loaded");
    if !stack.is_elsewhere() && marker.is_file() {
        return Ok(vec![]);
    }
    terminal::step("loading the demo's stores, products and stock");
    let shop = Shop::at(stack.gateway()?)?;
    let (stores, products): (Vec<Value>, Vec<Value>) = (
        serde_json::from_str(STORES).context("read the demo's stores")?,
        serde_json::from_str(PRODUCTS).context("read the demo's products")?,
    );
    let mut tokens = put_all(&shop, "/v1/stores", "storeId", &stores).await?;
    let catalogue = put_all(&shop, "/v1/catalogue", "productId", &products).await?;
    // The last products are the last to arrive wherever their events go; all of them would be more
    // tokens than a request may carry.
    tokens.extend(catalogue.into_iter().rev().take(8 - tokens.len().min(8)));
    stock_up(&shop, &stores, &products).await?;
    create_customer(stack).await?;
    if !stack.is_elsewhere() {
        write_atomically(&marker, b"", 0o644)?;
    }
    Ok(tokens)
}

/// Places an order, follows it to its end and prints when it was where.
///
/// # Errors
/// When it is refused or rejected, or does not settle.
pub async fn first_order(stack: &Stack, tokens: &[String]) -> anyhow::Result<()> {
    let shop = Shop::at(stack.gateway()?)?;
    let key = format!("first-order-{}", Uuid::new_v4());
    let body = json!({
        "storeId": STORE,
        "customerId": CUSTOMER,
        "lines": [
            { "productId": "espresso", "quantity": 1 },
            { "productId": "croissant", "quantity": 1 },
        ],
        "payment": { "token": "tok_ok" },
    });
    let began = Instant::now();
    let placed = patiently(async || shop.post_after("/v1/orders", &key, &body, tokens).await);
    let placed = placed.await.context("place the first order")?.body;
    let id = shop::text(&placed, "orderId").to_owned();
    terminal::say(format!("order {id}"));
    let mut shown = String::new();
    show_state(&placed, began, &mut shown);
    let path = format!("/v1/orders/{id}");
    let mut order = shop.get(&format!("{path}?until=settled"), 30).await?;
    show_state(&order, began, &mut shown);
    while !shop::is_at_rest(&order) {
        if began.elapsed() > ORDER_WITHIN {
            return Err(anyhow!(
                "order {id} is not through after {} s",
                ORDER_WITHIN.as_secs()
            ));
        }
        tokio::time::sleep(shop::POLL).await;
        order = shop.get(&path, 0).await?;
        show_state(&order, began, &mut shown);
    }
    match order.get("rejection").filter(|why| !why.is_null()) {
        Some(rejection) => Err(anyhow!("order {id} was rejected: {}", reason(rejection))),
        None => marks::show(&shop, marked(&id, began)).await,
    }
}

const fn marked(order: &str, began: Instant) -> Placed<'_> {
    Placed {
        order,
        store: STORE,
        customer: CUSTOMER,
        began,
    }
}

/// A rejection's code, with its detail when it has one.
fn reason(rejection: &Value) -> String {
    match (
        shop::text(rejection, "code"),
        shop::text(rejection, "detail"),
    ) {
        (code, "") => code.to_owned(),
        (code, detail) => format!("{code}, {detail}"),
    }
}

/// Prints status and money when they differ from what was shown last.
fn show_state(order: &Value, began: Instant, shown: &mut String) {
    let payment = order
        .get("payment")
        .map_or("", |payment| shop::text(payment, "status"));
    let state = format!("{:<10} payment {payment}", shop::text(order, "status"));
    if *shown != state {
        terminal::say(format!("  {:>6} ms  {state}", began.elapsed().as_millis()));
        *shown = state;
    }
}

async fn put_all(
    shop: &Shop,
    path: &str,
    id_field: &str,
    items: &[Value],
) -> anyhow::Result<Vec<String>> {
    let puts = items.iter().map(|item| {
        let path = format!("{path}/{}", shop::text(item, id_field));
        let mut body = item.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove(id_field);
        }
        async move {
            let written = patiently(async || shop.put(&path, &body).await).await;
            written
                .map(|written| written.consistency)
                .with_context(|| format!("put {path}"))
        }
    });
    let tokens: Vec<Option<String>> = stream::iter(puts)
        .buffered(REQUESTS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(tokens.into_iter().flatten().collect())
}

async fn stock_up(shop: &Shop, stores: &[Value], products: &[Value]) -> anyhow::Result<()> {
    let pairs = stores
        .iter()
        .flat_map(|store| products.iter().map(move |product| (store, product)));
    let posts = pairs.map(|(store, product)| {
        let (store, product) = (
            shop::text(store, "storeId"),
            shop::text(product, "productId"),
        );
        let body = json!({ "productId": product, "delta": STOCK, "reason": "demo" });
        let (path, key) = (
            format!("/v1/stores/{store}/stock"),
            format!("demo-{store}-{product}"),
        );
        async move {
            patiently(async || shop.post(&path, Some(&key), &body).await)
                .await
                .with_context(|| format!("stock {product} at {store}"))
        }
    });
    stream::iter(posts)
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await
}

/// Over gRPC: the edge lets nobody choose a customer's id.
async fn create_customer(stack: &Stack) -> anyhow::Result<()> {
    let mut client = CustomerServiceClient::new(stack.channel("order")?);
    let request = CreateCustomerRequest {
        principal: "demo".to_owned(),
        idempotency_key: "demo-customer".to_owned(),
        customer_id: CUSTOMER.to_owned(),
        name: "Demo Customer".to_owned(),
        email: "customer-demo@example.com".to_owned(),
        locale: "en".to_owned(),
        show_name: true,
    };
    client
        .create_customer(request)
        .await
        .context("create the demo's customer")?;
    Ok(())
}

/// Repeats what the gateway refuses for the moment (5xx, 429): safe, since every write here has a
/// key or sets a whole state.
async fn patiently<T>(attempt: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut left = RETRIES;
    loop {
        match attempt().await {
            Err(error) if left > 0 && is_passing(&error) => {
                left -= 1;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<shop::Problem>()
        .is_none_or(|problem| problem.status >= 500 || problem.status == 429)
}
