//! The fold: what counts, on which date, and that neither order nor repetition of records matters.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and its data are spelt out"
)]

mod shop;

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{Applied, Board, Day, Fold, Held, Skipped, Topic, Window};
use proptest::prelude::*;
use shop::{Order, cancelled, confirmed, customer, fold, moved, product, store, tokyo_to_lisbon};

const ALL: Window = Window::All;

fn score(fold: &Fold, board: Board, store: &str, window: Window, member: &str) -> i64 {
    let ranking = fold.tables().ranking(board, store, window);
    ranking
        .and_then(|ranking| ranking.standing(member))
        .map_or(0, |standing| standing.score)
}

fn day(text: &str) -> Window {
    Window::Day(text.parse().unwrap())
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(instant.as_microsecond())
}

#[test]
fn a_sale_counts_on_every_board_it_belongs_to() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-21T10:00:00Z"))
        .drink("v60-kenya", "v60", "kenya", 2)
        .drink("siphon-kenya", "siphon", "kenya", 1)
        .food("croissant", 3);
    let mut events = tokyo_to_lisbon();
    events.push(confirmed(&order, 2));
    let fold = fold(&events);
    for store in ["", "store-lisbon"] {
        for window in [
            ALL,
            day("2026-11-21"),
            Window::Month("2026-11-01".parse().unwrap()),
        ] {
            let score = |board, member| score(&fold, board, store, window, member);
            assert_eq!(score(Board::CoffeeLovers, "ann"), 3, "drinks alone");
            assert_eq!(score(Board::Origins, "kenya"), 3);
            assert_eq!(score(Board::Methods, "v60"), 2);
            assert_eq!(score(Board::Foods, "croissant"), 3);
            assert_eq!(score(Board::Foods, "v60-kenya"), 0);
            assert_eq!(score(Board::Products, "siphon-kenya"), 1);
            assert_eq!(score(Board::Products, "croissant"), 3);
        }
    }
    assert_eq!(
        score(&fold, Board::Products, "store-oslo", ALL, "croissant"),
        0
    );
    let revenue: Vec<_> = fold
        .revenue()
        .map(|(store, currency, minor, orders)| (store.as_ref(), currency.as_ref(), minor, orders))
        .collect();
    assert_eq!(revenue, [("store-lisbon", "EUR", 600, 1)]);
    assert_eq!(fold.trending("", at("2026-11-21T10:00:01Z"))[0].1, 3 * 1024);
}

#[test]
fn a_cancellation_takes_back_exactly_that_even_long_after_the_order_was_forgotten() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-01T10:00:00Z"))
        .drink("v60", "v60", "kenya", 2);
    let later = Order::new(4, "store-lisbon", "bob", at("2026-11-05T10:00:00Z"))
        .drink("v60", "v60", "kenya", 1);
    let mut events = tokyo_to_lisbon();
    events.extend([confirmed(&order, 2), confirmed(&later, 2)]);
    let mut fold = fold(&events);
    assert_eq!(fold.sizes().1, 1, "the first order is older than a day");
    let calendar = shop::Jiff;
    assert_eq!(
        fold.apply(
            cancelled(&order, 3, true, at("2026-11-05T11:00:00Z")),
            &calendar
        ),
        Applied::TakenBack
    );
    assert_eq!(score(&fold, Board::CoffeeLovers, "", ALL, "ann"), 0);
    assert_eq!(
        score(&fold, Board::CoffeeLovers, "", day("2026-11-01"), "ann"),
        0
    );
    assert_eq!(score(&fold, Board::Products, "", ALL, "v60"), 1);
    assert_eq!(fold.revenue().next().map(|row| row.2), Some(100));
}

#[test]
fn an_order_that_was_never_sold_takes_nothing_back() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-01T10:00:00Z"))
        .drink("v60", "v60", "kenya", 2);
    let mut events = tokyo_to_lisbon();
    events.extend([moved(&order, 1), cancelled(&order, 2, false, order.at)]);
    let fold = fold(&events);
    assert_eq!(fold.rows(|_| true).count(), 0);
}

#[test]
fn duplicates_and_late_old_records_are_refused() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-21T10:00:00Z"))
        .drink("v60", "v60", "kenya", 2);
    let mut events = tokyo_to_lisbon();
    events.push(confirmed(&order, 2));
    let mut fold = fold(&events);
    let before = fold.encode();
    assert_eq!(
        fold.apply(confirmed(&order, 2), &shop::Jiff),
        Applied::Duplicate
    );
    assert_eq!(
        fold.apply(moved(&order, 1), &shop::Jiff),
        Applied::Duplicate
    );
    assert_eq!(
        fold.apply(store("store-lisbon", "Asia/Tokyo", 1), &shop::Jiff),
        Applied::Duplicate
    );
    assert_eq!(fold.encode(), before);
}

