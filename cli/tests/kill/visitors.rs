//! Who comes besides the customers of the load: those who want to be forgotten, and a till that listens.

use std::time::Duration;

use anyhow::Context as _;
use anyhow::ensure;
use brewline_chaos::workload::{Client, Leavers, Load};
use hyper::Method;
use serde_json::json;

/// Somebody else orders once and wants to be forgotten, this long after the one before.
const LEAVES_EVERY: Duration = Duration::from_secs(2);
/// The webhook receiver that is told of the first store's orders.
pub(crate) const HOOK: &str = "till";

/// Who orders the same, once, and leaves for good.
pub(crate) fn leavers(load: &Load) -> Leavers {
    Leavers {
        gateway: load.gateway.clone(),
        shop: load.shop.clone(),
        timeout: load.timeout,
        pause: LEAVES_EVERY,
        seed: load.seed,
        journal: load.journal.clone(),
    }
}

/// Has the webhook receiver told of a store's orders.
pub(crate) async fn listen(
    gateway: &str,
    sandbox: Option<&str>,
    store: &str,
) -> anyhow::Result<()> {
    let url = format!("{}/hook/{HOOK}", sandbox.context("no sandbox")?);
    let body =
        json!({ "url": url, "types": ["order.confirmed", "order.rejected"], "storeId": store });
    let mut client = Client::new(gateway, Duration::from_secs(5));
    let answer = client
        .send(Method::POST, "/v1/webhooks", Some("till"), body.to_string())
        .await?;
    let told = String::from_utf8_lossy(&answer.body);
    ensure!(
        answer.status.is_success(),
        "/v1/webhooks answered {}: {told}",
        answer.status
    );
    Ok(())
}
