//! Placing orders: once per key, whoever else is in the batch.

use brewline_order_domain::checkout::CheckoutEvent;
use brewline_server::status::fields;
use brewline_test_support::eventually;
use futures_util::future::join_all;
use tonic::Code;

use crate::shop::{Shop, customer, order, product_changed, says};

#[tokio::test]
async fn a_placed_order_is_an_event_a_row_a_pointer_and_a_saga() {
    let shop = Shop::open().await;
    let answer = shop
        .place(order("k", &[("cortado", 2), ("croissant", 1)]))
        .await
        .unwrap();
    let placed = answer.order.unwrap();
    assert_eq!(placed.total.as_ref().unwrap().amount_minor, 1_050);
    assert_eq!(
        (placed.version, placed.status, answer.replayed),
        (1, 1, false)
    );
    let whole = "select count(*) from orders o \
        join order_event e using (order_id) \
        join outbox_record r on r.aggregate_id = o.order_id::text and r.id = e.event_id \
             and r.payload = e.payload and r.type = 'brewline.order.v1.OrderPlaced' \
        join saga s on s.saga_id = o.order_id and s.amount_minor = o.total_minor \
        join idempotency_key k using (order_id) where o.status = 'pending'";
    assert_eq!(shop.count(whole).await, 1);
    assert_eq!(shop.get(&placed.order_id).await.unwrap(), placed);
}