#[test]
fn windows_follow_the_stores_midnight_and_daylight_saving() {
    // Store, instant, its local date.
    let table = [
        ("store-kyoto", "2026-11-20T14:59:59Z", "2026-11-20"),
        ("store-kyoto", "2026-11-20T15:00:00Z", "2026-11-21"),
        ("store-oslo", "2026-11-20T22:59:59Z", "2026-11-20"),
        ("store-oslo", "2026-11-20T23:00:00Z", "2026-11-21"),
        ("store-lisbon", "2026-11-20T23:59:59Z", "2026-11-20"),
        ("store-lisbon", "2026-11-21T00:00:00Z", "2026-11-21"),
        // Summer time begins on 2026-03-29 and ends on 2026-10-25, in both at 01:00 UTC.
        ("store-lisbon", "2026-03-29T00:30:00Z", "2026-03-29"),
        ("store-lisbon", "2026-03-29T22:59:59Z", "2026-03-29"),
        ("store-lisbon", "2026-03-29T23:00:00Z", "2026-03-30"),
        ("store-oslo", "2026-03-28T22:59:59Z", "2026-03-28"),
        ("store-oslo", "2026-03-28T23:00:00Z", "2026-03-29"),
        ("store-oslo", "2026-03-29T22:00:00Z", "2026-03-30"),
        ("store-lisbon", "2026-10-24T23:00:00Z", "2026-10-25"),
        ("store-lisbon", "2026-10-25T23:59:59Z", "2026-10-25"),
        ("store-lisbon", "2026-10-26T00:00:00Z", "2026-10-26"),
        ("store-oslo", "2026-10-25T22:59:59Z", "2026-10-25"),
        ("store-oslo", "2026-10-25T23:00:00Z", "2026-10-26"),
    ];
    for (place, instant, date) in table {
        let order = Order::new(1, place, "ann", at(instant)).drink("v60", "v60", "kenya", 1);
        let mut events = tokyo_to_lisbon();
        events.push(confirmed(&order, 2));
        let fold = fold(&events);
        let local: Day = date.parse().unwrap();
        for window in Window::of(local) {
            assert_eq!(
                score(&fold, Board::Products, place, window, "v60"),
                1,
                "{place} {instant} {window:?}"
            );
            assert_eq!(
                score(&fold, Board::Products, "", window, "v60"),
                1,
                "{instant} {window:?}"
            );
        }
        assert_eq!(fold.tables().newest(), Some(local), "{place} {instant}");
    }
}

#[test]
fn a_sale_waits_for_its_store() {
    let order = Order::new(1, "store-kyoto", "ann", at("2026-11-20T15:00:00Z"))
        .drink("v60", "v60", "kenya", 1);
    let mut early = fold(&[confirmed(&order, 2)]);
    assert_eq!((early.waiting(), early.rows(|_| true).count()), (1, 0));
    let kept = Fold::decode(&early.encode()).unwrap();
    assert_eq!(kept.waiting(), 1, "a snapshot keeps it");
    early.apply(store("store-kyoto", "Asia/Tokyo", 1), &shop::Jiff);
    assert_eq!(
        score(
            &early,
            Board::Products,
            "store-kyoto",
            day("2026-11-21"),
            "v60"
        ),
        1
    );
    assert!(!early.zone_moved());
    early.apply(store("store-kyoto", "Europe/Oslo", 2), &shop::Jiff);
    assert!(
        early.zone_moved(),
        "what was counted on Tokyo's dates must be counted anew"
    );
}

#[test]
fn old_windows_are_dropped_and_never_counted_again() {
    let old = Order::new(1, "store-lisbon", "ann", at("2026-01-10T10:00:00Z"))
        .drink("v60", "v60", "kenya", 1);
    let new = Order::new(2, "store-lisbon", "bob", at("2026-11-21T10:00:00Z"))
        .drink("v60", "v60", "kenya", 1);
    let run = |orders: [&Order; 2]| {
        let mut events = tokyo_to_lisbon();
        // Each in a partition of its own, as they may come in either order.
        events.extend(orders.map(|order| confirmed(order, 2)));
        fold(&events)
    };
    let (one, other) = (run([&old, &new]), run([&new, &old]));
    assert_eq!(one.encode_shown(), other.encode_shown());
    assert!(
        one.tables()
            .ranking(Board::Products, "", day("2026-01-10"))
            .is_none()
    );
    assert_eq!(score(&one, Board::Products, "", ALL, "v60"), 2);
    assert_eq!(
        score(
            &one,
            Board::Products,
            "",
            Window::Month("2026-01-01".parse().unwrap()),
            "v60"
        ),
        1
    );
}

