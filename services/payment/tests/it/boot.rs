use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use brewline_config::Environment;
use brewline_payment::Config;
use brewline_proto::payment::v1 as proto;
use brewline_proto::payment::v1::outcome::Result as Said;
use brewline_proto::payment::v1::payment_service_client::PaymentServiceClient;
use brewline_server::{Context, client};
use brewline_test_support::eventually;

use crate::shop::{AMOUNT, Shop, an_order};

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// The settings of a service; its log is one that nobody can reach, for readiness does not need it.
fn config(shop: &Shop, grpc: SocketAddr) -> Config {
    let mut env = Environment::from_pairs([
        ("BREWLINE_POSTGRES_URL", shop.db.url().to_owned()),
        ("BREWLINE_KAFKA_BROKERS", "127.0.0.1:1".to_owned()),
        ("BREWLINE_PROCESSOR_URL", shop.processor.url()),
        ("BREWLINE_GRPC_LISTEN", grpc.to_string()),
    ]);
    let config = Config::read(&mut env);
    env.finish(config).unwrap()
}

#[tokio::test]
async fn a_started_service_is_ready_answers_and_drains() {
    let (shop, grpc) = (Shop::open().await, free_port());
    let context = Context::new("payment", "payment-boot");
    brewline_payment::run(config(&shop, grpc), context.clone())
        .await
        .unwrap();
    eventually("it is ready", async || {
        context.health().not_ready().is_empty()
    })
    .await;
    let channel = client::channel(&format!("http://{grpc}"), &context).unwrap();
    let authorise = proto::AuthoriseRequest {
        order_id: an_order().to_string(),
        amount: Some(brewline_proto::money::v1::Money {
            amount_minor: AMOUNT,
            currency: "EUR".to_owned(),
        }),
        token: "tok_ok".to_owned(),
        ..proto::AuthoriseRequest::default()
    };
    let answer = PaymentServiceClient::new(channel)
        .authorise(authorise)
        .await
        .unwrap();
    let said = answer.into_inner().outcome.unwrap().result.unwrap();
    assert!(matches!(said, Said::Done(_)), "{said:?}");
    context.shutdown().cancel();
    context.drain(Duration::from_secs(10)).await;
    assert!(!context.failed(), "a task failed");
}

#[test]
fn every_missing_setting_is_named_at_once() {
    let mut env = Environment::from_pairs([("BREWLINE_PROCESSOR_TIMEOUT_MS", "soon")]);
    let config = Config::read(&mut env);
    let faults = env.finish(config).unwrap_err().to_string();
    for name in [
        "POSTGRES_URL",
        "KAFKA_BROKERS",
        "PROCESSOR_URL",
        "PROCESSOR_TIMEOUT_MS",
    ] {
        assert!(faults.contains(name), "{name} is not in: {faults}");
    }
}
