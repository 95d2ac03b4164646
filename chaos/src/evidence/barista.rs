use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant};
use uuid::Uuid;

/// One line of an order at its station, as the barista's table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket.
    pub id: Uuid,
    /// The line, counted from 0.
    pub line: i32,
    /// The product.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// `open`, `started`, `done` or `withdrawn`.
    pub status: String,
    /// Whether anybody ever began with it.
    pub started: bool,
}

/// The tickets of each order, by line.
pub type Tickets = BTreeMap<Uuid, Vec<Ticket>>;

pub(super) async fn tickets(db: &Connection, since: Timestamp) -> Result<Tickets, Error> {
    let sql =
        "select order_id, ticket_id, line, product_id, quantity, status, started_at is not null
               from ticket where opened_at >= $1 order by order_id, line";
    let mut tickets = Tickets::new();
    for row in db.query(sql, &[&Instant(since)]).await? {
        let ticket = Ticket {
            id: row.get(1),
            line: row.get(2),
            product: row.get(3),
            quantity: row.get(4),
            status: row.get(5),
            started: row.get(6),
        };
        tickets.entry(row.get(0)).or_default().push(ticket);
    }
    Ok(tickets)
}
