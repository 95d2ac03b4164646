use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::Timestamp;
use uuid::Uuid;

use super::{evidence, offered};
use crate::evidence::{Evidence, Fact, LogRecord, Messaging, Opened, Order, Orders, Sale, Ticket};
use crate::verdict::{Finding, Judge};

const ORDERS: &str = "brewline.order.events.v1";
const FULFILMENT: &str = "brewline.fulfilment.events.v1";
/// Reads the orders' events for the barista.
const BARISTA: &str = "brewline.barista.orders";
/// Reads the barista's events for the order service.
const ORDER: &str = "brewline.order.tickets";

/// What the log says of one order.
#[derive(Debug, Default)]
struct Story<'a> {
    sale: Option<&'a Sale>,
    /// The version of the event that sold it.
    confirmed: i64,
    /// The version of the event that cancelled it, once it was sold; and whether its money was lost.
    cancelled: Option<(i64, bool, Timestamp)>,
    /// The barista's events by version.
    made: BTreeMap<i64, &'a Fact>,
}

/// What has been done about an order's tickets.
#[derive(Debug, Default)]
struct Work<'a> {
    opened: &'a [Opened],
    started: bool,
    done: BTreeSet<&'a str>,
    completed: bool,
    /// Withdrawn; and whether its money was lost.
    withdrawn: Option<bool>,
}

/// Tickets: each sold order has exactly its tickets; nobody begins with what is cancelled; an order
/// that was sold is cancelled with the barista's leave alone, unless its money was lost; and its status
/// is what the barista's events lead to.
pub(super) fn tickets_follow_orders(all: &Evidence, mut judge: Judge) -> Finding {
    let tickets = offered!(judge, all.tickets, "tickets");
    let orders = evidence!(judge, all.orders);
    let log = evidence!(judge, all.log);
    let (Some(Ok(barista)), Some(Ok(order_tables))) =
        (all.messaging.get("barista"), all.messaging.get("order"))
    else {
        return judge.unknown("the message tables of barista or order could not be read");
    };
    let stories = stories(log);
    let published = published(barista);
    let founded = log
        .iter()
        .filter(|r| r.topic == FULFILMENT)
        .map(|r| r.happened)
        .min();
    for id in all.judged() {
        let (Some(order), Some(story)) = (orders.rows.get(&id), stories.get(&id)) else {
            continue;
        };
        let known = applied(barista, BARISTA, ORDERS, id);
        let newest = story.made.keys().max().copied().unwrap_or(0);
        let wanted = published.get(&id).copied().unwrap_or(0);
        // What is still on its way into or out of the barista's hands cannot be judged yet; that it does
        // not stay on its way is judged elsewhere.
        if story.confirmed == 0 || known < story.confirmed || newest < wanted {
            continue;
        }
        judge.subject();
        let own = tickets.get(&id).map_or(&[][..], Vec::as_slice);
        let work = work(id, story, &mut judge);
        exactly_its_tickets(id, story, &work, own, &mut judge);
        cancelled_with_leave(id, story, &work, (orders, known, founded), own, &mut judge);
        let seen = applied(order_tables, ORDER, FULFILMENT, id);
        status_agrees(id, order, story, seen, &mut judge);
    }
    for (id, _) in all.open() {
        if let Some(story) = stories.get(&id) {
            let seen = applied(order_tables, ORDER, FULFILMENT, id);
            answered_is_not_cancelling(id, orders, story, seen, &mut judge);
        }
    }
    judge.finish()
}

/// An order that waits for the barista's answer, and has had it.
fn answered_is_not_cancelling(
    id: Uuid,
    orders: &Orders,
    story: &Story<'_>,
    seen: i64,
    judge: &mut Judge,
) {
    if orders
        .rows
        .get(&id)
        .is_none_or(|order| order.status != "cancelling")
    {
        return;
    }
    judge.subject();
    let events = orders.events.get(&id).map_or(&[][..], Vec::as_slice);
    let requests = events.iter();
    let requests = requests.filter(|event| event.kind.ends_with("OrderCancellationRequested"));
    let answers = story.made.range(..=seen).filter(|(_, fact)| {
        matches!(
            fact,
            Fact::TicketsWithdrawn { .. } | Fact::WithdrawalRefused
        )
    });
    if answers.count() >= requests.count() {
        judge.violation(Some(id), "cancelling, and the barista's answer was applied");
    }
}

