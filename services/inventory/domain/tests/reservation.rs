//! Given a reservation, when an order's event comes, then this happens: every pair of the two.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use brewline_inventory_domain::{
    Contradiction, Lines, Movement, OrderEvent, Reservation, ReservationEvent, ReservationState,
    Shortage, decide, evolve, movements,
};
use brewline_kernel::{ProductId, StoreId};

fn store() -> StoreId {
    "store-lisbon".parse().unwrap()
}

fn lines() -> Lines {
    let line = |product: &str, quantity| (product.parse().unwrap(), quantity);
    Lines::new([line("cortado", 2), line("croissant", 1)]).unwrap()
}

fn placed() -> OrderEvent {
    OrderEvent::Placed {
        store: store(),
        lines: lines(),
    }
}

fn rejected() -> OrderEvent {
    OrderEvent::Rejected { store: store() }
}

fn cancelled() -> OrderEvent {
    OrderEvent::Cancelled { store: store() }
}

fn given(state: ReservationState, version: i64) -> Reservation {
    let held = !matches!(state, ReservationState::Rejected) && version > 0;
    Reservation {
        store: store(),
        lines: if held { lines() } else { Lines::none() },
        state,
        version,
    }
}

fn plenty(_: &ProductId) -> i64 {
    100
}

type Decided = Result<Option<ReservationEvent>, Contradiction>;

fn when(current: Option<&Reservation>, event: &OrderEvent) -> Decided {
    decide(current, event, plenty)
}

#[test]
fn every_state_answers_every_event() {
    use ReservationState::{Committed, Rejected, Released, Reserved, Returned};
    let (store, lines) = (store(), lines());
    let committed = ReservationEvent::Committed {
        store: store.clone(),
        lines: lines.clone(),
    };
    let released = ReservationEvent::Released {
        store: store.clone(),
        lines: lines.clone(),
    };
    let returned = ReservationEvent::Returned { store, lines };
    let unheld = || Err(Contradiction::ConfirmedWithoutStock);
    let sold = || Err(Contradiction::RejectedAfterCommit);
    // state, version, then what OrderConfirmed, OrderRejected, OrderCancelled lead to.
    let table: [(ReservationState, i64, Decided, Decided, Decided); 5] = [
        (
            Reserved,
            1,
            Ok(Some(committed)),
            Ok(Some(released.clone())),
            Ok(Some(released)),
        ),
        (Rejected, 1, unheld(), Ok(None), Ok(None)),
        (Committed, 2, Ok(None), sold(), Ok(Some(returned))),
        (Released, 2, unheld(), Ok(None), Ok(None)),
        (Returned, 3, Ok(None), sold(), Ok(None)),
    ];
    for (state, version, on_confirmed, on_rejected, on_cancelled) in table {
        let current = given(state, version);
        assert_eq!(
            when(Some(&current), &placed()),
            Ok(None),
            "{state:?}, placed again"
        );
        assert_eq!(
            when(Some(&current), &OrderEvent::Confirmed),
            on_confirmed,
            "{state:?}"
        );
        assert_eq!(
            when(Some(&current), &rejected()),
            on_rejected,
            "{state:?}, rejected"
        );
        assert_eq!(
            when(Some(&current), &cancelled()),
            on_cancelled,
            "{state:?}, cancelled"
        );
    }
}

#[test]
fn a_placed_order_is_held_whole() {
    let event = when(None, &placed()).unwrap().unwrap();
    let expected = ReservationEvent::Reserved {
        store: store(),
        lines: lines(),
    };
    assert_eq!(event, expected);
    assert_eq!(evolve(None, &event), given(ReservationState::Reserved, 1));
    let moved: Vec<_> = movements(&event)
        .into_iter()
        .map(|(p, m)| (p.as_str(), m))
        .collect();
    assert_eq!(
        moved,
        [
            ("cortado", Movement::reserve(2)),
            ("croissant", Movement::reserve(1))
        ]
    );
}

#[test]
fn one_short_line_holds_none() {
    let available = |product: &ProductId| {
        if product.as_str() == "cortado" {
            1
        } else {
            100
        }
    };
    let event = decide(None, &placed(), available).unwrap().unwrap();
    let shortages = vec![Shortage {
        product: "cortado".parse().unwrap(),
        requested: 2,
        available: 1,
    }];
    let expected = ReservationEvent::Rejected {
        store: store(),
        shortages,
    };
    assert_eq!(event, expected);
    assert_eq!(movements(&event), []);
    assert_eq!(evolve(None, &event), given(ReservationState::Rejected, 1));
}

#[test]
fn the_last_one_can_be_held() {
    let event = decide(None, &placed(), |product| match product.as_str() {
        "cortado" => 2,
        _ => 1,
    });
    assert!(matches!(event, Ok(Some(ReservationEvent::Reserved { .. }))));
}

#[test]
fn an_end_before_the_beginning_leaves_a_tombstone() {
    for end in [rejected(), cancelled()] {
        let event = when(None, &end).unwrap().unwrap();
        let expected = ReservationEvent::Released {
            store: store(),
            lines: Lines::none(),
        };
        assert_eq!(event, expected);
        let tombstone = evolve(None, &event);
        assert_eq!(
            (tombstone.state, tombstone.version),
            (ReservationState::Released, 1)
        );
        assert_eq!(movements(&event), []);
        for late in [placed(), rejected(), cancelled()] {
            assert_eq!(
                when(Some(&tombstone), &late),
                Ok(None),
                "{late:?} woke the tombstone"
            );
        }
    }
}

#[test]
fn an_order_that_was_never_placed_cannot_be_confirmed() {
    let refused = Err(Contradiction::ConfirmedWithoutStock);
    assert_eq!(when(None, &OrderEvent::Confirmed), refused);
}

#[test]
fn versions_count_on() {
    let mut current = None;
    for (event, state, version) in [
        (placed(), ReservationState::Reserved, 1),
        (OrderEvent::Confirmed, ReservationState::Committed, 2),
        (cancelled(), ReservationState::Returned, 3),
    ] {
        let decided = when(current.as_ref(), &event).unwrap().unwrap();
        let next = evolve(current.as_ref(), &decided);
        assert_eq!((next.state, next.version), (state, version));
        current = Some(next);
    }
}
