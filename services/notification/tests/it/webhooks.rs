//! Webhooks and events to be pulled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brewline_kernel::system::SystemClock;
use brewline_notification::app::call_hooks::CallHooks;
use brewline_notification::inbound::grpc::NotificationGrpc;
use brewline_notification::outbound::caller::{CallSettings, Caller};
use brewline_notification::outbound::endpoints::{self, Claimed, Recorded};
use brewline_notification::outbound::https;
use brewline_proto::notification::v1 as wire;
use brewline_proto::notification::v1::notification_service_server::NotificationService as _;
use brewline_test_support::eventually;
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::post::{Order, Post, Worker};

const SETTINGS: CallSettings = CallSettings {
    allow_private: true,
    per_endpoint_max: 4,
    per_second_max: 1_000,
    timeout: Duration::from_secs(3),
};

pub(crate) fn call_hooks(post: &Post) -> Worker {
    let calls = CallHooks {
        pool: post.pool.clone(),
        clock: Arc::new(SystemClock),
        caller: Arc::new(Caller::new(SETTINGS, https::trust(None).unwrap())),
        settings: SETTINGS,
        wake: Arc::clone(&post.wake.calls),
    };
    Worker::start(|stop| calls.run(stop))
}

/// An endpoint at the sandbox's hook of this name, for these types.
pub(crate) async fn endpoint(
    post: &Post,
    name: &str,
    types: &[&str],
) -> wire::CreateEndpointResponse {
    let url = format!("{}/hook/{name}", post.world.url);
    endpoint_at(post, url, types).await
}

