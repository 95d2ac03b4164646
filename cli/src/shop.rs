//! A client of the gateway: JSON in and out, problems as errors.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// How often a change is looked for that nobody announces.
pub const POLL: Duration = Duration::from_millis(20);

/// Longer than the gateway's longest wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// A gateway.
#[derive(Clone, Debug)]
pub struct Shop {
    base: String,
    http: reqwest::Client,
}

/// What a write was answered with.
#[derive(Clone, Debug)]
pub struct Written {
    /// The body.
    pub body: Value,
    /// The consistency token, when there is one.
    pub consistency: Option<String>,
}

/// An answer that is not 2xx.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The problem's code.
    pub code: String,
    /// What is wrong.
    pub detail: String,
}

// === impl Shop ===

impl Shop {
    /// The gateway at an address.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(base: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build();
        Ok(Self {
            base,
            http: http.context("make an HTTP client")?,
        })
    }

    /// Reads, waiting up to `wait_seconds` for what the path asks to wait for.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses.
    pub async fn get(&self, path: &str, wait_seconds: u32) -> anyhow::Result<Value> {
        let mut request = self.request(Method::GET, path);
        if wait_seconds > 0 {
            request = request.header("Prefer", format!("wait={wait_seconds}"));
        }
        Ok(read(send(request).await?).await?.body)
    }

    /// Writes under an idempotency key.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses.
    pub async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Written> {
        let mut request = self.request(Method::POST, path).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        read(send(request).await?).await
    }

    /// Writes once what the tokens name is known where it is needed.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses.
    pub async fn post_after(
        &self,
        path: &str,
        key: &str,
        body: &Value,
        tokens: &[String],
    ) -> anyhow::Result<Written> {
        let mut request = self
            .request(Method::POST, path)
            .json(body)
            .header("Idempotency-Key", key)
            .header("Prefer", "wait=10");
        if !tokens.is_empty() {
            request = request.header("Brewline-Consistency", tokens.join(","));
        }
        read(send(request).await?).await
    }

    /// Sets.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Written> {
        read(send(self.request(Method::PUT, path).json(body)).await?).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }
}

/// A text field of an object; empty when it is missing.
#[must_use]
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// An order on one line.
#[must_use]
pub fn order_line(order: &Value) -> String {
    let money = order.get("total").map(amount).unwrap_or_default();
    let payment = order.get("payment").map(|payment| text(payment, "status"));
    let code = order
        .get("rejection")
        .map(|rejection| text(rejection, "code"));
    format!(
        "{}  {:<10} {:<12} {:>12}  {}  {}",
        text(order, "orderId"),
        text(order, "status"),
        code.filter(|code| !code.is_empty())
            .or(payment)
            .unwrap_or_default(),
        money,
        text(order, "storeId"),
        text(order, "placedAt"),
    )
}

/// Whether nothing more happens to an order by itself.
#[must_use]
pub fn is_at_rest(order: &Value) -> bool {
    let payment = order
        .get("payment")
        .map_or("", |payment| text(payment, "status"));
    match text(order, "status") {
        "pending" | "cancelling" => false,
        "rejected" | "cancelled" => !matches!(payment, "reversing" | "authorised"),
        _ => payment == "captured",
    }
}

fn amount(money: &Value) -> String {
    let minor = money
        .get("amountMinor")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    match text(money, "currency") {
        "JPY" => format!("{minor} JPY"),
        currency => format!("{}.{:02} {currency}", minor / 100, (minor % 100).abs()),
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    request.send().await.context("ask the gateway")
}

async fn read(response: Response) -> anyhow::Result<Written> {
    let status = response.status();
    let consistency = header(response.headers(), "brewline-consistency");
    let bytes = response
        .bytes()
        .await
        .context("read the gateway's answer")?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if !status.is_success() {
        bail!(Problem {
            status: status.as_u16(),
            code: text(&body, "code").to_owned(),
            detail: text(&body, "detail").to_owned(),
        });
    }
    Ok(Written { body, consistency })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
