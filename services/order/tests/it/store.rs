//! The event store: versions are taken once.

use brewline_kernel::OrderId;
use brewline_order::outbound::store::{self, Cause, Change, Error};
use brewline_order_domain::order::{OrderCommand, decide};

use crate::shop::Shop;

#[tokio::test]
async fn of_two_who_append_the_same_version_one_is_told() {
    let shop = Shop::open().await;
    let order_id: OrderId = shop.placed("k").await.parse().unwrap();
    let mut connection = shop.parts.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let before = store::load_orders(&tx, &[order_id])
        .await
        .unwrap()
        .remove(&order_id);
    tx.rollback().await.unwrap();
    let events = decide(
        before.as_ref(),
        OrderCommand::Confirm,
        shop.parts.clock.now(),
    )
    .unwrap();
    let change = || {
        Change::new(
            before.clone(),
            events.clone(),
            Cause::request(order_id, None),
        )
    };
    let append = async || {
        let mut connection = shop.parts.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        shop.parts.store.append(&tx, vec![change()]).await?;
        tx.commit().await?;
        Ok::<(), Error>(())
    };
    let (one, two) = tokio::join!(append(), append());
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    let lost = one.and(two).unwrap_err();
    assert!(matches!(lost, Error::VersionConflict), "{lost}");
    assert_eq!(shop.count("select count(*) from order_event").await, 2);
    assert_eq!(shop.count("select version from orders").await, 2);
}

#[tokio::test]
async fn what_is_loaded_is_what_was_placed() {
    let shop = Shop::open().await;
    let order_id: OrderId = shop.placed("k").await.parse().unwrap();
    let mut connection = shop.parts.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let loaded = store::load_orders(&tx, &[order_id]).await.unwrap();
    let placed = store::load_as_placed(&tx, &[order_id]).await.unwrap();
    assert_eq!(loaded, placed);
    assert_eq!(loaded[&order_id].lines[0].product_id.as_str(), "cortado");
}
