//! Watching an order: replayed, resumed, awake, and over when the order is final.

use std::time::Duration;

use brewline_order::inbound::grpc::OrderGrpc;
use brewline_order_domain::checkout::CheckoutEvent;
use brewline_proto::order::v1 as wire;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tonic::{Code, Request, Status};
use wire::order_service_server::OrderService as _;

use crate::shop::{Shop, says};

type Events = BoxStream<'static, Result<wire::WatchOrderResponse, Status>>;

/// Longer than a watcher takes to look by itself.
const PATIENCE: Duration = Duration::from_secs(10);

async fn watch(at: &OrderGrpc, order_id: &str, after_version: i64) -> Result<Events, Status> {
    let order_id = order_id.to_owned();
    let request = Request::new(wire::WatchOrderRequest {
        order_id,
        after_version,
    });
    Ok(at.watch_order(request).await?.into_inner())
}

/// The next event's name, and the version and status of the order after it.
async fn next(events: &mut Events) -> Option<(String, i64, wire::OrderStatus)> {
    let event = tokio::time::timeout(PATIENCE, events.next()).await;
    let event = event.expect("an event in time")?.unwrap();
    let order = event.order.unwrap();
    let name = event.event_type.rsplit('.').next().unwrap().to_owned();
    Some((name, order.version, order.status()))
}

fn is(
    name: &str,
    version: i64,
    status: wire::OrderStatus,
) -> Option<(String, i64, wire::OrderStatus)> {
    Some((name.to_owned(), version, status))
}

#[tokio::test]
async fn events_are_replayed_each_with_the_order_as_of_then() {
    use wire::OrderStatus::{Cancelling, Confirmed, Pending};
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    shop.cancel(&order_id).await.unwrap();
    let mut events = watch(&shop.orders, &order_id, 0).await.unwrap();
    assert_eq!(next(&mut events).await, is("OrderPlaced", 1, Pending));
    assert_eq!(next(&mut events).await, is("OrderConfirmed", 2, Confirmed));
    let asked = is("OrderCancellationRequested", 3, Cancelling);
    assert_eq!(next(&mut events).await, asked);
    let mut resumed = watch(&shop.orders, &order_id, 2).await.unwrap();
    assert_eq!(next(&mut resumed).await, asked);
}

#[tokio::test]
async fn a_watcher_is_told_of_what_happens_here_and_at_another_replica() {
    use wire::OrderStatus::{Pending, Rejected};
    let shop = Shop::open().await;
    let (here, elsewhere) = (&shop.orders, shop.replica());
    let order_id = shop.placed("k").await;
    let mut both = [
        watch(here, &order_id, 0).await.unwrap(),
        watch(&elsewhere, &order_id, 0).await.unwrap(),
    ];
    for events in &mut both {
        assert_eq!(next(events).await, is("OrderPlaced", 1, Pending));
    }
    let detail = "cortado".to_owned();
    shop.happens(&order_id, CheckoutEvent::StockRejected { detail })
        .await;
    for events in &mut both {
        assert_eq!(next(events).await, is("OrderRejected", 2, Rejected));
        assert_eq!(next(events).await, None, "it is final");
    }
}

#[tokio::test]
async fn a_stream_stays_open_while_the_checkout_unwinds() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    shop.cancel(&order_id).await.unwrap();
    let mut events = watch(&shop.orders, &order_id, 2).await.unwrap();
    shop.happens(&order_id, CheckoutEvent::StockReleased).await;
    assert_eq!(next(&mut events).await, None);
    let again = watch(&shop.orders, &order_id, 2).await;
    assert_eq!(says(&again.err().unwrap()).1, "order-final");
    let mut late = watch(&shop.orders, &order_id, 1).await.unwrap();
    assert!(next(&mut late).await.is_some());
    assert_eq!(next(&mut late).await, None);
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_at_once() {
    let shop = Shop::open().await;
    let nobody = "0190b8f0-0000-7000-8000-000000000000";
    let refused = |status: Result<Events, Status>| says(&status.err().unwrap());
    let unknown = refused(watch(&shop.orders, nobody, 0).await);
    assert_eq!(unknown, (Code::NotFound, "unknown-order".to_owned()));
    let order_id = shop.placed("k").await;
    let ahead = refused(watch(&shop.orders, &order_id, 2).await);
    assert_eq!(
        ahead,
        (Code::OutOfRange, "invalid-last-event-id".to_owned())
    );
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(watch(&shop.orders, &order_id, 0).await.unwrap());
    }
    let full = refused(watch(&shop.orders, &order_id, 0).await);
    assert_eq!(full.1, "overloaded");
    drop(open.pop());
    assert!(watch(&shop.orders, &order_id, 0).await.is_ok());
}
