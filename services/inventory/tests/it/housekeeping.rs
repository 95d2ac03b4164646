//! What is done now and then beside the work.

use std::time::Duration;

use brewline_inventory::app::housekeeping::{forget_answers, overdue};
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, OrderId};
use uuid::Uuid;

use crate::shop::{Order, Shop};

fn made(ago: Duration) -> Order {
    let millis = SystemClock.now().minus(ago).as_millis();
    let millis = u64::try_from(millis).unwrap();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid();
    Order { id }
}

async fn found(shop: &Shop, from_minutes: u64, until_minutes: u64) -> Vec<Uuid> {
    let ago = |minutes: u64| SystemClock.now().minus(Duration::from_secs(minutes * 60));
    let orders = overdue(&shop.pool, ago(from_minutes), ago(until_minutes)).await;
    orders.unwrap().iter().map(OrderId::as_uuid).collect()
}

#[tokio::test]
async fn a_reservation_that_nobody_ends_is_overdue_once() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let (stuck, young) = (made(Duration::from_secs(360)), made(Duration::ZERO));
    let ended = made(Duration::from_secs(361));
    for order in [&stuck, &young, &ended] {
        shop.deliver(&[order.placed(&[("cortado", 1)])])
            .await
            .unwrap();
    }
    shop.deliver(&[ended.confirmed(2)]).await.unwrap();
    assert_eq!(found(&shop, 60, 5).await, [stuck.id]);
    // The next look begins where the last one ended.
    assert!(found(&shop, 5, 4).await.is_empty());
}

#[tokio::test]
async fn an_answer_to_an_adjustment_is_kept_for_a_week() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    assert_eq!(forget_answers(&shop.pool).await.unwrap(), 0);
    let connection = shop.pool.get().await.unwrap();
    let later = "update adjustment set created_at = created_at - interval '8 days'";
    connection.execute(later, &[]).await.unwrap();
    assert_eq!(forget_answers(&shop.pool).await.unwrap(), 1);
}
