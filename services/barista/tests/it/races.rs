//! A barista begins while a customer cancels: exactly one of them comes first.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::bar::{Bar, Order, Replica, handler};
use brewline_messaging::Handler as _;

/// How many orders are fought over.
const ORDERS: usize = 40;

/// Delivers through a handler of its own, as another replica's consumer would.
async fn ask_to_cancel(bar: Arc<Bar>, order: Order) {
    let mut connection = bar.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    handler()
        .handle(&tx, &[order.asked_to_cancel(3)])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn either_somebody_has_begun_or_the_order_is_withdrawn_never_both() {
    let bar = Arc::new(Bar::open().await);
    let replica = Arc::new(Replica::over(&bar.pool));
    let (mut orders, mut fight) = (Vec::new(), JoinSet::new());
    for n in 0..ORDERS {
        let (order, tickets) = bar.order().await;
        orders.push(order);
        let cancel = ask_to_cancel(Arc::clone(&bar), order);
        // By turns, so that either has a chance to be first.
        if n % 2 == 0 {
            fight.spawn(cancel);
        }
        for ticket in tickets {
            let replica = Arc::clone(&replica);
            fight.spawn(async move { drop(replica.start(&ticket).await) });
        }
        if n % 2 == 1 {
            fight.spawn(ask_to_cancel(Arc::clone(&bar), order));
        }
    }
    fight.join_all().await;
    let (mut granted, mut refused) = (0, 0);
    for order in orders {
        let (told, statuses) = (bar.told(order).await, bar.statuses(order).await);
        let count = |name: &str| told.iter().filter(|it| *it == name).count();
        match (count("TicketsWithdrawn"), count("WithdrawalRefused")) {
            (1, 0) => {
                assert_eq!(statuses, ["WITHDRAWN"; 3], "{told:?}");
                assert_eq!(count("PreparationStarted"), 0, "{told:?}");
                granted += 1;
            }
            (0, 1) => {
                assert_eq!(statuses, ["STARTED"; 3], "{told:?}");
                assert_eq!(count("PreparationStarted"), 1, "{told:?}");
                refused += 1;
            }
            answers => panic!("{answers:?} answers: {told:?}"),
        }
    }
    assert_eq!(granted + refused, ORDERS);
    bar.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_hands_at_one_order_complete_it_once() {
    let bar = Arc::new(Bar::open().await);
    let replica = Arc::new(Replica::over(&bar.pool));
    let (order, tickets) = bar.order().await;
    for work in ["start", "finish"] {
        let mut hands = JoinSet::new();
        for n in 0..12 {
            let (replica, ticket) = (Arc::clone(&replica), tickets[n % 3].clone());
            hands.spawn(async move {
                match work {
                    "start" => drop(replica.start(&ticket).await.unwrap()),
                    _ => drop(replica.finish(&ticket).await.unwrap()),
                }
            });
        }
        hands.join_all().await;
    }
    let told = bar.told(order).await;
    let count = |name: &str| told.iter().filter(|it| *it == name).count();
    assert_eq!(
        (count("TicketDone"), count("PreparationCompleted")),
        (3, 1),
        "{told:?}"
    );
    assert_eq!(told.last().unwrap(), "PreparationCompleted");
    bar.assert_books_balance().await;
}
