//! The handshake with the barista: asked, granted, refused, overtaken; and handing over.

use brewline_proto::fulfilment::v1 as fulfilment;
use brewline_proto::order::v1 as wire;
use brewline_proto::order::v1::order_service_server::OrderService as _;
use tonic::Code;
use wire::OrderStatus::{Cancelled, Cancelling, Collected, Confirmed, Preparing, Ready};

use crate::shop::{STORE, Shop, of_barista, says};

fn started(order_id: &str, version: i64) -> brewline_messaging::Delivery {
    let body = fulfilment::PreparationStarted {
        order_id: order_id.to_owned(),
        store_id: STORE.to_owned(),
        ticket_id: "t".to_owned(),
    };
    of_barista("PreparationStarted", order_id, version, &body)
}

fn completed(order_id: &str, version: i64) -> brewline_messaging::Delivery {
    let body = fulfilment::PreparationCompleted {
        order_id: order_id.to_owned(),
        store_id: STORE.to_owned(),
    };
    of_barista("PreparationCompleted", order_id, version, &body)
}

fn withdrawn(
    order_id: &str,
    version: i64,
    reason: fulfilment::WithdrawalReason,
) -> brewline_messaging::Delivery {
    let body = fulfilment::TicketsWithdrawn {
        order_id: order_id.to_owned(),
        store_id: STORE.to_owned(),
        reason: reason.into(),
        ticket_ids: vec!["t".to_owned()],
    };
    of_barista("TicketsWithdrawn", order_id, version, &body)
}

fn refused(order_id: &str, version: i64) -> brewline_messaging::Delivery {
    let body = fulfilment::WithdrawalRefused {
        order_id: order_id.to_owned(),
        store_id: STORE.to_owned(),
        reason: "the milk is steaming".to_owned(),
    };
    of_barista("WithdrawalRefused", order_id, version, &body)
}

#[tokio::test]
async fn a_granted_cancellation_cancels_and_unwinds_in_one_commit() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    shop.cancel(&order_id).await.unwrap();
    let customer = fulfilment::WithdrawalReason::Customer;
    let granted = withdrawn(&order_id, 2, customer);
    let event_id = granted.envelope.id;
    shop.barista(granted).await.unwrap();
    let order = shop.get(&order_id).await.unwrap();
    assert_eq!((order.status(), order.version), (Cancelled, 4));
    let cancellation = order.cancellation.as_ref().unwrap();
    assert_eq!(cancellation.status(), wire::CancellationStatus::Granted);
    assert_eq!(cancellation.reason, "changed my mind");
    assert_eq!(order.payment_status(), wire::PaymentStatus::Reversing);
    // One transaction wrote both: the same instant of the database's, and the cause is the grant.
    let same = shop.count(
        "select count(*) from outbox o join saga s on s.saga_id::text = o.aggregate_id \
         where o.version = 4 and s.xmin = o.xmin",
    );
    assert_eq!(same.await, 1);
    let connection = shop.parts.pool.get().await.unwrap();
    let cause = "select causation_id from outbox where version = 4";
    let cause: uuid::Uuid = connection.query_one(cause, &[]).await.unwrap().get(0);
    assert_eq!(cause, event_id);
    assert_eq!(shop.cancel(&order_id).await.unwrap(), order);
}

#[tokio::test]
async fn a_refused_cancellation_goes_back_to_where_the_barista_has_come() {
    let shop = Shop::open().await;
    for (steps, status) in [(1, Preparing), (2, Ready)] {
        let order_id = shop.confirmed(&format!("k{steps}")).await;
        shop.cancel(&order_id).await.unwrap();
        let told = [started(&order_id, 2), completed(&order_id, 3)];
        let told = told.into_iter().take(steps);
        for delivery in told {
            shop.barista(delivery).await.unwrap();
            let order = shop.get(&order_id).await.unwrap();
            assert_eq!(order.status(), Cancelling, "recorded, and not shown");
        }
        shop.barista(refused(&order_id, 4)).await.unwrap();
        let order = shop.get(&order_id).await.unwrap();
        assert_eq!(order.status(), status);
        let cancellation = order.cancellation.unwrap();
        assert_eq!(cancellation.status(), wire::CancellationStatus::Refused);
        assert_eq!(cancellation.reason, "the milk is steaming");
        let again = shop.cancel(&order_id).await.unwrap_err();
        assert_eq!(says(&again).1, "not-cancellable");
    }
}

