//! What the orders' events do to the stock.

use std::sync::Arc;

use brewline_messaging::{Delivery, Failure};

use crate::shop::{Order, Shop};

fn count(reserved: &str) -> &'static str {
    match reserved {
        "reserved" => "select count(*) from reservation where state = 'reserved'",
        _ => "select count(*) from reservation where state = 'rejected'",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_product_is_sold_out_exactly() {
    let shop = Arc::new(Shop::open(&[("cortado", 100)]).await);
    let placed: Vec<Delivery> = (0..50)
        .map(|_| Order::new().placed(&[("cortado", 3)]))
        .collect();
    // Five consumers at once, as five replicas would be.
    let mut replicas = tokio::task::JoinSet::new();
    for batch in placed.chunks(10) {
        let (shop, batch) = (Arc::clone(&shop), batch.to_vec());
        replicas.spawn(async move { shop.deliver(&batch).await.unwrap() });
    }
    replicas.join_all().await;
    assert_eq!(shop.number(count("reserved")).await, 33);
    assert_eq!(shop.number(count("rejected")).await, 17);
    let level = shop.level("cortado").await;
    assert_eq!(
        (level.on_hand, level.reserved, level.available),
        (100, 99, 1)
    );
    shop.assert_books_balance().await;
}

#[tokio::test]
async fn all_lines_are_held_or_none() {
    let shop = Shop::open(&[("cortado", 10), ("croissant", 1)]).await;
    let (short, whole) = (Order::new(), Order::new());
    let first = short.placed(&[("cortado", 4), ("croissant", 2)]);
    let second = whole.placed(&[("cortado", 2), ("croissant", 1), ("cortado", 3)]);
    shop.deliver(&[first, second]).await.unwrap();
    assert_eq!(
        shop.told(&short.subject()).await,
        [("StockRejected".to_owned(), 1)]
    );
    assert_eq!(
        shop.told(&whole.subject()).await,
        [("StockReserved".to_owned(), 1)]
    );
    assert_eq!(shop.level("cortado").await.reserved, 5);
    assert_eq!(shop.level("croissant").await.reserved, 1);
    shop.assert_books_balance().await;
}

#[tokio::test]
async fn what_was_never_on_the_shelf_is_short() {
    let shop = Shop::open(&[]).await;
    let order = Order::new();
    shop.deliver(&[order.placed(&[("cortado", 1)])])
        .await
        .unwrap();
    assert_eq!(
        shop.told(&order.subject()).await,
        [("StockRejected".to_owned(), 1)]
    );
}

#[tokio::test]
async fn duplicate_order_placed_reserves_once() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let order = Order::new();
    let placed = order.placed(&[("cortado", 3)]);
    shop.deliver(&[placed.clone(), placed.clone()])
        .await
        .unwrap();
    shop.deliver(&[placed]).await.unwrap();
    assert_eq!(
        shop.told(&order.subject()).await,
        [("StockReserved".to_owned(), 1)]
    );
    assert_eq!(shop.level("cortado").await.reserved, 3);
    shop.assert_books_balance().await;
}

/// Delivers the events in one batch and one by one: what comes of it must be the same.
async fn goes(events: impl Fn(Order) -> Vec<Delivery>, told: &[(&str, i64)], level: (i64, i64)) {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let at_once = Order::new();
    shop.deliver(&events(at_once)).await.unwrap();
    let between = shop.level("cortado").await;
    assert_eq!((between.on_hand, between.reserved), level);
    let one_by_one = Order::new();
    for event in events(one_by_one) {
        shop.deliver(&[event]).await.unwrap();
    }
    let told: Vec<_> = told
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect();
    assert_eq!(shop.told(&at_once.subject()).await, told);
    assert_eq!(shop.told(&one_by_one.subject()).await, told);
    let twice = shop.level("cortado").await;
    assert_eq!(
        (10 - twice.on_hand, twice.reserved),
        ((10 - level.0) * 2, level.1 * 2)
    );
    shop.assert_books_balance().await;
}

#[tokio::test]
async fn a_confirmed_order_is_sold() {
    let events = |o: Order| vec![o.placed(&[("cortado", 3)]), o.confirmed(2), o.ready(3)];
    goes(
        events,
        &[("StockReserved", 1), ("StockCommitted", 2)],
        (7, 0),
    )
    .await;
}

#[tokio::test]
async fn a_rejected_order_gives_its_stock_back() {
    let events = |o: Order| vec![o.placed(&[("cortado", 3)]), o.rejected(2), o.rejected(2)];
    goes(
        events,
        &[("StockReserved", 1), ("StockReleased", 2)],
        (10, 0),
    )
    .await;
}

#[tokio::test]
async fn an_order_cancelled_while_pending_gives_its_stock_back() {
    let events = |o: Order| vec![o.placed(&[("cortado", 3)]), o.cancelled(2)];
    goes(
        events,
        &[("StockReserved", 1), ("StockReleased", 2)],
        (10, 0),
    )
    .await;
}

