//! Cancelling: what each status answers.

use brewline_order_domain::checkout::CheckoutEvent;
use brewline_proto::order::v1 as wire;
use tonic::Code;

use crate::shop::{Shop, order, says};

#[tokio::test]
async fn a_pending_order_is_cancelled_at_once_and_again() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let cancelled = shop.cancel(&order_id).await.unwrap();
    assert_eq!(cancelled.status, i32::from(wire::OrderStatus::Cancelled));
    assert_eq!(
        cancelled.cancellation.as_ref().unwrap().reason,
        "changed my mind"
    );
    assert_eq!(cancelled.version, 2);
    assert_eq!(shop.cancel(&order_id).await.unwrap(), cancelled);
    assert_eq!(shop.count("select count(*) from order_event").await, 2);
    assert_eq!(
        shop.count("select count(*) from saga where state = 'unwinding'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_confirmed_order_waits_for_the_barista_and_its_checkout_goes_on() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let cancelling = shop.cancel(&order_id).await.unwrap();
    assert_eq!(
        (cancelling.status(), cancelling.version),
        (wire::OrderStatus::Cancelling, 3)
    );
    let asked = cancelling.cancellation.as_ref().unwrap();
    assert_eq!(asked.status(), wire::CancellationStatus::Requested);
    assert_eq!(cancelling.payment_status(), wire::PaymentStatus::Authorised);
    assert_eq!(shop.cancel(&order_id).await.unwrap(), cancelling);
    assert_eq!(
        shop.count("select count(*) from saga where state = 'completing'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_rejected_order_cannot_be_cancelled() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let short = CheckoutEvent::StockRejected {
        detail: "cortado".to_owned(),
    };
    shop.happens(&order_id, short).await;
    let status = shop.cancel(&order_id).await.unwrap_err();
    assert_eq!(
        says(&status),
        (Code::FailedPrecondition, "not-cancellable".to_owned())
    );
    let rejected = shop.get(&order_id).await.unwrap();
    assert_eq!(
        rejected.rejection.unwrap().code,
        i32::from(wire::RejectionCode::OutOfStock)
    );
}

#[tokio::test]
async fn an_unknown_order_and_a_long_reason_are_refused() {
    let shop = Shop::open().await;
    let nobody = "0190b8f0-0000-7000-8000-000000000000";
    let status = shop.cancel(nobody).await.unwrap_err();
    assert_eq!(says(&status), (Code::NotFound, "unknown-order".to_owned()));
    let order_id = shop.placed("k").await;
    for reason in ["x".repeat(501), "\0".to_owned()] {
        let status = shop.cancel_because(&order_id, &reason).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert!(
        shop.cancel_because(&order_id, &"é".repeat(500))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn many_who_cancel_at_once_cancel_once() {
    let shop = Shop::open().await;
    let order_id = shop.place(order("k", &[("cortado", 1)])).await.unwrap();
    let order_id = order_id.order.unwrap().order_id;
    let all = futures_util::future::join_all((0..8).map(|_| shop.cancel(&order_id))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(shop.count("select count(*) from order_event").await, 2);
    assert_eq!(
        shop.count("select count(*) from saga_log where trigger = 'cancelled'")
            .await,
        1
    );
}
