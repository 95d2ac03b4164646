//! What the orders' events and the baristas do to tickets.

use brewline_messaging::{Delivery, Failure};
use brewline_proto::order::v1::{CancellationReason, OrderConfirmed};
use brewline_test_support::golden_events;

use crate::bar::{Bar, LINES, Order, is_refused, stations};

#[tokio::test]
async fn a_confirmed_order_gets_one_ticket_a_line_at_its_station() {
    let bar = Bar::open().await;
    let order = Order::new();
    bar.deliver(&[order.placed(), order.confirmed(2)])
        .await
        .unwrap();
    assert_eq!(bar.told(order).await, ["TicketsOpened"]);
    let tickets = bar.replica.tickets(order).await;
    assert_eq!(tickets.len(), LINES.len());
    let lines = tickets
        .iter()
        .map(|it| it.ticket.clone().unwrap())
        .zip(LINES);
    for (n, (ticket, (product, _, quantity))) in (0_i32..).zip(lines) {
        assert_eq!(
            (ticket.line, &*ticket.product_id, ticket.quantity),
            (n, product, quantity)
        );
        assert_eq!(ticket.product, product.to_uppercase());
    }
    let at = tickets.iter().map(|it| it.ticket.clone().unwrap());
    let at: Vec<_> = at.map(|ticket| (ticket.station, ticket.method)).collect();
    assert_eq!(at, stations());
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn the_last_ticket_makes_the_order_ready() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    for (ticket, remaining) in tickets.iter().zip([2, 1, 0]) {
        let started = bar.replica.start(ticket).await.unwrap();
        assert!(started.ticket.unwrap().started_at.is_some());
        let done = bar.replica.finish(ticket).await.unwrap();
        assert_eq!(done.remaining, remaining);
        assert!(done.ticket.unwrap().ended_at.is_some());
    }
    let wanted = [
        "TicketsOpened",
        "PreparationStarted",
        "TicketDone",
        "TicketStarted",
        "TicketDone",
        "TicketStarted",
        "TicketDone",
        "PreparationCompleted",
    ];
    assert_eq!(bar.told(order).await, wanted);
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn a_repeat_is_answered_like_the_first_call_and_tells_nothing_new() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    let first = bar.replica.start(&tickets[0]).await.unwrap();
    assert_eq!(bar.replica.start(&tickets[0]).await.unwrap(), first);
    let done = bar.replica.finish(&tickets[0]).await.unwrap();
    assert_eq!(bar.replica.finish(&tickets[0]).await.unwrap(), done);
    let wanted = ["TicketsOpened", "PreparationStarted", "TicketDone"];
    assert_eq!(bar.told(order).await, wanted);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    let nobodys = Order::new().subject();
    assert!(is_refused(
        bar.replica.start(&nobodys).await,
        "unknown-ticket"
    ));
    assert!(is_refused(bar.replica.start("7").await, "invalid-request"));
    assert!(is_refused(
        bar.replica.finish(&tickets[0]).await,
        "ticket-not-started"
    ));
    bar.replica.start(&tickets[0]).await.unwrap();
    bar.replica.finish(&tickets[0]).await.unwrap();
    assert!(is_refused(
        bar.replica.start(&tickets[0]).await,
        "ticket-done"
    ));
    let lost = order.cancelled(3, CancellationReason::PaymentLost);
    bar.deliver(&[lost]).await.unwrap();
    assert!(is_refused(
        bar.replica.start(&tickets[1]).await,
        "ticket-withdrawn"
    ));
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn a_withdrawal_is_granted_while_nobody_has_begun() {
    let bar = Bar::open().await;
    let (order, _) = bar.order().await;
    let asked = order.asked_to_cancel(3);
    bar.deliver(&[asked.clone(), asked.clone()]).await.unwrap();
    bar.deliver(&[asked, order.cancelled(4, CancellationReason::Customer)])
        .await
        .unwrap();
    assert_eq!(bar.told(order).await, ["TicketsOpened", "TicketsWithdrawn"]);
    assert_eq!(bar.statuses(order).await, ["WITHDRAWN"; 3]);
    assert!(bar.wall().await.items.is_empty());
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn a_withdrawal_is_refused_once_somebody_has_begun() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    bar.replica.start(&tickets[1]).await.unwrap();
    bar.deliver(&[order.asked_to_cancel(3), order.asked_to_cancel(3)])
        .await
        .unwrap();
    let wanted = ["TicketsOpened", "PreparationStarted", "WithdrawalRefused"];
    assert_eq!(bar.told(order).await, wanted);
    assert_eq!(bar.statuses(order).await, ["OPEN", "STARTED", "OPEN"]);
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn lost_money_drops_what_is_open_whatever_has_begun() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    for ticket in &tickets[..2] {
        bar.replica.start(ticket).await.unwrap();
    }
    bar.replica.finish(&tickets[0]).await.unwrap();
    let lost = order.cancelled(3, CancellationReason::PaymentLost);
    bar.deliver(&[lost]).await.unwrap();
    assert_eq!(
        bar.statuses(order).await,
        ["DONE", "WITHDRAWN", "WITHDRAWN"]
    );
    assert_eq!(bar.told(order).await.last().unwrap(), "TicketsWithdrawn");
    assert!(bar.wall().await.items.is_empty());
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn everything_of_an_order_in_one_batch_comes_to_the_same_as_one_by_one() {
    let bar = Bar::open().await;
    let (whole, single) = (Order::new(), Order::new());
    let events = |it: Order| {
        let cancelled = it.cancelled(4, CancellationReason::Customer);
        [
            it.placed(),
            it.confirmed(2),
            it.asked_to_cancel(3),
            cancelled,
        ]
    };
    bar.deliver(&events(whole)).await.unwrap();
    for event in events(single) {
        bar.deliver(&[event]).await.unwrap();
    }
    for order in [whole, single] {
        assert_eq!(bar.told(order).await, ["TicketsOpened", "TicketsWithdrawn"]);
        assert_eq!(bar.statuses(order).await, ["WITHDRAWN"; 3]);
    }
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn a_duplicate_opens_nothing_twice() {
    let bar = Bar::open().await;
    let order = Order::new();
    let confirmed = order.confirmed(2);
    bar.deliver(&[confirmed.clone(), confirmed.clone()])
        .await
        .unwrap();
    bar.deliver(&[confirmed]).await.unwrap();
    assert_eq!(bar.told(order).await, ["TicketsOpened"]);
    assert_eq!(bar.number("select count(*) from ticket").await, 3);
}

#[tokio::test]
async fn an_order_cancelled_before_it_was_sold_never_comes_onto_the_wall() {
    let bar = Bar::open().await;
    let order = Order::new();
    let cancelled = order.cancelled(2, CancellationReason::Customer);
    bar.deliver(&[order.placed(), cancelled]).await.unwrap();
    bar.deliver(&[order.confirmed(3)]).await.unwrap();
    assert!(bar.told(order).await.is_empty());
    assert!(bar.wall().await.items.is_empty());
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn events_tell_what_caused_them() {
    let bar = Bar::open().await;
    let order = Order::new();
    let confirmed = order.confirmed(2);
    let cause = confirmed.envelope.id;
    bar.deliver(&[confirmed]).await.unwrap();
    let row = &bar
        .rows("select causation_id, correlation_id from outbox")
        .await[0];
    let ids: [uuid::Uuid; 2] = [0, 1].map(|column| row.try_get(column).unwrap());
    assert_eq!(ids, [cause, order.id]);
}

#[tokio::test]
async fn what_cannot_be_read_is_poison() {
    let bar = Bar::open().await;
    let order = Order::new();
    let mut torn = order.confirmed(2);
    torn.payload = torn.payload.slice(..torn.payload.len() - 3);
    let mut nameless = order.confirmed(2);
    nameless.envelope.subject = "store/1".to_owned();
    let empty = OrderConfirmed {
        store_id: "store-lisbon".to_owned(),
        ..Default::default()
    };
    let empty = order.delivery("OrderConfirmed", 2, &empty);
    for wrong in [torn, nameless, empty] {
        let failure = bar.deliver(&[wrong]).await.unwrap_err();
        assert!(matches!(failure, Failure::Poison { .. }), "{failure}");
    }
    assert_eq!(bar.number("select count(*) from preparation").await, 0);
}

#[tokio::test]
async fn a_large_batch_writes_each_table_once() {
    let bar = Bar::open().await;
    let watch = "
        create table watched (relation text, operation text);
        create function watch() returns trigger language plpgsql as $$
        begin insert into watched values (tg_table_name || ' ' || tg_level, tg_op); return null; end $$;
        create trigger watch_row after insert or update on wall
            for each row execute function watch();
        create trigger watch_statement after insert on preparation
            for each statement execute function watch();
        create trigger watch_statement after insert on ticket
            for each statement execute function watch();
        create trigger watch_statement after insert on wall_item
            for each statement execute function watch()";
    bar.pool
        .get()
        .await
        .unwrap()
        .batch_execute(watch)
        .await
        .unwrap();
    let batch: Vec<_> = (0..100).map(|_| Order::new().confirmed(2)).collect();
    bar.deliver(&batch).await.unwrap();
    assert_eq!(bar.number("select count(*) from watched").await, 4);
    assert_eq!(bar.number("select count(*) from wall_item").await, 300);
    assert_eq!(bar.number("select count(*) from ticket").await, 300);
    assert_eq!(bar.number("select position from wall").await, 1);
    bar.assert_books_balance().await;
}

#[tokio::test]
async fn every_released_event_can_still_be_read() {
    let bar = Bar::open().await;
    for (envelope, body) in golden_events("brewline.order.v1") {
        let delivery = Delivery {
            topic: "brewline.order.events.v1".into(),
            partition: 0,
            offset: 0,
            envelope,
            payload: body.into(),
        };
        bar.deliver(&[delivery]).await.unwrap();
    }
}