#[tokio::test]
async fn a_barista_that_has_much_to_tell_at_once_is_heard_in_order() {
    let shop = Shop::open().await;
    let (first, second) = (shop.confirmed("a").await, shop.confirmed("b").await);
    shop.cancel(&first).await.unwrap();
    let told = [
        started(&first, 2),
        started(&second, 2),
        refused(&first, 3),
        completed(&second, 3),
        completed(&first, 4),
    ];
    shop.barista_all(&told).await.unwrap();
    for order_id in [&first, &second] {
        assert_eq!(shop.get(order_id).await.unwrap().status(), Ready);
    }
}

#[tokio::test]
async fn an_order_is_made_and_collected_once() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    assert_eq!(shop.get(&order_id).await.unwrap().status(), Confirmed);
    let early = shop.collect(&order_id).await.unwrap_err();
    assert_eq!(
        says(&early),
        (Code::FailedPrecondition, "not-collectable".to_owned())
    );
    shop.barista(started(&order_id, 2)).await.unwrap();
    assert_eq!(shop.get(&order_id).await.unwrap().status(), Preparing);
    shop.barista(completed(&order_id, 3)).await.unwrap();
    let collected = shop.collect(&order_id).await.unwrap();
    assert_eq!((collected.status(), collected.version), (Collected, 5));
    assert_eq!(shop.collect(&order_id).await.unwrap(), collected);
    let nobody = "0190b8f0-0000-7000-8000-000000000000";
    assert_eq!(
        says(&shop.collect(nobody).await.unwrap_err()).1,
        "unknown-order"
    );
}

#[tokio::test]
async fn nothing_is_handed_over_while_the_barista_is_asked() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    shop.cancel(&order_id).await.unwrap();
    shop.barista_all(&[started(&order_id, 2), completed(&order_id, 3)])
        .await
        .unwrap();
    let early = shop.collect(&order_id).await.unwrap_err();
    assert_eq!(says(&early).1, "not-collectable");
}

#[tokio::test]
async fn tickets_that_go_with_lost_money_change_nothing() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let before = shop.get(&order_id).await.unwrap();
    let lost = fulfilment::WithdrawalReason::PaymentLost;
    shop.barista(withdrawn(&order_id, 2, lost)).await.unwrap();
    assert_eq!(shop.get(&order_id).await.unwrap(), before);
}

#[tokio::test]
async fn a_barista_that_contradicts_itself_is_set_aside() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let customer = fulfilment::WithdrawalReason::Customer;
    let unspecified = fulfilment::WithdrawalReason::Unspecified;
    for strange in [
        completed(&order_id, 2),
        withdrawn(&order_id, 2, customer),
        withdrawn(&order_id, 2, unspecified),
        started("0190b8f0-0000-7000-8000-000000000000", 2),
        started("nonsense", 2),
    ] {
        let failure = shop.barista(strange).await.unwrap_err();
        assert!(!failure.is_passing(), "{failure}");
    }
    assert_eq!(shop.get(&order_id).await.unwrap().status(), Confirmed);
}

/// A request to hand over an order, by somebody who has seen this version of its tickets.
fn collecting(
    order_id: &str,
    version: i64,
    wait_ms: u32,
) -> tonic::Request<wire::CollectOrderRequest> {
    tonic::Request::new(wire::CollectOrderRequest {
        order_id: order_id.to_owned(),
        tokens: vec![wire::ConsistencyToken {
            topic: "brewline.fulfilment.events.v1".to_owned(),
            subject: order_id.to_owned(),
            version,
        }],
        wait_ms,
    })
}

#[tokio::test]
async fn whoever_has_seen_the_last_ticket_done_waits_for_the_order_to_hear_of_it() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let early = shop.orders.collect_order(collecting(&order_id, 3, 200));
    let early = early.await.unwrap_err();
    assert_eq!(says(&early), (Code::Unavailable, "view-behind".to_owned()));
    assert_eq!(
        says(&shop.collect(&order_id).await.unwrap_err()).1,
        "not-collectable",
        "who has seen nothing is told how it stands"
    );
    let heard = async {
        shop.barista_all(&[started(&order_id, 2), completed(&order_id, 3)])
            .await
            .unwrap();
        let applied = "insert into inbox (version, event_id, consumer, topic, subject)
                       values (3, gen_random_uuid(), 'brewline.order.tickets',
                               'brewline.fulfilment.events.v1', $1)";
        let connection = shop.parts.pool.get().await.unwrap();
        connection.execute(applied, &[&order_id]).await.unwrap();
    };
    let collected = shop.orders.collect_order(collecting(&order_id, 3, 10_000));
    let (collected, ()) = tokio::join!(collected, heard);
    let collected = collected.unwrap().into_inner().order.unwrap();
    assert_eq!(collected.status(), Collected);
}
