//! Where a confirmed order shows beyond its own status: at a station, in the mailbox, on a board.

use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::time::Instant;

use crate::shop::{self, Shop};
use crate::terminal;

/// Events carry an order everywhere within this, or something is wrong.
const WITHIN: Duration = Duration::from_secs(20);

/// An order whose marks are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The order.
    pub order: &'a str,
    /// Its store.
    pub store: &'a str,
    /// Its customer.
    pub customer: &'a str,
    /// When it was placed.
    pub began: Instant,
}

/// Prints the order's tickets, its mail and its customer's place on the board, each as soon as it is
/// there.
///
/// # Errors
/// When one of them does not come.
pub async fn show(shop: &Shop, placed: Placed<'_>) -> anyhow::Result<()> {
    let wall = format!("/v1/stores/{}/wall", placed.store);
    await_mark(shop, placed, &wall, "tickets", tickets).await?;
    let mails = format!("/v1/customers/{}/notifications", placed.customer);
    await_mark(shop, placed, &mails, "mail", mail).await?;
    let board = format!(
        "/v1/boards/coffee-lovers/members/{}?window=month",
        placed.customer
    );
    await_mark(shop, placed, &board, "board", place).await
}

async fn await_mark(
    shop: &Shop,
    placed: Placed<'_>,
    path: &str,
    what: &str,
    found: impl Fn(&Value, Placed<'_>) -> Option<String>,
) -> anyhow::Result<()> {
    let mut answer = Value::Null;
    while placed.began.elapsed() < WITHIN {
        // What is not there yet is not found: the next look may see it.
        answer = shop.get(path, 0).await.unwrap_or(answer);
        if let Some(mark) = found(&answer, placed) {
            let after = placed.began.elapsed().as_millis();
            terminal::say(format!("  {after:>6} ms  {what:<10} {mark}"));
            return Ok(());
        }
        tokio::time::sleep(shop::POLL).await;
    }
    bail!(
        "order {} shows no {what} after {} s (GET {path})",
        placed.order,
        WITHIN.as_secs()
    )
}

fn tickets(wall: &Value, placed: Placed<'_>) -> Option<String> {
    let at_brew = |group: &Value| format!("brew {}", shop::text(group, "method"));
    let brewed = list(wall, "brew")
        .flat_map(|group| list(group, "items").map(move |ticket| (at_brew(group), ticket)));
    let plated = list(wall, "plate").map(|ticket| ("plate".to_owned(), ticket));
    let own: Vec<String> = brewed
        .chain(plated)
        .filter(|(_, ticket)| shop::text(ticket, "orderId") == placed.order)
        .map(|(station, ticket)| format!("{} at {station}", shop::text(ticket, "product")))
        .collect();
    (!own.is_empty()).then(|| own.join(", "))
}

fn mail(notifications: &Value, placed: Placed<'_>) -> Option<String> {
    let mut own = list(notifications, "items")
        .filter(|one| shop::text(one, "orderId") == placed.order)
        .filter(|one| shop::text(one, "status") == "sent");
    own.next()
        .map(|mail| format!("{} sent", shop::text(mail, "kind")))
}

fn place(board: &Value, _: Placed<'_>) -> Option<String> {
    let own = board.get("member")?;
    let number = |field: &str| own.get(field).and_then(Value::as_i64);
    Some(format!(
        "coffee lover no. {} of the month with {}",
        number("rank")?,
        number("score")?
    ))
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let items = object.get(field).and_then(Value::as_array);
    items.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placed() -> Placed<'static> {
        Placed {
            order: "o1",
            store: "s",
            customer: "c",
            began: Instant::now(),
        }
    }

    #[test]
    fn only_the_orders_own_tickets_are_its_mark() {
        let ticket = |order: &str, product: &str| json!({ "orderId": order, "product": product });
        let wall = json!({
            "brew": [{ "method": "v60", "items": [ticket("o1", "Kenya"), ticket("o2", "Java")] }],
            "plate": [ticket("o1", "Croissant")],
        });
        let shown = tickets(&wall, placed()).unwrap();
        assert_eq!(shown, "Kenya at brew v60, Croissant at plate");
        assert_eq!(tickets(&json!({ "brew": [], "plate": [] }), placed()), None);
    }

    #[test]
    fn a_mail_counts_once_it_is_sent() {
        let mails = |status: &str| json!({ "items": [{ "orderId": "o1", "kind": "confirmed", "status": status }] });
        assert_eq!(mail(&mails("pending"), placed()), None);
        assert_eq!(mail(&mails("sent"), placed()).unwrap(), "confirmed sent");
    }

    #[test]
    fn the_members_own_row_is_the_place() {
        let board = json!({ "member": { "id": "c", "rank": 2, "score": 5 }, "board": {} });
        let shown = place(&board, placed()).unwrap();
        assert_eq!(shown, "coffee lover no. 2 of the month with 5");
    }
}
