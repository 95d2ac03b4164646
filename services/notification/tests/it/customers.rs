//! Customers: known late, wanting nothing, erased.

use std::sync::Arc;

use brewline_kernel::CustomerId;
use brewline_messaging::Handler as _;
use brewline_notification::inbound::order_consumer::OrderEvents;
use brewline_notification::outbound::customers;
use brewline_proto::notification::v1 as wire;
use brewline_proto::notification::v1::notification_service_server::NotificationService as _;
use brewline_test_support::eventually;
use tonic::{Code, Request};

use crate::post::{Order, Post, Worker};

async fn prefer(post: &Post, customer: &str, channels: Vec<i32>, kinds: Vec<i32>) {
    let request = wire::PutPreferencesRequest {
        customer_id: customer.to_owned(),
        channels,
        kinds,
    };
    post.grpc
        .put_preferences(Request::new(request))
        .await
        .unwrap();
}

async fn shown(post: &Post, customer: &str) -> Vec<wire::Delivery> {
    let request = wire::ListDeliveriesRequest {
        customer_id: customer.to_owned(),
        ..Default::default()
    };
    let answer = post.grpc.list_deliveries(Request::new(request)).await;
    answer.unwrap().into_inner().deliveries
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_before_its_customer_waits_for_them() {
    let post = Post::open().await;
    let worker = post.send_mails(|_| ());
    let order = Order::of("ana");
    post.deliver(&[order.confirmed()]).await;
    post.meet().await;
    post.until_state(&order, "waiting").await;
    post.customer("ana").await;
    post.meet().await;
    post.until_state(&order, "sent").await;
    assert_eq!(post.world.mails("ana").await.len(), 1);
    let shown = shown(&post, "ana").await;
    assert_eq!(shown[0].status(), wire::DeliveryStatus::Sent);
    assert_eq!(shown[0].message_id, order.message_id("confirmed"));
    assert!(shown[0].sent_at.is_some());
    worker.stop().await;
}

#[tokio::test]
async fn an_order_waits_for_its_customer_for_a_bounded_time() {
    let post = Post::open().await;
    let hurried = OrderEvents {
        customer_wait: std::time::Duration::ZERO,
        ..post.orders
    };
    let post = Post {
        orders: hurried,
        ..post
    };
    let order = Order::of("nobody");
    post.deliver(&[order.confirmed()]).await;
    post.meet().await;
    post.until_state(&order, "expired").await;
    assert_eq!(post.told().await, ["NotificationExpired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_nothing_is_told_nothing_even_when_that_is_known_first() {
    let post = Post::open().await;
    let all = [1, 2, 3, 4].to_vec();
    prefer(&post, "quiet", Vec::new(), all.clone()).await;
    prefer(&post, "picky", vec![1], vec![wire::Kind::Ready.into()]).await;
    let early = Order::of("quiet");
    post.deliver(&[early.confirmed()]).await;
    for customer in ["quiet", "picky"] {
        post.customer(customer).await;
    }
    post.meet().await;
    let (quiet, picky) = (Order::of("quiet"), Order::of("picky"));
    post.deliver(&[quiet.confirmed(), quiet.ready()]).await;
    post.deliver(&[picky.confirmed(), picky.ready()]).await;
    assert!(post.states(&early).await.is_empty());
    assert!(post.states(&quiet).await.is_empty());
    let told = [("ready".to_owned(), "pending".to_owned())];
    assert_eq!(post.states(&picky).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_leaves_an_id_and_drops_what_is_open() {
    let post = Post::open().await;
    post.customer("ana").await;
    prefer(&post, "ana", vec![1], vec![1, 3]).await;
    let (before, after) = (Order::of("ana"), Order::of("ana"));
    post.deliver(&[before.confirmed()]).await;
    let letter = "insert into dead_letter (record_offset, version, partition, attempts, id, consumer, topic,
                                           subject, event_type, reason, outcome, headers, payload)
                  values (1, 1, 0, 3, gen_random_uuid(), 'brewline.notification.customers',
                          'brewline.customer.events.v1', 'ana', 'x', 'y', 'redriven', '{}', 'ana@example.com')";
    post.run(letter).await;
    post.erase("ana").await;
    let letters = post
        .rows("select 1 from dead_letter where payload is null")
        .await;
    assert_eq!(letters.len(), 1);
    post.deliver(&[after.confirmed()]).await;
    assert!(post.states(&after).await.is_empty());
    post.until_state(&before, "expired").await;
    let worker = post.send_mails(|_| ());
    let kept = "select c::text from customer c union all select p::text from preference p";
    let rows = post.rows(kept).await;
    let kept: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(kept, ["(ana,,,,t)"]);
    assert!(post.world.mails("ana").await.is_empty());
    // A late record of before does not bring them back.
    post.customer("ana").await;
    let rows = post.rows("select 1 from customer where not erased").await;
    assert!(rows.is_empty());
    worker.stop().await;
}

/// Whether a statement waits for a lock in this test's database.
async fn somebody_waits(post: &Post) -> bool {
    let waiting = "select 1 from pg_locks l join pg_database d on d.oid = l.database
                    where not l.granted and d.datname = current_database()";
    !post.rows(waiting).await.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_set_beside_an_erasure_do_not_outlive_it() {
    let post = Arc::new(Post::open().await);
    post.customer("ana").await;
    // Of the second one nothing is known yet but the erasure: there is no row to wait for.
    for customer in ["ana", "unknown"] {
        let id: CustomerId = customer.parse().unwrap();
        let mut connection = post.pool.get().await.unwrap();
        let tx = connection.transaction().await.unwrap();
        let set = customers::set_wishes(&tx, &id, &[], &[]).await.unwrap();
        assert_eq!(set, Some(1));
        let beside = Arc::clone(&post);
        let erasure = Worker::start(|_| async move { beside.erase(customer).await });
        eventually("the erasure waits or is done", async || {
            erasure.is_over() || somebody_waits(&post).await
        })
        .await;
        tx.commit().await.unwrap();
        erasure.stop().await;
        let left = post.rows("select 1 from preference").await;
        assert!(left.is_empty(), "what {customer} wanted is still there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sets_wishes_of_a_customer_who_is_being_erased() {
    let post = Arc::new(Post::open().await);
    post.customer("ana").await;
    let mut connection = post.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let erased = crate::post::erased("ana");
    post.customers.handle(&tx, &[erased]).await.unwrap();
    let beside = Arc::clone(&post);
    let setting = Worker::start(|_| async move {
        let request = wire::PutPreferencesRequest {
            customer_id: "ana".to_owned(),
            ..Default::default()
        };
        let refused = beside.grpc.put_preferences(Request::new(request)).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    });
    eventually("the setting waits or is done", async || {
        setting.is_over() || somebody_waits(&post).await
    })
    .await;
    tx.commit().await.unwrap();
    setting.stop().await;
    assert!(post.rows("select 1 from preference").await.is_empty());
}
