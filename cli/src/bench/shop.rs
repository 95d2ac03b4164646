//! A shop of its own for each run.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use brewline_chaos::history::Journal;
use brewline_chaos::workload::{Answer, Client, Planned, Shop, attempt};
use futures_util::future::try_join_all;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

/// Stores: enough that no single row is everybody's, few enough to be a chain's busy morning.
const STORES: usize = 3;
/// Where they are: whatever the time is, in one of them the date is not that of Greenwich.
const TIME_ZONES: [&str; STORES] = ["Europe/Lisbon", "Pacific/Kiritimati", "Pacific/Pago_Pago"];
/// Products besides the one everybody wants.
const PRODUCTS: usize = 20;
/// Connections by which customers are made: they are many, and `order` makes batches of what arrives
/// together.
const CONNECTIONS: usize = 32;
/// How long a request of the set-up may take, and for how long it is tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a request of the set-up is made when the platform is too busy for it. Each may be repeated: it
/// sets, or it has a key.
const TRIES: u32 = 5;
/// Before the second try; one longer by as much before each further one.
const PAUSE: Duration = Duration::from_millis(300);

/// How a shop is made.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Stock of each product in each store.
    pub stock: i64,
    /// Customers: enough that none of them orders as no customer does, or payment's risk rules refuse
    /// them.
    pub customers: usize,
    /// How many of a hundred customers want mails; the others want none.
    pub mail_percent: usize,
}

/// Makes stores, products, stock and customers of their own for one run. Its first orders stand in the
/// journal like all others.
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn open(
    gateway: &str,
    run: &str,
    opening: Opening,
    journal: Option<&Journal>,
) -> anyhow::Result<Shop> {
    let mut client = Client::new(gateway, PATIENCE);
    let stores: Vec<String> = (1..=STORES).map(|n| format!("bench-{run}-{n}")).collect();
    let products: Vec<String> = (0..=PRODUCTS)
        .map(|n| format!("bench-{run}-p{n}"))
        .collect();
    for (store, time_zone) in stores.iter().zip(TIME_ZONES) {
        let body = json!({ "name": store, "currency": "EUR", "timeZone": time_zone });
        call(
            &mut client,
            Method::PUT,
            &format!("/v1/stores/{store}"),
            None,
            &body,
        )
        .await?;
    }
    for (number, product) in products.iter().enumerate() {
        let path = format!("/v1/catalogue/{product}");
        let body = on_the_card(product, number);
        call(&mut client, Method::PUT, &path, None, &body).await?;
    }
    for store in &stores {
        for product in &products {
            let body = json!({ "productId": product, "delta": opening.stock, "reason": "bench" });
            let key = format!("{store}-{product}");
            let path = format!("/v1/stores/{store}/stock");
            call(&mut client, Method::POST, &path, Some(&key), &body).await?;
        }
    }
    let shop = Shop {
        stores,
        customers: customers(gateway, run, opening).await?,
        products,
    };
    until_priced(&mut client, &shop, journal).await?;
    Ok(shop)
}

/// Drinks of several methods and origins, and some food, so that every board has members.
fn on_the_card(product: &str, number: usize) -> Value {
    let price = json!([{ "amountMinor": 250 + 10 * number, "currency": "EUR" }]);
    if number % 5 == 4 {
        return json!({
            "name": product, "kind": "food", "method": "", "origin": "", "prices": price,
        });
    }
    let method = if number.is_multiple_of(2) {
        "espresso"
    } else {
        "v60"
    };
    let origin = if number.is_multiple_of(3) {
        "ethiopia"
    } else {
        "kenya"
    };
    json!({
        "name": product, "kind": "drink", "method": method, "origin": origin, "prices": price,
    })
}

/// Makes customers, many at once.
async fn customers(gateway: &str, run: &str, opening: Opening) -> anyhow::Result<Vec<String>> {
    let Opening {
        customers,
        mail_percent,
        ..
    } = opening;
    let lane = async |first: usize| {
        let mut client = Client::new(gateway, PATIENCE);
        let mut made = Vec::new();
        for number in (first..customers).step_by(CONNECTIONS) {
            let customer = customer(&mut client, run, number).await?;
            wishes(&mut client, &customer, number % 100 < mail_percent).await?;
            made.push(customer);
        }
        anyhow::Ok(made)
    };
    let lanes = try_join_all((0..CONNECTIONS).map(lane)).await?;
    Ok(lanes.into_iter().flatten().collect())
}

async fn customer(client: &mut Client, run: &str, number: usize) -> anyhow::Result<String> {
    let body = json!({
        "name": format!("Customer {number}"),
        "email": format!("customer-{number}@example.com"),
        "locale": "en",
        "showName": false,
    });
    let key = format!("bench-{run}-customer-{number}");
    let made = call(client, Method::POST, "/v1/customers", Some(&key), &body).await?;
    let id = made.get("customerId").and_then(Value::as_str);
    Ok(id.context("a customer was made without an id")?.to_owned())
}

