use std::time::Duration;

use brewline_messaging::Monitor;
use brewline_messaging::held::{Held, Token, wait};
use brewline_messaging::operator;
use brewline_proto::operator::v1::operator_service_server::OperatorService as _;
use brewline_proto::operator::v1::{ListDeadLettersRequest, ListRelaysRequest};
use tonic::Request;

use crate::world::{World, eventually};

fn token(world: &World, subject: &str, version: i64) -> Vec<Token> {
    vec![Token {
        topic: world.topic.to_owned(),
        subject: subject.to_owned(),
        version,
    }]
}

#[tokio::test]
async fn a_token_is_held_once_applied_and_a_parked_subject_answers_at_once() {
    let world = World::create(1).await;
    let consumer = world.consume("a");
    let monitor = Monitor::default();
    let held = async |subject: &str, version: i64, limit: Duration| {
        let tokens = token(&world, subject, version);
        wait(world.pool(), &monitor, world.consumer(), &tokens, limit)
            .await
            .unwrap()
    };
    let long = Duration::from_secs(40);
    let (_, applied) = tokio::join!(world.publish_one("x", 1), held("x", 1, long));
    assert_eq!(applied, Held::Yes);
    assert_eq!(held("x", 2, Duration::ZERO).await, Held::Behind);
    world.publish(&world.event_of("poison", "bad", 1)).await;
    assert_eq!(held("bad", 1, long).await, Held::Parked);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn people_on_call_see_positions_relays_and_dead_letters() {
    let world = World::create(1).await;
    let consumer = world.consume("a");
    world.publish(&world.event_of("poison", "bad", 1)).await;
    world.publish(&world.event("bad", 2)).await;
    eventually("the successor parks", async || {
        world.number("select count(*) from parked").await == 1
    })
    .await;
    let service = operator::Operator::new(world.pool().clone(), Monitor::default());
    let positions = service.positions().await.unwrap();
    assert_eq!((positions[0].next_offset, positions[0].owned), (2, false));
    let relays = service
        .list_relays(Request::new(ListRelaysRequest {}))
        .await
        .unwrap();
    // The dead letter's copy waits in the outbox: no relay runs here.
    assert_eq!(relays.into_inner().relays[0].unsent, 1);
    let ask = Request::new(ListDeadLettersRequest { limit: 10 });
    let letters = service
        .list_dead_letters(ask)
        .await
        .unwrap()
        .into_inner()
        .dead_letters;
    assert_eq!((letters[0].subject.as_str(), letters[0].parked), ("bad", 1));
    consumer.stop().await.unwrap();
}