#[tokio::test]
async fn an_order_cancelled_after_the_sale_returns_its_stock() {
    let events = |o: Order| {
        let placed = o.placed(&[("cortado", 3)]);
        vec![placed, o.confirmed(2), o.cancelled(3), o.cancelled(3)]
    };
    let told = [
        ("StockReserved", 1),
        ("StockCommitted", 2),
        ("StockReturned", 3),
    ];
    goes(events, &told, (10, 0)).await;
}

#[tokio::test]
async fn an_order_rejected_for_want_of_stock_needs_nothing_more() {
    let events = |o: Order| vec![o.placed(&[("cortado", 11)]), o.rejected(2)];
    goes(events, &[("StockRejected", 1)], (10, 0)).await;
}

#[tokio::test]
async fn a_tombstone_refuses_the_late_order() {
    let events = |o: Order| vec![o.cancelled(2), o.placed(&[("cortado", 3)]), o.rejected(3)];
    goes(events, &[("StockReleased", 1)], (10, 0)).await;
}

#[tokio::test]
async fn events_tell_what_caused_them() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let order = Order::new();
    let placed = order.placed(&[("cortado", 3)]);
    let cause = placed.envelope.id;
    shop.deliver(&[placed]).await.unwrap();
    let sql = "select o.causation_id, o.correlation_id, l.cause, l.order_id
                 from outbox o, stock_ledger l where o.type like '%Reserved' and l.kind = 'reserve'";
    let row = &shop.rows(sql).await[0];
    let ids: [uuid::Uuid; 4] = [0, 1, 2, 3].map(|column| row.try_get(column).unwrap());
    assert_eq!(ids, [cause, order.id, cause, order.id]);
}

#[tokio::test]
async fn a_confirmed_order_without_stock_is_poison() {
    let shop = Shop::open(&[("cortado", 1)]).await;
    let order = Order::new();
    let batch = [order.placed(&[("cortado", 3)]), order.confirmed(2)];
    let failure = shop.deliver(&batch).await.unwrap_err();
    assert!(matches!(&failure, Failure::Poison { reason } if reason.contains(&order.subject())));
    assert_eq!(shop.number("select count(*) from reservation").await, 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_poison() {
    let shop = Shop::open(&[("cortado", 1)]).await;
    let order = Order::new();
    let mut torn = order.placed(&[("cortado", 1)]);
    torn.payload = torn.payload.slice(..torn.payload.len() - 3);
    let (none, empty) = (order.placed(&[("cortado", 0)]), order.placed(&[]));
    let mut nameless = order.placed(&[("cortado", 1)]);
    nameless.envelope.subject = "store/1".to_owned();
    for wrong in [torn, none, empty, nameless] {
        let failure = shop.deliver(&[wrong]).await.unwrap_err();
        assert!(matches!(failure, Failure::Poison { .. }), "{failure}");
    }
}

#[tokio::test]
async fn a_large_batch_writes_each_stock_row_once() {
    let shop = Shop::open(&[("cortado", 500), ("croissant", 500), ("espresso", 500)]).await;
    let watch = "
        create table watched (relation text, operation text);
        create function watch() returns trigger language plpgsql as $$
        begin insert into watched values (tg_table_name || ' ' || tg_level, tg_op); return null; end $$;
        create trigger watch_row after insert or update on stock
            for each row execute function watch();
        create trigger watch_statement after insert or update on stock
            for each statement execute function watch();
        create trigger watch_statement after insert or update on reservation
            for each statement execute function watch();
        create trigger watch_statement after insert on stock_ledger
            for each statement execute function watch()";
    shop.pool
        .get()
        .await
        .unwrap()
        .batch_execute(watch)
        .await
        .unwrap();
    let mut batch = Vec::new();
    for n in 0..100 {
        let order = Order::new();
        let (one, other) = (["cortado", "croissant", "espresso"][n % 3], "cortado");
        batch.extend([
            order.placed(&[(one, 1), (other, 1)]),
            order.confirmed(2),
            order.ready(3),
        ]);
    }
    shop.deliver(&batch).await.unwrap();
    let seen: Vec<(String, String, i64)> = shop
        .rows("select relation, operation, count(*) from watched group by 1, 2 order by 1, 2")
        .await
        .iter()
        .map(|row| {
            (
                row.try_get(0).unwrap(),
                row.try_get(1).unwrap(),
                row.try_get(2).unwrap(),
            )
        })
        .collect();
    let expected = [
        ("reservation STATEMENT", "INSERT", 1),
        // An upsert is both to a statement's triggers.
        ("reservation STATEMENT", "UPDATE", 1),
        ("stock ROW", "UPDATE", 3),
        ("stock STATEMENT", "UPDATE", 1),
        ("stock_ledger STATEMENT", "INSERT", 1),
    ];
    let expected = expected.map(|(relation, op, n)| (relation.to_owned(), op.to_owned(), n));
    assert_eq!(seen, expected);
    assert_eq!(
        shop.number("select count(*) from reservation where state = 'committed'")
            .await,
        100
    );
    assert_eq!(
        shop.number("select count(*) from stock_ledger where kind <> 'adjust'")
            .await,
        332
    );
    shop.assert_books_balance().await;
}
