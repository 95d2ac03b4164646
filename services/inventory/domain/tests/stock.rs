//! The books balance whatever comes: the sum of the ledger is the level, and no prefix oversells.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;

use brewline_inventory_domain::{
    AdjustRejection, LedgerEntry, Lines, Movement, OrderEvent, Reservation, StockAccount,
    StockLevel, decide, evolve, movements,
};
use brewline_kernel::{ProductId, StoreId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};

const PRODUCTS: [&str; 3] = ["cortado", "croissant", "espresso"];

#[test]
fn an_adjustment_takes_what_is_free_and_no_more() {
    let level = StockLevel {
        on_hand: 10,
        reserved: 7,
    };
    assert_eq!(level.adjust(-3).map(|m| level.after(m).available()), Ok(0));
    let refused = AdjustRejection::InsufficientStock {
        available: 3,
        taken: 4,
    };
    assert_eq!(level.adjust(-4), Err(refused));
    assert_eq!(level.adjust(0), Err(AdjustRejection::Nothing));
    assert_eq!(level.adjust(i64::MAX), Err(AdjustRejection::TooMuch));
    assert!(matches!(
        level.adjust(i64::MIN),
        Err(AdjustRejection::InsufficientStock { .. })
    ));
}

#[test]
fn movements_come_in_pairs_that_undo_each_other() {
    let start = StockLevel {
        on_hand: 10,
        reserved: 4,
    };
    let released = start
        .after(Movement::reserve(3))
        .after(Movement::release(3));
    assert_eq!(released, start);
    let sold = start.after(Movement::reserve(3)).after(Movement::commit(3));
    assert_eq!((sold.on_hand, sold.reserved), (7, 4));
    assert_eq!(sold.after(Movement::give_back(3)), start);
}

#[derive(Clone, Debug)]
enum Step {
    Order(usize, OrderEvent),
    Adjust(usize, i64),
}

fn store() -> StoreId {
    "store-lisbon".parse().unwrap()
}

fn product(index: usize) -> ProductId {
    PRODUCTS[index].parse().unwrap()
}

fn placed() -> impl Strategy<Value = OrderEvent> {
    vec((0..PRODUCTS.len(), 1..6_i64), 1..4).prop_map(|wanted| OrderEvent::Placed {
        store: store(),
        lines: Lines::new(wanted.into_iter().map(|(p, q)| (product(p), q))).unwrap(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![
        3 => placed(),
        2 => Just(OrderEvent::Confirmed),
        1 => Just(OrderEvent::Rejected { store: store() }),
        1 => Just(OrderEvent::Cancelled { store: store() }),
    ];
    prop_oneof![
        8 => (0..8_usize, event).prop_map(|(order, event)| Step::Order(order, event)),
        1 => (0..PRODUCTS.len(), -10..20_i64).prop_map(|(p, delta)| Step::Adjust(p, delta)),
    ]
}

#[derive(Default)]
struct Shop {
    accounts: BTreeMap<ProductId, StockAccount>,
    reservations: BTreeMap<usize, Reservation>,
    ledger: Vec<(ProductId, LedgerEntry)>,
}

impl Shop {
    fn level(&self, product: &ProductId) -> StockLevel {
        self.accounts
            .get(product)
            .map(StockAccount::level)
            .unwrap_or_default()
    }

    fn post(&mut self, product: &ProductId, movement: Movement) {
        let entry = self
            .accounts
            .entry(product.clone())
            .or_default()
            .post(movement);
        self.ledger.push((product.clone(), entry));
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Adjust(index, delta) => {
                let product = product(*index);
                if let Ok(movement) = self.level(&product).adjust(*delta) {
                    self.post(&product, movement);
                }
            }
            Step::Order(order, event) => self.order(*order, event),
        }
    }

    fn order(&mut self, order: usize, event: &OrderEvent) {
        let current = self.reservations.get(&order).cloned();
        let decided = decide(current.as_ref(), event, |p| self.level(p).available());
        let Ok(Some(decided)) = decided else { return };
        for (product, movement) in movements(&decided) {
            self.post(product, movement);
        }
        self.reservations
            .insert(order, evolve(current.as_ref(), &decided));
    }
}

proptest! {
    #[test]
    fn whatever_comes_the_ledger_is_the_stock(steps in vec(step(), 0..80)) {
        let mut shop = Shop::default();
        for index in 0..PRODUCTS.len() {
            shop.take(&Step::Adjust(index, 12));
        }
        for step in &steps {
            shop.take(step);
        }
        let mut folded = BTreeMap::<ProductId, StockAccount>::new();
        for (product, entry) in &shop.ledger {
            let account = folded.entry(product.clone()).or_default();
            prop_assert_eq!(&account.post(entry.movement), entry);
            prop_assert!(account.level().is_sound(), "oversold {product}: {entry:?}");
        }
        prop_assert_eq!(folded, shop.accounts);
    }

    #[test]
    fn what_is_reserved_is_what_open_reservations_hold(steps in vec(step(), 0..80)) {
        let mut shop = Shop::default();
        for index in 0..PRODUCTS.len() {
            shop.take(&Step::Adjust(index, 12));
        }
        for step in &steps {
            shop.take(step);
        }
        let mut held = BTreeMap::<ProductId, i64>::new();
        for reservation in shop.reservations.values() {
            if reservation.state == brewline_inventory_domain::ReservationState::Reserved {
                for (product, quantity) in reservation.lines.iter() {
                    *held.entry(product.clone()).or_default() += quantity;
                }
            }
        }
        for index in 0..PRODUCTS.len() {
            let product = product(index);
            let held = held.get(&product).copied().unwrap_or(0);
            prop_assert_eq!(shop.level(&product).reserved, held);
        }
    }

    #[test]
    fn repeating_every_event_changes_nothing(steps in vec(step(), 0..60)) {
        let (mut once, mut twice) = (Shop::default(), Shop::default());
        for index in 0..PRODUCTS.len() {
            once.take(&Step::Adjust(index, 12));
            twice.take(&Step::Adjust(index, 12));
        }
        for step in steps.iter().filter(|step| matches!(step, Step::Order(..))) {
            once.take(step);
            twice.take(step);
            twice.take(step);
        }
        prop_assert_eq!(once.accounts, twice.accounts);
        prop_assert_eq!(once.ledger, twice.ledger);
    }
}
