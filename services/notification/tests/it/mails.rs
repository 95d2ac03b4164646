//! Mails: one for each order and kind, whatever happens on the way.

use std::time::Duration;

use brewline_test_support::eventually;
use serde_json::json;

use crate::post::{Order, Post};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_told_once_for_each_kind_whatever_is_published_twice() {
    let (post, worker) = Post::with("ana").await;
    let order = Order::of("ana");
    let (confirmed, ready) = (order.confirmed(), order.ready());
    post.deliver(&[order.placed(), confirmed.clone(), confirmed.clone()])
        .await;
    post.deliver(&[confirmed, ready.clone()]).await;
    post.deliver(&[ready]).await;
    post.until_state(&order, "sent").await;
    let mut mails = post.world.mails("ana").await;
    mails.sort();
    let wanted = [order.message_id("confirmed"), order.message_id("ready")];
    assert_eq!(mails, wanted);
    assert_eq!(post.told().await, ["NotificationSent", "NotificationSent"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_mail_is_taken_over_under_the_same_name() {
    let post = Post::open().await;
    post.customer("ana").await;
    let order = Order::of("ana");
    // Kept, never answered: the worker dies between the sending and the record.
    post.world
        .tell("mail", json!({ "mode": "done-then-hang", "count": 1 }))
        .await;
    let doomed = post.send_mails(|_| ());
    post.deliver(&[order.confirmed()]).await;
    eventually("the mail is kept", async || {
        post.world.mails("ana").await.len() == 1
    })
    .await;
    doomed.kill().await;
    // The lease would end by itself; a test need not wait for it.
    post.run("update delivery set due_at = now()").await;
    let heir = post.send_mails(|_| ());
    post.until_state(&order, "sent").await;
    let name = order.message_id("confirmed");
    assert_eq!(post.world.mails("ana").await, [name.clone(), name]);
    assert_eq!(post.told().await, ["NotificationSent"]);
    heir.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_waits_for_a_connection_is_not_sent_once_it_has_expired() {
    let post = Post::open().await;
    post.customer("ana").await;
    let (slow, queued) = (Order::of("ana"), Order::of("ana"));
    let told = json!({ "mode": "slow", "delayMs": 1_000, "count": 1 });
    post.world.tell("mail", told).await;
    post.deliver(&[slow.confirmed()]).await;
    post.deliver(&[queued.ready()]).await;
    let worker = post.send_mails(|settings| settings.connections_max = 1);
    eventually("both are in hand", async || {
        let taken = "select 1 from delivery where state = 'pending' and attempts = 1";
        post.rows(taken).await.len() == 2
    })
    .await;
    post.deliver(&[queued.collected()]).await;
    post.until_state(&slow, "sent").await;
    worker.stop().await;
    assert_eq!(
        post.world.mails("ana").await,
        [slow.message_id("confirmed")]
    );
    assert_eq!(
        post.told().await,
        ["NotificationExpired", "NotificationSent"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_after_the_mail_was_taken_repeats_its_name() {
    let (post, worker) = Post::with("ana").await;
    post.world
        .tell("mail", json!({ "mode": "done-then-reset", "count": 1 }))
        .await;
    let order = Order::of("ana");
    post.deliver(&[order.confirmed()]).await;
    post.until_state(&order, "sent").await;
    let name = order.message_id("confirmed");
    assert_eq!(post.world.mails("ana").await, [name.clone(), name]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_is_waited_for() {
    let (post, worker) = Post::with("ana").await;
    post.world
        .tell("mail", json!({ "mode": "refuse-connection" }))
        .await;
    let order = Order::of("ana");
    post.deliver(&[order.confirmed()]).await;
    eventually("it was tried in vain", async || {
        let tried = "select 1 from delivery where attempts > 1 and reason <> ''";
        !post.rows(tried).await.is_empty()
    })
    .await;
    post.world.behave().await;
    post.run("update delivery set due_at = now()").await;
    post.until_state(&order, "sent").await;
    assert_eq!(post.world.mails("ana").await.len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_refused_for_good_fails_and_is_told() {
    let (post, worker) = Post::with("ana").await;
    let told = json!({ "mode": "error", "status": 550, "count": 1 });
    post.world.tell("mail", told).await;
    let order = Order::of("ana");
    post.deliver(&[order.confirmed()]).await;
    post.until_state(&order, "failed").await;
    assert_eq!(post.told().await, ["NotificationFailed"]);
    let reasons = post.rows("select reason from delivery").await;
    let reason: String = reasons[0].get(0);
    assert!(!reason.contains('@'), "{reason}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_the_server_can_never_take_fails_and_is_told() {
    let (post, worker) = Post::with("ana").await;
    post.run("update customer set email = 'ü@example.com'")
        .await;
    let order = Order::of("ana");
    post.deliver(&[order.confirmed()]).await;
    post.until_state(&order, "failed").await;
    assert_eq!(post.told().await, ["NotificationFailed"]);
    let tried = post.rows("select attempts, reason from delivery").await;
    let (attempts, reason): (i32, String) = (tried[0].get(0), tried[0].get(1));
    assert_eq!(attempts, 1, "{reason}");
    assert!(!reason.contains('@'), "{reason}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_mail_delays_no_other() {
    let (post, worker) = Post::with("ana").await;
    let told = json!({ "mode": "hang", "count": 1 });
    post.world.tell("mail", told).await;
    let slow = Order::of("ana");
    post.deliver(&[slow.confirmed()]).await;
    eventually("it is on its way", async || {
        let taken = "select 1 from delivery where attempts = 1";
        !post.rows(taken).await.is_empty()
    })
    .await;
    let quick: Vec<Order> = (0..50).map(|_| Order::of("ana")).collect();
    let events: Vec<_> = quick.iter().map(Order::confirmed).collect();
    let began = std::time::Instant::now();
    post.deliver(&events).await;
    eventually("all others are sent", async || {
        post.world.mails("ana").await.len() >= 50
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(2));
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_not_told_once_it_lost_its_point() {
    let post = Post::open().await;
    post.customer("ana").await;
    let (collected, late) = (Order::of("ana"), Order::of("ana"));
    post.deliver(&[collected.ready(), collected.collected(), late.ready()])
        .await;
    post.run("update delivery set happened_at = now() - interval '31 min' where state = 'pending'")
        .await;
    let worker = post.send_mails(|_| ());
    post.until_state(&late, "expired").await;
    post.until_state(&collected, "expired").await;
    assert!(post.world.mails("ana").await.is_empty());
    let told = ["NotificationExpired", "NotificationExpired"];
    assert_eq!(post.told().await, told);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_orders_is_told_of() {
    let (post, worker) = Post::with("ana").await;
    let orders: Vec<Order> = (0..64).map(|_| Order::of("ana")).collect();
    let events: Vec<_> = orders.iter().map(Order::confirmed).collect();
    post.deliver(&events).await;
    eventually("nothing is pending", async || {
        let pending = "select 1 from delivery where state = 'pending'";
        post.rows(pending).await.is_empty()
    })
    .await;
    let mut mails = post.world.mails("ana").await;
    let mut wanted: Vec<String> = orders.iter().map(|o| o.message_id("confirmed")).collect();
    mails.sort();
    wanted.sort();
    assert_eq!(mails, wanted);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_not_spent_on_a_server_that_is_away() {
    let (post, worker) = Post::with("ana").await;
    post.world
        .tell("mail", json!({ "mode": "refuse-connection" }))
        .await;
    let orders: Vec<Order> = (0..500).map(|_| Order::of("ana")).collect();
    let events: Vec<_> = orders.iter().map(Order::confirmed).collect();
    post.deliver(&events).await;
    eventually("a probe was made", async || {
        let probed = "select 1 from delivery where reason <> ''";
        !post.rows(probed).await.is_empty()
    })
    .await;
    let attempts = "select coalesce(sum(attempts), 0)::bigint from delivery";
    let spent: i64 = post.rows(attempts).await[0].get(0);
    assert!(spent < 100, "{spent} attempts were spent");
    post.world.behave().await;
    eventually("all are sent", async || {
        let sent = "select 1 from delivery where state = 'sent'";
        post.rows(sent).await.len() == 500
    })
    .await;
    worker.stop().await;
}