#[tokio::test]
async fn twenty_requests_with_one_key_make_one_order() {
    let shop = Shop::open().await;
    let answers = join_all((0..20).map(|_| shop.place(order("k", &[("cortado", 1)])))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let first = answers.iter().filter(|answer| !answer.replayed).count();
    assert_eq!(first, 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.order == answers[0].order)
    );
    assert_eq!(shop.count("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn twenty_requests_with_one_key_at_two_replicas_make_one_order() {
    let shop = Shop::open().await;
    let other = shop.replica();
    let both = (0..20).map(|n| if n % 2 == 0 { &shop.orders } else { &other });
    let answers = join_all(both.map(|orders| crate::shop::place_at(orders, "k"))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().order.is_some())
    );
    assert_eq!(shop.count("select count(*) from orders").await, 1);
    assert_eq!(shop.count("select count(*) from saga").await, 1);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let shop = Shop::open().await;
    shop.placed("k").await;
    let status = shop.place(order("k", &[("cortado", 3)])).await.unwrap_err();
    assert_eq!(
        says(&status),
        (
            Code::FailedPrecondition,
            "idempotency-key-reused".to_owned()
        )
    );
    assert_eq!(shop.count("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn keys_of_different_principals_never_meet() {
    let shop = Shop::open().await;
    shop.placed("k").await;
    let mut other = order("k", &[("cortado", 3)]);
    other.principal = "somebody-else".to_owned();
    assert!(!shop.place(other).await.unwrap().replayed);
}

#[tokio::test]
async fn a_replay_is_the_first_answer_after_the_order_moved_on() {
    let shop = Shop::open().await;
    let request = order("k", &[("cortado", 1)]);
    let first = shop.place(request.clone()).await.unwrap();
    let order_id = first.order.as_ref().unwrap().order_id.clone();
    shop.cancel(&order_id).await.unwrap();
    shop.hear(&[product_changed("cortado", 999, 2, true)]).await;
    let again = shop.place(request).await.unwrap();
    assert_eq!(again.order, first.order);
    assert!(again.replayed && !first.replayed);
}

#[tokio::test]
async fn a_batch_with_one_bad_order_accepts_the_others() {
    let shop = Shop::open().await;
    let requests = (0..30).map(|n| {
        let mut request = order(&format!("k{n}"), &[("cortado", 1)]);
        if n == 7 {
            request.lines[0].product_id = "tea".to_owned();
        }
        shop.place(request)
    });
    let answers = join_all(requests).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        says(refused[0]),
        (Code::InvalidArgument, "unknown-product".to_owned())
    );
    assert_eq!(shop.count("select count(*) from orders").await, 29);
    assert_eq!(
        shop.count("select count(*) from idempotency_key where order_id is not null")
            .await,
        29
    );
}

#[tokio::test]
async fn what_nobody_knows_is_refused_by_name() {
    let shop = Shop::open().await;
    let good = || order("k", &[("cortado", 1)]);
    let mut store = good();
    store.store_id = "store-nowhere".to_owned();
    let mut customer = good();
    customer.customer_id = "customer-nobody".to_owned();
    let mut neither = store.clone();
    neither.customer_id.clone_from(&customer.customer_id);
    let mut product = good();
    product.lines[0].product_id = "tea".to_owned();
    let mut quantity = good();
    quantity.lines[0].quantity = 100;
    for (request, reason, field) in [
        (store, "unknown-store", "storeId"),
        (customer, "unknown-customer", "customerId"),
        (neither, "unknown-store", "storeId"),
        (product, "unknown-product", "lines[0].productId"),
        (quantity, "invalid-request", "lines[0].quantity"),
    ] {
        let status = shop.place(request).await.unwrap_err();
        assert_eq!(says(&status), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&status)[0].0, field);
        assert!(status.message().starts_with(field), "{status}");
    }
    // Nothing is kept under the key: it is still free.
    assert!(!shop.place(good()).await.unwrap().replayed);
}

#[tokio::test]
async fn a_refused_first_leaves_the_key_to_the_next_in_the_batch() {
    let shop = Shop::open().await;
    let bad = order("k", &[("tea", 1)]);
    let good = order("k", &[("cortado", 1)]);
    let (bad, good) = tokio::join!(shop.place(bad), shop.place(good));
    assert!(bad.is_err() && !good.unwrap().replayed);
}

#[tokio::test]
async fn a_key_in_flight_elsewhere_is_waited_for_and_holds_up_nobody() {
    let shop = Shop::open().await;
    let mut connection = shop.parts.pool.get().await.unwrap();
    let stuck = connection.transaction().await.unwrap();
    stuck
        .execute(
            "insert into idempotency_key (principal, route, key, fingerprint) \
             values ('anonymous', 'place-order', 'k', '')",
            &[],
        )
        .await
        .unwrap();
    let (waiting, others) = tokio::join!(
        shop.place(order("k", &[("cortado", 1)])),
        join_all((0..10).map(|n| shop.place(order(&format!("o{n}"), &[("cortado", 1)])))),
    );
    let status = waiting.unwrap_err();
    assert_eq!(
        says(&status),
        (Code::Aborted, "idempotency-in-flight".to_owned())
    );
    assert!(others.iter().all(Result::is_ok));
    stuck.rollback().await.unwrap();
    assert!(shop.place(order("k", &[("cortado", 1)])).await.is_ok());
}

#[tokio::test]
async fn who_goes_away_leaves_an_order_behind() {
    let shop = Shop::open().await;
    let mut place = Box::pin(shop.place(order("k", &[("cortado", 1)])));
    // Polled once: the request is in the queue. Then the client is gone.
    assert!(futures_util::poll!(place.as_mut()).is_pending());
    drop(place);
    eventually("the order stands", async || {
        shop.count("select count(*) from orders").await == 1
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_turns_away_with_a_time_to_come_again() {
    let shop = Shop::with_queue(2).await;
    let requests = (0..50).map(|n| shop.place(order(&format!("k{n}"), &[("cortado", 1)])));
    let answers = join_all(requests).await;
    let busy: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(!busy.is_empty());
    for status in busy {
        assert_eq!(says(status), (Code::ResourceExhausted, "busy".to_owned()));
        assert!(brewline_server::status::again_after(status).is_some());
    }
}

#[tokio::test]
async fn while_orders_are_pending_for_too_long_others_are_turned_away_with_a_time_to_come_again() {
    let shop = Shop::one_at_a_time().await;
    let pending = shop.placed("first").await;
    let mut refused = None;
    eventually("an order is turned away", async || {
        let request = order(&shop.fresh_key(), &[("cortado", 1)]);
        refused = shop.place(request).await.err();
        refused.is_some()
    })
    .await;
    let refused = refused.unwrap();
    let overloaded = (Code::ResourceExhausted, "overloaded".to_owned());
    assert_eq!(says(&refused), overloaded);
    assert!(brewline_server::status::again_after(&refused).is_some());

    // Those that came in before the first look are pending, too.
    let all = shop.pending().await;
    assert!(all.contains(&pending));
    for order_id in &all {
        let sold_out = CheckoutEvent::StockRejected {
            detail: String::new(),
        };
        shop.happens(order_id, sold_out).await;
    }
    eventually("orders are let in again", async || {
        let request = order(&shop.fresh_key(), &[("cortado", 1)]);
        shop.place(request).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn hostile_text_is_refused_or_kept_as_text() {
    let shop = Shop::open().await;
    for token in ["", "tok ok", "tok\0", "é", &"t".repeat(256)] {
        let mut request = order("k", &[("cortado", 1)]);
        request.payment_token = token.to_owned();
        let status = shop.place(request).await.unwrap_err();
        assert_eq!(
            says(&status),
            (Code::InvalidArgument, "invalid-request".to_owned())
        );
    }
    let mut request = order(
        "'; drop table orders; --".replace(' ', "_").as_str(),
        &[("cortado", 1)],
    );
    request.payment_token = "<script>".to_owned();
    assert!(shop.place(request).await.is_ok());
    let mut other = customer("c", "");
    other.name = "Robert'); drop table customer; --".to_owned();
    assert!(shop.create(other).await.is_ok());
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_asked_for_by_its_key() {
    let shop = Shop::open().await;
    let connection = shop.parts.pool.get().await.unwrap();
    // The first transaction that takes a key loses its session in the middle of the commit.
    let sabotage = "create sequence sabotaged; \
        create function sabotage() returns trigger language plpgsql as $$ begin \
            if nextval('sabotaged') = 1 then \
                perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); \
            end if; return null; end $$; \
        create constraint trigger sabotage after insert on idempotency_key \
            deferrable initially deferred for each row execute function sabotage()";
    connection.batch_execute(sabotage).await.unwrap();
    drop(connection);
    let answer = shop.place(order("k", &[("cortado", 1)])).await.unwrap();
    assert!(!answer.replayed);
    assert_eq!(shop.count("select count(*) from orders").await, 1);
    assert_eq!(shop.count("select last_value from sabotaged").await, 2);
}