/// The last version of an order's events that a consumer has applied.
fn applied(tables: &Messaging, consumer: &str, topic: &str, order: Uuid) -> i64 {
    let key = (consumer.to_owned(), topic.to_owned(), order.to_string());
    tables.inbox.get(&key).map_or(0, |row| row.version)
}

/// The last version of each order's events that the barista wrote.
fn published(barista: &Messaging) -> BTreeMap<Uuid, i64> {
    let mut newest = BTreeMap::new();
    for row in barista.outbox.iter().filter(|row| row.topic == FULFILMENT) {
        if let Ok(order) = row.subject.parse::<Uuid>() {
            let version = newest.entry(order).or_insert(row.version);
            *version = row.version.max(*version);
        }
    }
    newest
}

fn stories(log: &[LogRecord]) -> BTreeMap<Uuid, Story<'_>> {
    let mut stories: BTreeMap<Uuid, Story<'_>> = BTreeMap::new();
    for record in log {
        let (Some(fact), Ok(order)) = (record.fact.as_deref(), record.subject.parse()) else {
            continue;
        };
        let story = stories.entry(order).or_default();
        if record.topic == FULFILMENT {
            story.made.insert(record.version, fact);
        } else if let Fact::Confirmed(sale) = fact {
            story.sale = Some(sale);
            story.confirmed = record.version;
        } else if let Fact::Cancelled { sale, payment_lost } = fact
            && sale.confirmed_at.is_some()
        {
            story.cancelled = Some((record.version, *payment_lost, record.happened));
        }
    }
    stories
}

/// Follows the barista's events of one order, each of which must be allowed where it stands.
fn work<'a>(id: Uuid, story: &Story<'a>, judge: &mut Judge) -> Work<'a> {
    let mut work = Work::default();
    for (version, fact) in &story.made {
        if let Some(wrong) = work.follow(fact) {
            judge.violation(Some(id), format!("{wrong} (version {version})"));
        }
    }
    work
}

// === impl Work ===

