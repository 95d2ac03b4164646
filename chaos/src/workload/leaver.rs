use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Client, Mix, Seeded, Shop, attempt};
use crate::history::Journal;

/// Customers who come once, order, and want to be forgotten while their order is on its way.
#[derive(Clone, Debug)]
pub struct Leavers {
    /// The gateway, `http://host:port`.
    pub gateway: String,
    /// What they order, and where.
    pub shop: Shop,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long nobody comes after one has left.
    pub pause: Duration,
    /// Repeats their orders.
    pub seed: u64,
    /// Where to write down what was asked and answered.
    pub journal: Option<Journal>,
}

// === impl Leavers ===

impl Leavers {
    /// One after the other, until `stop` is cancelled. Who cannot be made or erased just now is not asked
    /// about again: the next one comes soon.
    pub async fn come_and_go(self, stop: CancellationToken) {
        let mut client = Client::new(&self.gateway, self.timeout);
        let mut random = Seeded::new(self.seed);
        while !stop.is_cancelled() {
            if !self.come_and_leave(&mut client, &mut random).await {
                tracing::debug!("a customer could not be made or erased");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.pause) => {}
            }
        }
    }

    /// Whether somebody came, ordered and was erased.
    pub async fn come_and_leave(&self, client: &mut Client, random: &mut Seeded) -> bool {
        let number = random.next();
        let Some(customer) = somebody(client, number).await else {
            return false;
        };
        let shop = Shop {
            customers: vec![customer.clone()],
            ..self.shop.clone()
        };
        let planned = Mix::default().plan(&shop, random);
        attempt(self.journal.as_ref(), client, &planned).await;
        let path = format!("/v1/customers/{customer}");
        let gone = client.send(Method::DELETE, &path, None, String::new());
        gone.await.is_ok_and(|answer| answer.status.is_success())
    }
}

/// A customer who wants every mail there is.
async fn somebody(client: &mut Client, number: u64) -> Option<String> {
    let body = json!({
        "name": format!("Leaver {number:016x}"),
        "email": format!("leaver-{number:016x}@example.com"),
        "locale": "en",
        "showName": true,
    });
    let key = format!("leaver-{number:016x}");
    let made = client.send(Method::POST, "/v1/customers", Some(&key), body.to_string());
    let made: Value = serde_json::from_slice(&made.await.ok()?.body).ok()?;
    Some(made.get("customerId")?.as_str()?.to_owned())
}