async fn endpoint_at(post: &Post, url: String, types: &[&str]) -> wire::CreateEndpointResponse {
    let request = wire::CreateEndpointRequest {
        url,
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let made = post.grpc.create_endpoint(Request::new(request)).await;
    made.unwrap().into_inner()
}

async fn listed(post: &Post) -> Vec<wire::Endpoint> {
    let request = Request::new(wire::ListEndpointsRequest {});
    let listed = post.grpc.list_endpoints(request).await.unwrap();
    listed.into_inner().endpoints
}

pub(crate) async fn calls(post: &Post, name: &str) -> Vec<Value> {
    post.world.lines(&format!("/hook/{name}")).await
}

async fn pull(post: &Post, after: &str, types: &[&str], wait_ms: u32) -> wire::PullEventsResponse {
    let request = wire::PullEventsRequest {
        after: after.to_owned(),
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        store_id: "store-lisbon".to_owned(),
        wait_ms,
    };
    let pulled = post.grpc.pull_events(Request::new(request)).await;
    pulled.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_told_what_it_asked_for_signed_and_once() {
    let post = Post::open().await;
    let early = Order::of("ana");
    post.deliver(&[early.placed()]).await;
    let made = endpoint(&post, "shop", &["order.placed", "order.ready"]).await;
    assert!(made.secret.starts_with("whsec_"));
    let worker = call_hooks(&post);
    let order = Order::of("ana");
    post.deliver(&[order.placed(), order.confirmed(), order.ready()])
        .await;
    eventually("both are delivered", async || {
        calls(&post, "shop").await.len() == 2
    })
    .await;
    let calls = calls(&post, "shop").await;
    for call in &calls {
        let headers = &call["headers"];
        assert!(
            headers["webhook-signature"]
                .as_str()
                .unwrap()
                .starts_with("v1,")
        );
        assert!(
            headers["webhook-timestamp"]
                .as_str()
                .unwrap()
                .parse::<i64>()
                .is_ok()
        );
        let body: Value = serde_json::from_str(call["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["id"], headers["webhook-id"]);
        assert_eq!(body["orderId"], order.id.to_string());
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_repeated_under_the_same_id() {
    let post = Post::open().await;
    endpoint(&post, "shop", &["order.placed"]).await;
    let told = json!({ "mode": "done-then-reset", "count": 1 });
    post.world.tell("hook", told).await;
    let worker = call_hooks(&post);
    post.deliver(&[Order::of("ana").placed()]).await;
    eventually("the first is recorded", async || {
        let again = "select 1 from call where state = 'pending' and attempts = 1 and reason <> ''";
        !post.rows(again).await.is_empty()
    })
    .await;
    post.run("update call set due_at = now()").await;
    eventually("it is repeated", async || {
        calls(&post, "shop").await.len() == 2
    })
    .await;
    let calls = calls(&post, "shop").await;
    let id = |call: &Value| call["headers"]["webhook-id"].clone();
    assert_eq!(id(&calls[0]), id(&calls[1]));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_endpoint_delays_nobody() {
    let post = Post::open().await;
    // An address that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    endpoint_at(&post, url, &["order.placed"]).await;
    endpoint(&post, "quick", &["order.placed"]).await;
    let worker = call_hooks(&post);
    let orders: Vec<_> = (0..100).map(|_| Order::of("ana").placed()).collect();
    let began = Instant::now();
    post.deliver(&orders).await;
    eventually("the quick one has all", async || {
        calls(&post, "quick").await.len() == 100
    })
    .await;
    assert!(began.elapsed() < SETTINGS.timeout, "it waited");
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_until_somebody_asks_for_redelivery() {
    let post = Post::open().await;
    let made = endpoint(&post, "shop", &["order.placed"]).await;
    let told = json!({ "mode": "error", "status": 410 });
    post.world.tell("hook", told).await;
    let worker = call_hooks(&post);
    post.deliver(&[Order::of("ana").placed()]).await;
    eventually("it is disabled", async || {
        listed(&post).await[0].disabled_at.is_some()
    })
    .await;
    post.deliver(&[Order::of("ana").placed()]).await;
    post.world.behave().await;
    assert_eq!(listed(&post).await[0].failed, 1);
    let request = wire::RedeliverEndpointRequest {
        endpoint_id: made.endpoint.unwrap().endpoint_id,
        event_id: String::new(),
    };
    let again = post.grpc.redeliver_endpoint(Request::new(request)).await;
    assert_eq!(again.unwrap().into_inner().redelivered, 1);
    eventually("both events are delivered", async || {
        calls(&post, "shop").await.len() == 2
    })
    .await;
    worker.stop().await;
}

/// The call whose turn has come, taken as a worker takes it.
async fn take(post: &Post) -> Claimed {
    post.run("update call set due_at = now()").await;
    let connection = post.pool.get().await.unwrap();
    let taken = endpoints::claim(&connection, &[], 1, Duration::from_secs(60)).await;
    taken.unwrap().pop().unwrap()
}

async fn record(post: &Post, claimed: &Claimed, state: &'static str, gone: bool) {
    let recorded = Recorded {
        endpoint: claimed.endpoint,
        event: claimed.event.id,
        claims: claimed.claims,
        state,
        gone,
        reason: String::new(),
        after: Duration::ZERO,
    };
    let mut connection = post.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    endpoints::record(&tx, &[recorded]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_a_worker_learned_before_a_redelivery_was_asked_for_says_nothing_after_it() {
    let post = Post::open().await;
    let made = endpoint(&post, "shop", &["order.placed"]).await;
    let id = made.endpoint.unwrap().endpoint_id.parse().unwrap();
    post.deliver(&[Order::of("ana").placed()]).await;
    let connection = post.pool.get().await.unwrap();
    endpoints::fan_out(&connection, 10).await.unwrap();
    let stale = take(&post).await;
    record(&post, &take(&post).await, "failed", false).await;
    let mut connection = post.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let again = endpoints::redeliver(&tx, id, None).await.unwrap();
    assert_eq!(again.map(|(calls, _)| calls), Some(1));
    tx.commit().await.unwrap();
    let young = take(&post).await;
    assert_eq!(
        young.attempts, stale.attempts,
        "attempts alone tell nothing"
    );
    let state = async || -> String { post.rows("select state from call").await[0].get(0) };
    record(&post, &stale, "failed", true).await;
    assert_eq!(state().await, "pending", "a failure of before ended it");
    assert_eq!(listed(&post).await[0].disabled_at, None);
    record(&post, &stale, "delivered", false).await;
    assert_eq!(state().await, "pending", "it was asked for after that");
    record(&post, &young, "delivered", false).await;
    assert_eq!(state().await, "delivered");
}

#[tokio::test]
async fn a_late_success_ends_the_repeats() {
    let post = Post::open().await;
    endpoint(&post, "shop", &["order.placed"]).await;
    post.deliver(&[Order::of("ana").placed()]).await;
    let connection = post.pool.get().await.unwrap();
    endpoints::fan_out(&connection, 10).await.unwrap();
    let slow = take(&post).await;
    take(&post).await;
    record(&post, &slow, "delivered", false).await;
    let delivered = "select 1 from call where state = 'delivered'";
    assert_eq!(post.rows(delivered).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_nobody_follows_it() {
    let post = Post::open().await;
    endpoint(&post, "shop", &["order.placed"]).await;
    let told = json!({ "mode": "error", "status": 307, "count": 1 });
    post.world.tell("hook", told).await;
    let worker = call_hooks(&post);
    post.deliver(&[Order::of("ana").placed()]).await;
    eventually("it is noted", async || {
        let noted = "select 1 from call where reason = 'it answered 307'";
        !post.rows(noted).await.is_empty()
    })
    .await;
    assert!(calls(&post, "shop-elsewhere").await.is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_counts_by_its_status() {
    let post = Post::open().await;
    endpoint(&post, "shop", &["order.placed"]).await;
    post.world.tell("hook", json!({ "mode": "trickle" })).await;
    let worker = call_hooks(&post);
    post.deliver(&[Order::of("ana").placed()]).await;
    eventually("it is delivered", async || {
        let delivered = "select 1 from call where state = 'delivered'";
        !post.rows(delivered).await.is_empty()
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_unless_allowed() {
    let post = Post::open().await;
    let strict = NotificationGrpc {
        allow_private: false,
        ..post.grpc.clone()
    };
    for url in [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "file:///x",
    ] {
        let request = wire::CreateEndpointRequest {
            url: url.to_owned(),
            ..Default::default()
        };
        let refused = strict.create_endpoint(Request::new(request)).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument, "{url}");
    }
    assert!(listed(&post).await.is_empty());
}

#[tokio::test]
async fn a_removed_endpoint_takes_its_calls_with_it() {
    let post = Post::open().await;
    let made = endpoint(&post, "shop", &[]).await;
    let endpoint_id = made.endpoint.unwrap().endpoint_id;
    let request = || {
        Request::new(wire::DeleteEndpointRequest {
            endpoint_id: endpoint_id.clone(),
        })
    };
    post.grpc.delete_endpoint(request()).await.unwrap();
    let again = post.grpc.delete_endpoint(request()).await;
    assert_eq!(again.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_in_one_order_and_waited_for() {
    let post = Post::open().await;
    let orders: Vec<Order> = (0..150).map(|_| Order::of("ana")).collect();
    let placed: Vec<_> = orders.iter().map(Order::placed).collect();
    post.deliver(&placed).await;
    let first = pull(&post, "", &[], 0).await;
    assert_eq!(first.events.len(), 100);
    let second = pull(&post, &first.next, &[], 0).await;
    let pulled = first.events.iter().chain(&second.events);
    let pulled: Vec<String> = pulled.map(|event| event.order_id.clone()).collect();
    let wanted: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    assert_eq!(pulled, wanted);
    assert!(pull(&post, &second.next, &[], 0).await.events.is_empty());
    let (waited, ()) = tokio::join!(pull(&post, &second.next, &["order.ready"], 5_000), async {
        post.deliver(&[orders[0].confirmed(), orders[0].ready()])
            .await;
    });
    assert_eq!(waited.events.len(), 1);
    assert_eq!(waited.events[0].r#type, "order.ready");
    let data: Value = serde_json::from_str(&waited.events[0].data_json).unwrap();
    assert_eq!(data["customerId"], "ana");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_is_never_behind_a_reader() {
    let post = Arc::new(Post::open().await);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let post = Arc::clone(&post);
        writers.spawn(async move {
            for _ in 0..25 {
                let batch = [Order::of("ana").placed(), Order::of("ana").placed()];
                post.deliver(&batch).await;
            }
        });
    }
    let (mut after, mut seen) = (String::new(), std::collections::BTreeSet::new());
    let enough = Instant::now() + Duration::from_secs(20);
    while seen.len() < 200 && Instant::now() < enough {
        let page = pull(&post, &after, &[], 100).await;
        for event in page.events {
            assert!(seen.insert(event.id), "an event was shown twice");
        }
        after = page.next;
    }
    writers.join_all().await;
    assert_eq!(seen.len(), 200, "an event was skipped");
}
