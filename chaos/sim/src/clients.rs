//! Customers: what they want, what they are told, and what they write down about it.

use brewline_chaos::history::{Line as JournalLine, Phase};
use brewline_kernel::{Money, OrderId, ProductId, StoreId};
use brewline_order_domain::order::{Line, Placement, ProductKind};

use crate::broker::Service;
use crate::process::Step;
use crate::processor::Card;
use crate::shelf::adjust;
use crate::world::{Event, MS, SECOND, World};

/// What there is to buy. The first is short.
pub const PRODUCTS: [&str; 3] = ["geisha", "flat-white", "croissant"];
const PRICES: [i64; 3] = [950, 380, 320];
const STORE: &str = "store-lisbon";
/// How often a customer asks again under the same key.
const ATTEMPTS_MAX: u32 = 4;

/// A customer with one wish.
#[derive(Clone, Debug)]
pub struct Client {
    /// The idempotency key.
    pub key: String,
    /// What is wanted: product and quantity.
    pub wants: Vec<(usize, i64)>,
    /// How it is paid.
    pub card: Card,
    /// After how long it is cancelled, if ever.
    pub cancels_after: Option<i64>,
    attempts: u32,
    order: Option<OrderId>,
}

/// What happens to a customer.
#[derive(Debug)]
pub enum ClientStep {
    /// Asks, or asks again.
    Ask,
    /// Is told that there is an order.
    Told(u32, OrderId),
    /// Has waited long enough for the answer to this attempt.
    Impatient(u32),
    /// Changes its mind.
    Cancel,
}

// === impl World ===

impl World {
    /// Fills the shelves and lets customers come.
    pub fn open_shop(&mut self) {
        for (index, product) in PRODUCTS.iter().enumerate() {
            let short = self.random.between(1, 6);
            let count = if index == 0 { short } else { 200 };
            let (cause, at) = (self.id(), self.instant());
            let Some(store) = self.stores.get_mut(&Service::Inventory) else {
                return;
            };
            if let Ok(product) = product.parse::<ProductId>() {
                adjust(&mut store.tables, &product, count, (cause, at));
            }
        }
        for index in 0..self.setup.orders {
            let client = self.new_client(index);
            self.clients.push(client);
            let comes = self.random.between(0, self.setup.storm);
            self.after(comes, Event::Client(index, ClientStep::Ask));
        }
    }

    fn new_client(&mut self, index: usize) -> Client {
        let mut wants = Vec::new();
        let products = self.random.between(1, 2);
        for _ in 0..products {
            let product = usize::try_from(self.random.between(0, 2)).unwrap_or(0);
            wants.push((product, self.random.between(1, 2)));
        }
        let card = match self.random.between(0, 19) {
            0..=2 => Card::Declined,
            3 => Card::CaptureRefused,
            _ => Card::Good,
        };
        let cancels = self.random.chance(250);
        let after = self.random.between(MS, 6 * SECOND);
        Client {
            key: format!("key-{index}"),
            wants,
            card,
            cancels_after: cancels.then_some(after),
            attempts: 0,
            order: None,
        }
    }

    /// What a customer's order is made of.
    pub fn placement(&mut self, client: usize, order: OrderId) -> Option<Placement> {
        let client = self.clients.get(client)?;
        self.cards.insert(order, client.card);
        let currency = "EUR".parse().ok()?;
        let line = |(product, quantity): &(usize, i64)| {
            let name = PRODUCTS.get(*product)?;
            Some(Line {
                product_id: name.parse().ok()?,
                name: (*name).to_owned(),
                kind: ProductKind::Drink,
                method: String::new(),
                origin: String::new(),
                unit_price: Money::new(*PRICES.get(*product)?, currency),
                quantity: *quantity,
            })
        };
        let lines = client.wants.iter().map(line).collect::<Option<Vec<_>>>()?;
        let sum: i64 = lines
            .iter()
            .map(|line| line.unit_price.minor * line.quantity)
            .sum();
        Some(Placement {
            order_id: order,
            store_id: store_id()?,
            customer_id: "customer-demo".parse().ok()?,
            lines,
            total: Money::new(sum, currency),
        })
    }

    /// Something happens to a customer.
    pub fn client(&mut self, index: usize, step: &ClientStep) {
        match step {
            ClientStep::Ask => self.client_asks(index),
            ClientStep::Told(attempt, order) => self.client_is_told(index, *attempt, *order),
            ClientStep::Impatient(attempt) => {
                let attempt = *attempt;
                let client = self.clients.get(index);
                let waits = client.is_some_and(|c| c.order.is_none() && c.attempts == attempt);
                if waits {
                    self.note(index, Phase::Info, None);
                    if attempt < ATTEMPTS_MAX {
                        self.client_asks(index);
                    }
                }
            }
            ClientStep::Cancel => {
                let Some(order) = self.clients.get(index).and_then(|client| client.order) else {
                    return;
                };
                let replica = u8::from(self.random.chance(500));
                self.tell(format_args!("client {index} cancels {order}"));
                self.soon(
                    (Service::Order, replica),
                    (MS, 20 * MS),
                    Step::Cancel(order),
                );
            }
        }
    }

    fn client_asks(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        client.attempts += 1;
        let attempt = client.attempts;
        self.note(index, Phase::Invoke, None);
        self.tell(format_args!("client {index} asks, attempt {attempt}"));
        let replica = u8::from(self.random.chance(500));
        self.soon(
            (Service::Order, replica),
            (MS, 20 * MS),
            Step::Place(index, attempt),
        );
        let patience = self.random.between(SECOND, 4 * SECOND);
        self.after(
            patience,
            Event::Client(index, ClientStep::Impatient(attempt)),
        );
    }

    /// The order is committed: the answer is on its way, or gets lost.
    pub fn placed(&mut self, index: usize, attempt: u32, order: OrderId) {
        if self.trouble(self.setup.loss) {
            self.struck("customer's answer lost");
            return;
        }
        let back = self.random.between(MS, 10 * MS);
        self.after(back, Event::Client(index, ClientStep::Told(attempt, order)));
    }

    fn client_is_told(&mut self, index: usize, attempt: u32, order: OrderId) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        // Whoever has stopped waiting hears nothing.
        if client.attempts != attempt || client.order.is_some() {
            return;
        }
        client.order = Some(order);
        let cancels_after = client.cancels_after;
        self.note(index, Phase::Ok, Some(order));
        if let Some(after) = cancels_after {
            self.after(after, Event::Client(index, ClientStep::Cancel));
        }
    }

    fn note(&mut self, index: usize, phase: Phase, order: Option<OrderId>) {
        let at_micros = self.instant().as_micros();
        let Some(client) = self.clients.get(index) else {
            return;
        };
        self.journal.push(JournalLine {
            at_micros,
            phase,
            operation: "place".to_owned(),
            store_id: STORE.to_owned(),
            key: client.key.clone(),
            order_id: order.map(|order| order.as_uuid()),
            status: None,
            body: u64::try_from(index).unwrap_or(0),
        });
    }
}

/// The one store.
#[must_use]
pub fn store_id() -> Option<StoreId> {
    STORE.parse().ok()
}

/// The lines as an event's body: `product quantity,product quantity`.
#[must_use]
pub fn body_of(lines: &[Line]) -> String {
    let line = |line: &Line| format!("{} {}", line.product_id, line.quantity);
    lines.iter().map(line).collect::<Vec<_>>().join(",")
}
