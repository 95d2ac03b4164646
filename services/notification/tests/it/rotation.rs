//! Webhooks' secrets change over without losing a call; requests under keys are answered once.

use brewline_proto::notification::v1 as wire;
use brewline_proto::notification::v1::notification_service_server::NotificationService as _;
use brewline_test_support::eventually;
use tonic::{Code, Request, Status};

use crate::post::{Order, Post};
use crate::webhooks::{call_hooks, calls, endpoint};

async fn rotate(
    post: &Post,
    id: &str,
    key: &str,
) -> Result<wire::RotateEndpointSecretResponse, Status> {
    let request = wire::RotateEndpointSecretRequest {
        endpoint_id: id.to_owned(),
        principal: "ana".to_owned(),
        idempotency_key: key.to_owned(),
    };
    let rotated = post.grpc.rotate_endpoint_secret(Request::new(request));
    rotated.await.map(tonic::Response::into_inner)
}

async fn create(
    post: &Post,
    principal: &str,
    key: &str,
    url: &str,
) -> Result<wire::CreateEndpointResponse, Status> {
    let request = wire::CreateEndpointRequest {
        url: url.to_owned(),
        principal: principal.to_owned(),
        idempotency_key: key.to_owned(),
        ..Default::default()
    };
    let made = post.grpc.create_endpoint(Request::new(request)).await;
    made.map(tonic::Response::into_inner)
}

/// How many signatures the newest of `count` calls carried.
async fn signatures(post: &Post, count: usize) -> usize {
    eventually("it is called", async || {
        calls(post, "shop").await.len() == count
    })
    .await;
    let calls = calls(post, "shop").await;
    let header = &calls[count - 1]["headers"]["webhook-signature"];
    header.as_str().unwrap().split(' ').count()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_until_the_former_ones_time_is_over() {
    let post = Post::open().await;
    let made = endpoint(&post, "shop", &["order.placed"]).await;
    let first = made.endpoint.unwrap();
    let worker = call_hooks(&post);
    post.deliver(&[Order::of("ana").placed()]).await;
    assert_eq!(signatures(&post, 1).await, 1);
    let rotated = rotate(&post, &first.endpoint_id, "").await.unwrap();
    assert!(rotated.secret.starts_with("whsec_") && rotated.secret != made.secret);
    assert_eq!(rotated.endpoint.unwrap().version, first.version + 1);
    assert!(rotated.former_until.is_some());
    post.deliver(&[Order::of("ana").placed()]).await;
    assert_eq!(signatures(&post, 2).await, 2);
    post.run("update endpoint set old_secret_until = now()")
        .await;
    post.deliver(&[Order::of("ana").placed()]).await;
    assert_eq!(signatures(&post, 3).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_repeated_rotation_under_its_key_changes_nothing_more() {
    let post = Post::open().await;
    let made = endpoint(&post, "shop", &[]).await;
    let id = made.endpoint.unwrap().endpoint_id;
    let first = rotate(&post, &id, "k").await.unwrap();
    let again = rotate(&post, &id, "k").await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.secret, first.secret);
    let former = post.rows("select old_secret from endpoint").await;
    assert_eq!(former[0].get::<_, String>(0), made.secret, "it still signs");
    let unknown = rotate(&post, "019372a0-0000-7000-8000-000000000000", "other").await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_repeated_registration_under_its_key_gets_the_first_answer() {
    let post = Post::open().await;
    let url = "http://127.0.0.1:9/hook";
    let first = create(&post, "ana", "k", url).await.unwrap();
    let again = create(&post, "ana", "k", url).await.unwrap();
    assert!(again.replayed);
    assert_eq!(
        (&again.endpoint, &again.secret),
        (&first.endpoint, &first.secret)
    );
    let other = create(&post, "ana", "k", "http://127.0.0.1:9/other").await;
    assert_eq!(other.unwrap_err().code(), Code::FailedPrecondition);
    // Another caller's key is another key, and without one each request is a new one.
    assert!(!create(&post, "bea", "k", url).await.unwrap().replayed);
    assert!(!create(&post, "ana", "", url).await.unwrap().replayed);
    assert_eq!(post.rows("select 1 from endpoint").await.len(), 3);
}

#[tokio::test]
async fn a_registration_that_was_refused_leaves_its_key_free() {
    let post = Post::open().await;
    let refused = create(&post, "ana", "k", "ftp://127.0.0.1/").await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let made = create(&post, "ana", "k", "http://127.0.0.1:9/hook").await;
    assert!(!made.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_once_under_one_key_make_one_endpoint() {
    let post = Post::open().await;
    let url = "http://127.0.0.1:9/hook";
    let all = (0..8).map(|_| create(&post, "ana", "k", url));
    let all = futures_util::future::join_all(all).await;
    let secrets: Vec<String> = all.into_iter().map(|made| made.unwrap().secret).collect();
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(post.rows("select 1 from endpoint").await.len(), 1);
}
