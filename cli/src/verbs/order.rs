//! `order place|get|watch|cancel|list`: the shop from the shell, through the gateway's HTTP.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{self, Shop};
use crate::stack::Stack;
use crate::verbs::given;
use crate::{exit, terminal};

/// The most that the gateway lists at once.
const PAGE_SIZE_MAX: i64 = 100;

/// Arguments of `order`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Place an order
    Place(Place),
    /// Show an order
    Get {
        /// Its id
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an order each time it changes, until it is settled and its money known
    Watch {
        /// Its id
        id: Uuid,
        /// Print JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Cancel an order
    Cancel {
        /// Its id
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Orders, newest first
    List {
        /// Only this customer's
        #[arg(long, value_parser = given::plain)]
        customer: Option<String>,
        /// Only this store's
        #[arg(long, value_parser = given::plain)]
        store: Option<String>,
        /// Only those with this status
        #[arg(long, value_parser = given::plain)]
        status: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=PAGE_SIZE_MAX))]
        limit: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What is ordered.
#[derive(Debug, Args)]
struct Place {
    /// Product and quantity, as PRODUCT or PRODUCT=N; can be repeated
    #[arg(value_name = "PRODUCT[=N]", default_value = "espresso")]
    lines: Vec<Line>,
    /// The store
    #[arg(long, default_value = "store-lisbon")]
    store: String,
    /// The customer
    #[arg(long, default_value = "customer-demo")]
    customer: String,
    /// The card
    #[arg(long, default_value = "tok_ok")]
    token: String,
    /// The idempotency key; a new one unless told
    #[arg(long)]
    key: Option<String>,
    /// Wait until it is settled; a rejected one makes the exit 1, one that takes too long 2
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One line of an order.
#[derive(Clone, Debug)]
struct Line {
    product: String,
    quantity: u32,
}

// === impl Line ===

impl FromStr for Line {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (product, quantity) = match text.split_once('=') {
            Some((product, quantity)) => (product, quantity.parse()?),
            None => (text, 1),
        };
        if product.is_empty() {
            bail!("a line is PRODUCT or PRODUCT=N");
        }
        Ok(Self {
            product: product.to_owned(),
            quantity,
        })
    }
}

/// Does one thing in the shop.
///
/// # Errors
/// When the gateway does not answer or refuses.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let shop = Shop::at(stack.gateway()?)?;
    match arguments.action {
        Action::Place(what) => return place(&shop, what).await,
        Action::Get { id, json } => print(&shop.get(&order_path(id), 0).await?, json)?,
        Action::Watch { id, json } => watch(&shop, id, json).await?,
        Action::Cancel { id, json } => {
            let path = format!("{}/cancel", order_path(id));
            print(&shop.post(&path, None, &json!({})).await?.body, json)?;
        }
        Action::List {
            customer,
            store,
            status,
            limit,
            json,
        } => {
            let filters = [
                ("customerId", customer),
                ("storeId", store),
                ("status", status),
            ];
            list(&shop, filters, limit, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn place(shop: &Shop, what: Place) -> anyhow::Result<ExitCode> {
    let key = what.key.unwrap_or_else(|| Uuid::new_v4().to_string());
    let lines: Vec<Value> = what
        .lines
        .iter()
        .map(|line| json!({ "productId": line.product, "quantity": line.quantity }))
        .collect();
    let body = json!({
        "storeId": what.store,
        "customerId": what.customer,
        "lines": lines,
        "payment": { "token": what.token },
    });
    let placed = shop.post("/v1/orders", Some(&key), &body).await?.body;
    if !what.wait {
        print(&placed, what.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let id = shop::text(&placed, "orderId");
    let id = id.parse().with_context(|| format!("read the id {id:?}"))?;
    let settled = shop
        .get(&format!("{}?until=settled", order_path(id)), 30)
        .await?;
    print(&settled, what.json)?;
    Ok(ExitCode::from(answer(shop::text(&settled, "status"))))
}

/// What the exit says of an order that was waited for.
fn answer(status: &str) -> u8 {
    match status {
        "rejected" => exit::NO,
        "pending" => exit::UNKNOWN,
        _ => 0,
    }
}

/// Asks until nothing more is to come without somebody doing something.
async fn watch(shop: &Shop, id: Uuid, as_json: bool) -> anyhow::Result<()> {
    let path = order_path(id);
    let mut shown = Value::Null;
    loop {
        let order = shop.get(&format!("{path}?until=settled"), 10).await?;
        if order != shown {
            print(&order, as_json)?;
        }
        if shop::is_at_rest(&order) {
            return Ok(());
        }
        // A settled order answers at once, so the wait for its money is a poll.
        let settled = shop::text(&order, "status") != "pending";
        shown = order;
        if settled {
            tokio::time::sleep(shop::POLL).await;
        }
    }
}

async fn list(
    shop: &Shop,
    filters: [(&str, Option<String>); 3],
    limit: u16,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut path = format!("/v1/orders?pageSize={limit}");
    for (name, value) in filters {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    let page = shop.get(&path, 0).await?;
    if as_json {
        return terminal::say_json(&page);
    }
    let items = page
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for order in &items {
        terminal::say(shop::order_line(order));
    }
    // A page looks at so many orders: one of a rare status may be short although there are more.
    let next = page.get("nextPageToken").and_then(Value::as_str);
    if items.len() < usize::from(limit) && next.is_some_and(|next| !next.is_empty()) {
        terminal::note("there may be older ones: --json names the next page");
    }
    Ok(())
}

fn print(order: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return terminal::say_json(order);
    }
    terminal::say(shop::order_line(order));
    Ok(())
}

fn order_path(id: Uuid) -> String {
    format!("/v1/orders/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_order_is_a_no_and_an_undecided_one_is_unknown() {
        let statuses = ["confirmed", "cancelled", "rejected", "pending"];
        assert_eq!(statuses.map(answer), [0, 0, exit::NO, exit::UNKNOWN]);
    }
}
