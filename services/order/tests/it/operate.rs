//! What people on call may do to a checkout, and what is left of it.

use brewline_order::app::operate::{Asked, Error, give_up, retry};
use brewline_order_domain::checkout::{CheckoutEvent, Outcome};
use brewline_proto::order::v1 as wire;

use crate::shop::Shop;

const ANA: Asked<'_> = Asked {
    actor: "ana",
    dry_run: false,
};

const AUDIT: &str = "select count(*) from operator_action";

/// A sold order whose capture is refused for good.
async fn parked(shop: &Shop) -> String {
    let order_id = shop.confirmed("k").await;
    let detail = "no".to_owned();
    let refused = CheckoutEvent::CaptureOutcome(Outcome::Refused { detail });
    shop.happens(&order_id, refused).await;
    order_id
}

#[tokio::test]
async fn an_order_whose_money_is_lost_is_given_up_once_and_audited() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    let id = order_id.parse().unwrap();
    let dry_run = true;
    give_up(&shop.parts, id, Asked { dry_run, ..ANA })
        .await
        .unwrap();
    assert_eq!(shop.count(AUDIT).await, 0, "a dry run does nothing");
    give_up(&shop.parts, id, ANA).await.unwrap();
    let order = shop.get(&order_id).await.unwrap();
    assert_eq!(order.status(), wire::OrderStatus::Cancelled);
    assert_eq!(order.payment_status(), wire::PaymentStatus::Reversing);
    let again = give_up(&shop.parts, id, ANA).await.unwrap_err();
    assert!(matches!(again, Error::Refused(_)), "{again}");
    assert_eq!(shop.count(AUDIT).await, 1, "a refusal did nothing");
    let connection = shop.parts.pool.get().await.unwrap();
    let row = "select actor, action, subject from operator_action";
    let row = connection.query_one(row, &[]).await.unwrap();
    let told: (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let expected = ("ana".to_owned(), "saga-compensate".to_owned(), order_id);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn only_a_refused_capture_is_given_up_and_only_what_is_parked_goes_on() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let id = order_id.parse().unwrap();
    for refused in [
        give_up(&shop.parts, id, ANA).await.unwrap_err(),
        retry(&shop.parts, id, ANA).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("not parked"), "{refused}");
    }
    let nobody = "0190b8f0-0000-7000-8000-000000000000".parse().unwrap();
    let unknown = give_up(&shop.parts, nobody, ANA).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound));
    assert_eq!(shop.count(AUDIT).await, 0);
}

#[tokio::test]
async fn a_refused_capture_is_tried_again_when_an_operator_says_so() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    retry(&shop.parts, order_id.parse().unwrap(), ANA)
        .await
        .unwrap();
    let goes_on = "select count(*) from saga where state = 'completing' and capture = 'asked' \
                   and due_at is not null";
    assert_eq!(shop.count(goes_on).await, 1);
    assert_eq!(shop.count(AUDIT).await, 1);
}

#[tokio::test]
async fn nobody_gives_an_order_up_while_the_barista_is_asked() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    shop.cancel(&order_id).await.unwrap();
    let refused = give_up(&shop.parts, order_id.parse().unwrap(), ANA).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("barista"), "{refused}");
    assert_eq!(shop.count(AUDIT).await, 0);
}
