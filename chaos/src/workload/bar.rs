use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Client;

/// The baristas of one store, who make whatever is on its wall, and its customers, who collect it.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The gateway, `http://host:port`.
    pub gateway: String,
    /// The store.
    pub store: String,
    /// How many work side by side; each has the orders of its own.
    pub hands: usize,
    /// How long a request may take.
    pub timeout: Duration,
}

/// What one pair of hands is about.
#[derive(Debug)]
struct Hand {
    client: Client,
    /// Orders whose last ticket it finished, with how often they were asked for.
    made: BTreeMap<Uuid, u32>,
}

/// A ticket on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WallItem {
    /// The ticket.
    pub ticket: String,
    /// The order.
    pub order: Uuid,
    /// Whether nobody has begun with it.
    pub open: bool,
}

/// How long nobody looks at the wall again: a look costs the gateway more than a ticket.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// An order that is not ready by then, because its store's barista is down, stays where it is.
const ASKED_MAX: u32 = 50;

// === impl Bar ===

impl Bar {
    /// Makes and hands over until `stop` is cancelled. Whatever fails is tried again at the next look.
    pub async fn work(self, stop: CancellationToken) {
        let mut eyes = Client::new(&self.gateway, self.timeout);
        let mut hands: Vec<Hand> = (0..self.hands.max(1)).map(|_| self.hand()).collect();
        while !stop.is_cancelled() {
            let items = wall(&mut eyes, &self.store).await;
            let count = u128::try_from(hands.len()).unwrap_or(1);
            let turns = (0_u128..).zip(&mut hands).map(|(number, hand)| {
                let own = items.iter();
                let own = own.filter(move |item| item.order.as_u128() % count == number);
                hand.turn(own.collect())
            });
            join_all(turns).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn hand(&self) -> Hand {
        Hand {
            client: Client::new(&self.gateway, self.timeout),
            made: BTreeMap::new(),
        }
    }
}

// === impl Hand ===

impl Hand {
    async fn turn(&mut self, items: Vec<&WallItem>) {
        for item in items {
            let path = format!("/v1/tickets/{}", item.ticket);
            if item.open && !self.done(&format!("{path}/start")).await {
                continue;
            }
            if self.done(&format!("{path}/done")).await {
                self.made.insert(item.order, 0);
            }
        }
        for order in self.made.keys().copied().collect::<Vec<_>>() {
            let collected = self.done(&format!("/v1/orders/{order}/collect")).await;
            let asked = self.made.entry(order).or_default();
            *asked += 1;
            if collected || *asked > ASKED_MAX {
                self.made.remove(&order);
            }
        }
    }

    async fn done(&mut self, path: &str) -> bool {
        let answer = self.client.send(Method::POST, path, None, String::new());
        answer.await.is_ok_and(|answer| answer.status.is_success())
    }
}

/// Everything on a store's wall; nothing where nobody tells.
pub async fn wall(client: &mut Client, store: &str) -> Vec<WallItem> {
    let path = format!("/v1/stores/{store}/wall");
    let answer = client.send(Method::GET, &path, None, String::new()).await;
    let body = match answer {
        Ok(answer) if answer.status == StatusCode::OK => answer.body,
        Ok(_) | Err(_) => return Vec::new(),
    };
    let mut items = Vec::new();
    collect(
        &serde_json::from_slice(&body).unwrap_or_default(),
        &mut items,
    );
    items
}

/// Tickets, at whatever station they hang.
fn collect(value: &Value, items: &mut Vec<WallItem>) {
    if let Value::Object(fields) = value {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let order = text("orderId").and_then(|id| id.parse().ok());
        if let (Some(ticket), Some(order)) = (text("ticketId"), order) {
            let (ticket, open) = (ticket.to_owned(), text("status") == Some("open"));
            items.push(WallItem {
                ticket,
                order,
                open,
            });
        }
        fields.values().for_each(|field| collect(field, items));
    } else if let Value::Array(all) = value {
        all.iter().for_each(|item| collect(item, items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_of_every_station_are_seen() {
        let item = |ticket: &str, status: &str| serde_json::json!({ "ticketId": ticket, "orderId": Uuid::nil(), "status": status });
        let wall = serde_json::json!({
            "storeId": "s",
            "position": 7,
            "brew": [{ "method": "v60", "items": [item("a", "open")] }],
            "plate": [item("b", "started")],
        });
        let mut items = Vec::new();
        collect(&wall, &mut items);
        let seen: Vec<_> = items
            .iter()
            .map(|item| (&*item.ticket, item.open))
            .collect();
        assert_eq!(seen, [("a", true), ("b", false)]);
    }
}