/// Says whether a customer wants mails. Before there are notifications nobody can say so.
async fn wishes(client: &mut Client, customer: &str, mails: bool) -> anyhow::Result<()> {
    let (channels, kinds): (&[&str], &[&str]) = if mails {
        (&["email"], &KINDS)
    } else {
        (&[], &[])
    };
    let body = json!({ "channels": channels, "kinds": kinds });
    let path = format!("/v1/customers/{customer}/preferences");
    let answer = patiently(client, Method::PUT, &path, None, &body).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(());
    }
    successful(&answer, &path)
}

/// Everything a customer can be told.
const KINDS: [&str; 4] = ["confirmed", "rejected", "ready", "cancelled"];

/// An order is priced from `order`'s copy of the catalogue, which follows inventory by events: waits
/// until a first order of the last product is accepted everywhere.
async fn until_priced(
    client: &mut Client,
    shop: &Shop,
    journal: Option<&Journal>,
) -> anyhow::Result<()> {
    for first in first_orders(shop) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let attempt = attempt(journal, client, &first).await;
            if attempt.order.is_some() {
                break;
            }
            if tokio::time::Instant::now() >= deadline {
                let answer = attempt.answer.context("place a first order")?;
                successful(&answer, "/v1/orders").context("place a first order")?;
                bail!("a first order was accepted without an id");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// One order of the last product in each store.
fn first_orders(shop: &Shop) -> Vec<Planned> {
    let (Some(customer), Some(product)) = (shop.customers.first(), shop.products.last()) else {
        return vec![];
    };
    let order = |store: &String| {
        let body = json!({
            "storeId": store,
            "customerId": customer,
            "lines": [{ "productId": product, "quantity": 1 }],
            "payment": { "token": "tok_ok" },
        });
        Planned::new(format!("{store}-first"), store.clone(), body.to_string())
    };
    shop.stores.iter().map(order).collect()
}

async fn call(
    client: &mut Client,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> anyhow::Result<Value> {
    let answer = patiently(client, method, path, key, body).await?;
    successful(&answer, path)?;
    Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// The answer to a request, repeated a few times while the platform says that it is too busy.
async fn patiently(
    client: &mut Client,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> anyhow::Result<Answer> {
    let mut tries = 1;
    loop {
        let answer = client.send(method.clone(), path, key, body.to_string());
        let answer = answer.await.with_context(|| format!("call {path}"))?;
        let busy = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if tries == TRIES || !busy.contains(&answer.status) {
            return Ok(answer);
        }
        tokio::time::sleep(PAUSE * tries).await;
        tries += 1;
    }
}

fn successful(answer: &Answer, path: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(
        answer.status.is_success(),
        "{path} answered {}: {text}",
        answer.status
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use brewline_chaos::history::{History, Phase};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A gateway that is too busy `busy` times before it does what it is asked; the requests it got.
    async fn busy_gateway(busy: u32) -> (String, tokio::task::JoinHandle<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[allow(clippy::disallowed_methods, reason = "a test has no task tracker")]
        let served = tokio::spawn(async move {
            let mut requests = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut read = Vec::new();
                while !read.ends_with(b"{}") {
                    assert!(stream.read_buf(&mut read).await.unwrap() > 0);
                }
                requests += 1;
                let status = if requests > busy {
                    "200 OK"
                } else {
                    "503 Busy"
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                if requests > busy || requests == TRIES {
                    return requests;
                }
            }
        });
        (url, served)
    }

    #[tokio::test]
    async fn a_platform_that_is_too_busy_is_asked_again_a_few_times() {
        for (busy, requests, made) in [(2, 3, true), (99, 5, false)] {
            let (url, served) = busy_gateway(busy).await;
            let mut client = Client::new(&url, PATIENCE);
            let body = json!({});
            let answer = call(&mut client, Method::PUT, "/v1/stores/s", None, &body).await;
            assert_eq!(answer.is_ok(), made, "{answer:?}");
            assert_eq!(served.await.unwrap(), requests);
        }
    }

    #[tokio::test]
    async fn the_first_orders_stand_in_the_journal_even_when_nobody_answers() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let shop = Shop {
            stores: names(&["s1", "s2"]),
            customers: names(&["c"]),
            products: names(&["hot", "last"]),
        };
        let path = std::env::temp_dir().join(format!("journal-{}.jsonl", uuid::Uuid::new_v4()));
        let journal = Journal::open(&path).unwrap();
        // Port 1 is nobody's: the connection is refused at once.
        let mut client = Client::new("http://127.0.0.1:1", PATIENCE);
        for first in first_orders(&shop) {
            let attempt = attempt(Some(&journal), &mut client, &first).await;
            assert_eq!(attempt.phase, Phase::Info);
        }
        let history = History::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let keys: Vec<_> = history.placed.keys().map(String::as_str).collect();
        assert_eq!(keys, ["s1-first", "s2-first"]);
        assert!(history.placed.values().all(|story| story.open == 1));
    }
}