impl<'a> Work<'a> {
    /// Takes the next event in; says what is wrong with it, if anything is.
    fn follow(&mut self, fact: &'a Fact) -> Option<&'static str> {
        // Of an order whose money was lost, what had begun may still be finished.
        let late = (self.withdrawn == Some(false))
            .then_some("something was done about tickets that were withdrawn");
        let wrong = match fact {
            Fact::TicketsOpened(opened) => self.open(opened),
            Fact::PreparationStarted(_) => std::mem::replace(&mut self.started, true)
                .then_some("its preparation started twice"),
            Fact::TicketStarted(_) => {
                (!self.started).then_some("another ticket was begun with before the first")
            }
            Fact::TicketDone(ticket) => self.done(ticket),
            Fact::PreparationCompleted => self.complete(),
            Fact::TicketsWithdrawn { payment_lost } => {
                self.withdrawn = Some(*payment_lost);
                (self.started && !payment_lost)
                    .then_some("its tickets were withdrawn although somebody had begun")
            }
            Fact::WithdrawalRefused => {
                (!self.started).then_some("a withdrawal was refused although nobody had begun")
            }
            Fact::Confirmed(_)
            | Fact::Rejected(_)
            | Fact::Cancelled { .. }
            | Fact::Store { .. }
            | Fact::Customer(_) => None,
        };
        late.or(wrong)
    }

    fn open(&mut self, opened: &'a [Opened]) -> Option<&'static str> {
        let before = std::mem::replace(&mut self.opened, opened);
        (!before.is_empty()).then_some("its tickets were opened twice")
    }

    fn done(&mut self, ticket: &'a str) -> Option<&'static str> {
        let own = self.opened.iter().any(|opened| opened.ticket == ticket);
        if !self.done.insert(ticket) {
            return Some("a ticket was done twice");
        }
        (!own).then_some("a ticket was done that is not its own")
    }

    fn complete(&mut self) -> Option<&'static str> {
        if std::mem::replace(&mut self.completed, true) {
            return Some("it was made twice");
        }
        let early = self.opened.is_empty() || self.done.len() < self.opened.len();
        early.then_some("it is said to be made, and not all of its tickets are done")
    }
}

fn exactly_its_tickets(
    id: Uuid,
    story: &Story<'_>,
    work: &Work<'_>,
    own: &[Ticket],
    judge: &mut Judge,
) {
    let lines = story.sale.map_or(&[][..], |sale| &sale.lines);
    let wanted: BTreeSet<(i32, &str, i64)> = (0..)
        .zip(lines)
        .map(|(line, sold)| (line, sold.product.as_str(), sold.quantity))
        .collect();
    let opened = work.opened.iter();
    let opened: Vec<_> = opened.map(|t| (t.line, &*t.product, t.quantity)).collect();
    let kept: Vec<_> = own
        .iter()
        .map(|t| (t.line, &*t.product, t.quantity))
        .collect();
    for (where_, found) in [("in its event", opened), ("on record", kept)] {
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        if found.len() != wanted.len() || distinct != wanted {
            judge.violation(
                Some(id),
                format!(
                    "{} lines were sold; its tickets {where_} are {found:?}",
                    wanted.len()
                ),
            );
        }
    }
}

fn cancelled_with_leave(
    id: Uuid,
    story: &Story<'_>,
    work: &Work<'_>,
    (orders, known, founded): (&Orders, i64, Option<Timestamp>),
    own: &[Ticket],
    judge: &mut Judge,
) {
    let Some((version, payment_lost, at)) = story.cancelled else {
        return;
    };
    // Before there was a barista nobody was asked.
    if founded.is_none_or(|founded| at.as_micros() < founded.as_micros()) {
        return;
    }
    let events = orders.events.get(&id).map_or(&[][..], Vec::as_slice);
    let asked = events
        .iter()
        .any(|event| event.kind.ends_with("OrderCancellationRequested"));
    let has_leave = asked && work.withdrawn == Some(false);
    if !payment_lost && !has_leave {
        judge.violation(
            Some(id),
            "cancelled after it was sold, without the barista's leave",
        );
    }
    if !payment_lost && own.iter().any(|ticket| ticket.started) {
        judge.violation(
            Some(id),
            "somebody began with a ticket of this cancelled order",
        );
    }
    let open = own.iter().filter(|ticket| ticket.status == "open").count();
    if known >= version && open > 0 {
        judge.violation(
            Some(id),
            format!("{open} tickets of this cancelled order are on the wall"),
        );
    }
}

/// The barista's events up to the version that the order service has applied lead to its status.
fn status_agrees(id: Uuid, order: &Order, story: &Story<'_>, seen: i64, judge: &mut Judge) {
    let mut wanted: &[&str] = &["confirmed"];
    for (_, fact) in story.made.range(..=seen) {
        if matches!(fact, Fact::PreparationStarted(_)) {
            wanted = &["preparing"];
        } else if matches!(fact, Fact::PreparationCompleted) {
            wanted = &["ready", "collected"];
        } else if matches!(fact, Fact::TicketsWithdrawn { .. }) {
            wanted = &["cancelled"];
        }
    }
    if story.cancelled.is_some() {
        wanted = &["cancelled"];
    }
    let status = order.status.as_str();
    if !wanted.contains(&status) {
        let wanted = wanted.join(" or ");
        judge.violation(
            Some(id),
            format!("the order is {status}; the barista's events make it {wanted}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, FULFILMENT, ORDERS, append, damaged, record, sale};
    use super::*;
    use crate::evidence::OrderEvent;

    fn tickets(all: &mut Evidence) -> &mut Vec<Ticket> {
        let tickets = all.tickets.as_mut().unwrap().as_mut().unwrap();
        tickets.get_mut(&sample::order()).unwrap()
    }

    fn unmade(all: &mut Evidence, from: i64) {
        let log = all.log.as_mut().unwrap();
        log.retain(|record| record.topic != FULFILMENT || record.version < from);
    }

    /// Sold, then cancelled by its customer, whom the barista let go.
    fn cancelled(all: &mut Evidence, payment_lost: bool) {
        unmade(all, 2);
        let fact = Fact::Cancelled {
            sale: sale(),
            payment_lost,
        };
        append(all, record(ORDERS, 4, fact));
        append(
            all,
            record(FULFILMENT, 2, Fact::TicketsWithdrawn { payment_lost }),
        );
        all.orders = Ok(sample::orders("cancelled"));
        let asked = OrderEvent {
            version: 3,
            id: Uuid::from_u128(3),
            kind: "OrderCancellationRequested".to_owned(),
            at: sample::SOLD_AT,
        };
        let events = &mut all.orders.as_mut().unwrap().events;
        events.get_mut(&sample::order()).unwrap().push(asked);
        for ticket in tickets(all) {
            (ticket.status, ticket.started) = ("withdrawn".to_owned(), false);
        }
    }

    #[test]
    fn a_cancellation_with_leave_is_without_fault() {
        for payment_lost in [false, true] {
            let mut all = sample::evidence();
            cancelled(&mut all, payment_lost);
            assert_eq!(sample::wrong("tickets", &all), Vec::<String>::new());
        }
    }

    #[test]
    fn a_forgotten_ticket_is_noticed() {
        damaged("tickets", "its tickets on record are", |all| {
            drop(tickets(all).pop())
        });
    }

    #[test]
    fn an_order_that_nobody_put_on_the_wall_is_noticed() {
        damaged("tickets", "its tickets in its event are []", |all| {
            unmade(all, 0);
            tickets(all).clear();
        });
    }

    #[test]
    fn an_order_made_too_early_is_noticed() {
        damaged("tickets", "not all of its tickets are done", |all| {
            let log = all.log.as_mut().unwrap();
            log.retain(|record| record.topic != FULFILMENT || record.version != 4);
        });
    }

    #[test]
    fn a_withdrawal_although_somebody_had_begun_is_noticed() {
        damaged("tickets", "although somebody had begun", |all| {
            unmade(all, 3);
            append(
                all,
                record(
                    FULFILMENT,
                    3,
                    Fact::TicketsWithdrawn {
                        payment_lost: false,
                    },
                ),
            );
        });
    }

    #[test]
    fn beginning_with_what_is_cancelled_is_noticed() {
        damaged("tickets", "somebody began with a ticket", |all| {
            cancelled(all, false);
            tickets(all)[0].started = true;
        });
        damaged("tickets", "tickets that were withdrawn", |all| {
            cancelled(all, false);
            append(
                all,
                record(FULFILMENT, 3, Fact::PreparationStarted("t0".to_owned())),
            );
        });
        damaged("tickets", "are on the wall", |all| {
            cancelled(all, true);
            tickets(all)[0].status = "open".to_owned();
        });
    }

    #[test]
    fn cancelling_without_asking_is_noticed() {
        damaged("tickets", "without the barista's leave", |all| {
            cancelled(all, false);
            let events = &mut all.orders.as_mut().unwrap().events;
            events.get_mut(&sample::order()).unwrap().pop();
        });
    }

    #[test]
    fn a_status_that_the_baristas_events_do_not_lead_to_is_noticed() {
        damaged("tickets", "make it ready or collected", |all| {
            all.orders = Ok(sample::orders("confirmed"));
        });
    }

    #[test]
    fn a_refusal_that_the_order_forgets_is_noticed() {
        let cancelling = |all: &mut Evidence, answered: bool| {
            cancelled(all, false);
            let log = all.log.as_mut().unwrap();
            log.retain(|record| record.topic != ORDERS || record.version < 4);
            unmade(all, 2);
            if answered {
                append(all, record(FULFILMENT, 2, Fact::WithdrawalRefused));
            }
            let row = all
                .orders
                .as_mut()
                .unwrap()
                .rows
                .values_mut()
                .next()
                .unwrap();
            row.status = "cancelling".to_owned();
            for marks in [&mut all.before, &mut all.after] {
                marks
                    .as_mut()
                    .unwrap()
                    .values_mut()
                    .for_each(|mark| mark.closed = false);
            }
        };
        damaged("tickets", "the barista's answer was applied", |all| {
            cancelling(all, true);
        });
        let mut all = sample::evidence();
        cancelling(&mut all, false);
        assert_eq!(sample::wrong("tickets", &all), Vec::<String>::new());
    }

    #[test]
    fn what_the_barista_has_not_heard_of_is_not_judged() {
        let mut all = sample::evidence();
        tickets(&mut all).clear();
        let barista = all.messaging.get_mut("barista").unwrap().as_mut().unwrap();
        barista.inbox.clear();
        assert_eq!(sample::wrong("tickets", &all), Vec::<String>::new());
    }
}