#[test]
fn names_show_only_where_the_customer_allows_it() {
    let mut fold = fold(&[customer("ann", Some("Ann"), 1)]);
    assert_eq!(fold.name(Board::CoffeeLovers, "ann"), "Ann");
    let hidden = fold.name(Board::CoffeeLovers, "bob");
    assert!(!hidden.contains("bob"));
    assert_eq!(
        fold.apply(customer("ann", None, 2), &shop::Jiff),
        Applied::NameGone
    );
    assert_ne!(fold.name(Board::CoffeeLovers, "ann"), "Ann");
    assert_eq!(
        fold.apply(customer("ann", Some("Ann"), 1), &shop::Jiff),
        Applied::Duplicate
    );
    assert!(
        !String::from_utf8_lossy(&fold.encode()).contains("Ann"),
        "no byte of the name is left"
    );
}

#[test]
fn a_record_that_cannot_be_read_takes_its_order_out_and_nothing_else() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-21T10:00:00Z"))
        .drink("v60", "v60", "kenya", 2);
    let mut fold = fold(&tokyo_to_lisbon());
    let skipped = Skipped {
        partition: 1,
        offset: 7,
        reason: "it is no protobuf".to_owned(),
        event_type: "brewline.order.v1.OrderConfirmed".to_owned(),
        at: order.at,
        followers: 0,
    };
    assert!(fold.skip(Topic::Orders, order.subject(), skipped));
    assert_eq!(
        fold.apply(cancelled(&order, 3, true, order.at), &shop::Jiff),
        Applied::Skipped
    );
    assert_eq!(
        fold.rows(|_| true).count(),
        0,
        "nothing is taken back that was not counted"
    );
    assert_eq!(
        fold.holds(Topic::Orders, &order.subject(), 3, None),
        Held::Parked
    );
    assert_eq!(
        fold.skipped().next().map(|(.., skipped)| skipped.followers),
        Some(1)
    );
}

#[test]
fn versions_are_held_once_applied() {
    let order = Order::new(1, "store-lisbon", "ann", at("2026-11-21T10:00:00Z"))
        .drink("v60", "v60", "kenya", 2);
    let mut events = tokyo_to_lisbon();
    events.extend([
        moved(&order, 1),
        customer("ann", None, 4),
        product("v60", "V60", 3),
    ]);
    let fold = fold(&events);
    let subject = order.subject();
    assert_eq!(
        fold.holds(Topic::Orders, &subject, 1, Some(order.at)),
        Held::Yes
    );
    assert_eq!(
        fold.holds(Topic::Orders, &subject, 2, Some(order.at)),
        Held::Behind
    );
    assert_eq!(
        fold.holds(Topic::Orders, "unheard-of", 1, Some(order.at)),
        Held::Behind
    );
    assert_eq!(fold.holds(Topic::Customers, "ann", 4, None), Held::Yes);
    assert_eq!(
        fold.holds(Topic::Catalogue, "product/v60", 3, None),
        Held::Yes
    );
    assert_eq!(
        fold.holds(Topic::Catalogue, "product/v60", 4, None),
        Held::Behind
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_interleaving_that_keeps_each_partitions_order_ends_in_the_same_bytes(
        story in shop::story(), picks in prop::collection::vec(0..8_usize, 400)
    ) {
        let straight = fold(&story.concat());
        let woven = fold(&shop::weave(&story, &picks));
        prop_assert_eq!(straight.encode(), woven.encode());
        prop_assert_eq!(straight.differences(&woven, 10).0, 0);
    }

    #[test]
    fn a_snapshot_in_the_middle_changes_nothing(story in shop::story(), cut in 0..200_usize) {
        let events = story.concat();
        let (before, after) = events.split_at(cut.min(events.len()));
        let mut restored = Fold::decode(&fold(before).encode()).unwrap();
        for event in after {
            restored.apply(event.clone(), &shop::Jiff);
        }
        prop_assert_eq!(restored.encode(), fold(&events).encode());
    }

    #[test]
    fn a_fold_is_what_a_plain_sum_says(story in shop::story()) {
        let events = story.concat();
        let fold = fold(&events);
        let plain = shop::plain_sums(&events);
        let rows: std::collections::BTreeMap<_, _> = fold
            .rows(|window| window == ALL)
            .map(|row| ((row.board.name(), row.store.to_string(), row.member.to_string()), row.standing.score))
            .collect();
        prop_assert_eq!(rows, plain);
    }
}
