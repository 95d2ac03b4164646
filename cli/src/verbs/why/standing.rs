//! How an order stands now, beyond what its story tells: tickets, mails, boards, what is held back, and the
//! trace it belongs to.

use brewline_chaos::evidence::{BoardKey, Evidence, Fact, Sale};
use brewline_proto::operator::v1::DeadLetter;
use serde::Serialize;
use uuid::Uuid;

/// How an order stands now. A part that this stack has no service for is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    /// W3C trace id of the request that placed it.
    pub(super) trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tickets: Option<Vec<Ticket>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<Delivery>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boards: Option<Vec<Place>>,
    dead_letters: Vec<Letter>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    ticket_id: Uuid,
    product: String,
    quantity: i64,
    status: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    kind: String,
    state: String,
    attempts: i32,
    reason: String,
    /// Mails of this kind that the mailbox has; one at most, however often it was tried.
    arrived: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    board: &'static str,
    member: String,
    units: i64,
    rank: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    id: String,
    consumer: String,
    event_type: String,
    reason: String,
    parked: i64,
}

// === impl Standing ===

impl Standing {
    /// What `evidence` says about `order`; `letters` are the open dead letters of its key.
    pub(super) fn of(
        evidence: &Evidence,
        order: Uuid,
        letters: Vec<DeadLetter>,
        trace_id: Option<String>,
    ) -> Self {
        Self {
            trace_id,
            tickets: tickets(evidence, order),
            deliveries: deliveries(evidence, order),
            boards: boards(evidence, order),
            dead_letters: letters.into_iter().map(Letter::from).collect(),
        }
    }

    /// A line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.trace_id.iter().map(|id| format!("trace     {id}")));
        for t in self.tickets.iter().flatten() {
            let (quantity, product) = (t.quantity, &t.product);
            lines.push(format!(
                "ticket    {}  {quantity} × {product}: {}",
                t.ticket_id, t.status
            ));
        }
        for d in self.deliveries.iter().flatten() {
            let why = if d.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", d.reason)
            };
            lines.push(format!(
                "mail      {}: {}{why}, {} tries, {} arrived",
                d.kind, d.state, d.attempts, d.arrived
            ));
        }
        for p in self.boards.iter().flatten() {
            lines.push(format!(
                "board     {}: {} is at rank {} with {} units, of all stores and times",
                p.board, p.member, p.rank, p.units
            ));
        }
        for l in &self.dead_letters {
            lines.push(format!(
                "stuck at  {}: dead letter {} ({}), {} records parked behind it: {}",
                l.consumer, l.id, l.event_type, l.parked, l.reason
            ));
        }
        lines
    }
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            consumer: letter.consumer,
            event_type: letter.event_type,
            reason: letter.reason,
            parked: letter.parked,
        }
    }
}

fn tickets(evidence: &Evidence, order: Uuid) -> Option<Vec<Ticket>> {
    let all = evidence.tickets.as_ref()?.as_ref().ok()?;
    let own = all.get(&order).into_iter().flatten();
    let shown = own.map(|ticket| Ticket {
        ticket_id: ticket.id,
        product: ticket.product.clone(),
        quantity: ticket.quantity,
        status: ticket.status.clone(),
    });
    Some(shown.collect())
}

fn deliveries(evidence: &Evidence, order: Uuid) -> Option<Vec<Delivery>> {
    let all = evidence.notified.as_ref()?.as_ref().ok()?;
    let arrived = |kind: &str| {
        let mails = evidence.mailbox.iter().flatten().flatten();
        let about = |mail: &&brewline_chaos::evidence::Mail| {
            mail.about
                .as_ref()
                .is_some_and(|(of, k)| *of == order && k == kind)
        };
        mails.filter(about).count()
    };
    let own = all.deliveries.iter().filter(|d| d.order == order);
    let shown = own.map(|delivery| Delivery {
        kind: delivery.kind.clone(),
        state: delivery.state.clone(),
        attempts: delivery.attempts,
        reason: delivery.reason.clone(),
        arrived: arrived(&delivery.kind),
    });
    Some(shown.collect())
}

/// Where the order's customer and products stand; nowhere before it is sold.
fn boards(evidence: &Evidence, order: Uuid) -> Option<Vec<Place>> {
    let boards = evidence.boards.as_ref()?.as_ref().ok()?;
    let Some(sale) = sale(evidence, order) else {
        return Some(Vec::new());
    };
    let lines = sale.lines.iter().map(|line| ("products", &line.product));
    let wanted = std::iter::once(("coffee-lovers", &sale.customer)).chain(lines);
    let place = |(board, member): (&'static str, &String)| {
        let key = BoardKey {
            board: board.to_owned(),
            store: String::new(),
            window: "all".to_owned(),
            starts: String::new(),
        };
        let scores = boards.scores.get(&key)?;
        let units = scores.get(member)?.units;
        let before = scores.values().filter(|score| score.units > units).count();
        Some(Place {
            board,
            member: member.clone(),
            units,
            rank: before + 1,
        })
    };
    Some(wanted.filter_map(place).collect())
}

fn sale(evidence: &Evidence, order: Uuid) -> Option<&Sale> {
    let subject = order.to_string();
    let own = evidence.log.as_ref().ok()?.iter();
    own.filter(|record| record.subject == subject)
        .find_map(|record| match record.fact.as_deref() {
            Some(Fact::Confirmed(sale)) => Some(sale),
            _ => None,
        })
}
