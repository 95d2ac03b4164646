//! What an operator does about dead letters while the consumer runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brewline_messaging::operator::Operator;
use brewline_messaging::{ConsumerSettings, Monitor, TopicKind};
use brewline_proto::operator::v1 as pb;
use brewline_proto::operator::v1::operator_service_server::OperatorService as _;
use tonic::{Code, Request, Status};

use crate::world::{Recorder, Running, World, eventually};

/// A consumer, how to cure it, and who operates it.
struct Desk {
    consumer: Running,
    cured: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    operator: Operator,
}

// === impl Desk ===

impl Desk {
    fn open(world: &World, instance: &str) -> Self {
        Self::open_with(world, instance, ConsumerSettings::default())
    }

    fn open_with(world: &World, instance: &str, settings: ConsumerSettings) -> Self {
        let (monitor, recorder) = (Monitor::default(), Recorder::new(instance));
        let (cured, hangs) = (Arc::clone(&recorder.cured), Arc::clone(&recorder.hangs));
        let consumer = world.consume_watched(instance, settings, recorder, monitor.clone());
        Self {
            consumer,
            cured,
            hangs,
            operator: Operator::new(world.pool().clone(), monitor),
        }
    }

    fn cure(&self) {
        self.cured.store(true, Ordering::SeqCst);
    }

    async fn redrive(&self, id: &str) -> pb::RedriveDeadLetterResponse {
        self.ask_redrive(id, false).await.unwrap()
    }

    async fn ask_redrive(
        &self,
        id: &str,
        dry_run: bool,
    ) -> Result<pb::RedriveDeadLetterResponse, Status> {
        let request = pb::RedriveDeadLetterRequest {
            id: id.to_owned(),
            actor: "ada".to_owned(),
            dry_run,
        };
        let answer = self.operator.redrive_dead_letter(Request::new(request));
        answer.await.map(tonic::Response::into_inner)
    }

    async fn give_up(&self, id: &str) -> Result<pb::DropDeadLetterResponse, Status> {
        let request = pb::DropDeadLetterRequest {
            id: id.to_owned(),
            actor: "ada".to_owned(),
            dry_run: false,
        };
        let answer = self.operator.drop_dead_letter(Request::new(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn letters(&self) -> Vec<pb::DeadLetter> {
        let request = Request::new(pb::ListDeadLettersRequest { limit: 100 });
        let answer = self.operator.list_dead_letters(request).await.unwrap();
        answer.into_inner().dead_letters
    }

    async fn actions(&self) -> Vec<pb::OperatorAction> {
        let request = Request::new(pb::ListOperatorActionsRequest { limit: 100 });
        let answer = self.operator.list_operator_actions(request).await.unwrap();
        answer.into_inner().actions
    }

    /// The one open dead letter, once `parked` records are parked behind it.
    async fn letter(&self, parked: i64) -> String {
        let mut id = String::new();
        eventually("the successors park behind a dead letter", async || {
            let letters = self.letters().await;
            letters
                .first()
                .map(|letter| id.clone_from(&letter.id))
                .is_some()
                && letters[0].parked == parked
        })
        .await;
        id
    }
}

async fn poisoned(world: &World, successors: i64) {
    world.publish(&world.event_of("poison", "bad", 1)).await;
    for version in 2..=1 + successors {
        world.publish_one("bad", version).await;
    }
    world.publish_one("good", 1).await;
}

async fn is_clear(world: &World) -> bool {
    world
        .number("select (select count(*) from parked) + (select count(*) from parked_key)")
        .await
        == 0
}

#[tokio::test]
async fn a_letter_and_what_is_parked_behind_it_take_effect_in_order() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 4).await;
    let letter = desk.letter(4).await;
    desk.cure();
    let answer = desk.redrive(&letter).await;
    assert_eq!(answer.result(), pb::RedriveResult::Flows);
    assert_eq!((answer.applied, answer.parked), (5, 0));
    assert_eq!(world.effects().await["bad"], [1, 2, 3, 4, 5]);
    assert!(is_clear(&world).await && desk.letters().await.is_empty());
    world.publish_one("bad", 6).await;
    eventually("the subject flows", async || {
        world.effects().await["bad"].len() == 6
    })
    .await;
    let actions = desk.actions().await;
    let (actor, action) = (actions[0].actor.as_str(), actions[0].action.as_str());
    assert_eq!((actor, action), ("ada", "redrive"));
    assert_eq!((&actions[0].subject, actions.len()), (&letter, 1));
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_redrive_that_fails_again_leaves_the_letter_open_with_one_more_try() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 2).await;
    let letter = desk.letter(2).await;
    let answer = desk.redrive(&letter).await;
    assert_eq!(answer.result(), pb::RedriveResult::Failed);
    assert_eq!((&answer.open_id, answer.attempts), (&letter, 4));
    assert_eq!(answer.reason, "it tastes bitter");
    assert_eq!(answer.parked, 2);
    let open = desk.letters().await;
    assert_eq!((open[0].attempts, open[0].parked), (4, 2));
    assert!(!world.effects().await.contains_key("bad"));
    assert_eq!(desk.actions().await.len(), 1);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn redriven_twice_and_at_once_on_two_replicas_it_has_its_effect_once() {
    let world = World::create(2).await;
    let (one, two) = (Desk::open(&world, "a"), Desk::open(&world, "b"));
    poisoned(&world, 3).await;
    let letter = one.letter(3).await;
    one.cure();
    two.cure();
    let answers = tokio::join!(
        one.redrive(&letter),
        two.redrive(&letter),
        one.redrive(&letter)
    );
    let results = [answers.0.result(), answers.1.result(), answers.2.result()];
    let flows = |result: &&pb::RedriveResult| **result == pb::RedriveResult::Flows;
    assert_eq!(results.iter().filter(flows).count(), 1, "{results:?}");
    let again = one.redrive(&letter).await;
    assert_eq!(again.result(), pb::RedriveResult::DoneBefore);
    assert_eq!(world.effects().await["bad"], [1, 2, 3, 4]);
    one.consumer.stop().await.unwrap();
    two.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn what_arrives_while_it_is_redriven_keeps_its_order() {
    let world = World::create(1).await;
    let settings = ConsumerSettings {
        batch_records_max: 2,
        ..ConsumerSettings::default()
    };
    let desk = Desk::open_with(&world, "a", settings);
    poisoned(&world, 5).await;
    let letter = desk.letter(5).await;
    desk.cure();
    let arriving = async {
        for version in 7..=40 {
            world.publish_one("bad", version).await;
        }
    };
    let (answer, ()) = tokio::join!(desk.redrive(&letter), arriving);
    assert_eq!(answer.result(), pb::RedriveResult::Flows);
    eventually("all have flowed", async || {
        world.effects().await["bad"].len() >= 40
    })
    .await;
    assert_eq!(world.effects().await["bad"], (1..=40).collect::<Vec<_>>());
    assert!(is_clear(&world).await);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_parked_record_that_fails_in_its_turn_becomes_the_open_letter() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    world.publish(&world.event_of("poison", "bad", 1)).await;
    world.publish_one("bad", 2).await;
    world.publish(&world.event_of("venom", "bad", 3)).await;
    world.publish_one("bad", 4).await;
    let letter = desk.letter(3).await;
    desk.cure();
    let answer = desk.redrive(&letter).await;
    assert_eq!(answer.result(), pb::RedriveResult::Failed);
    assert_eq!((answer.applied, answer.parked, answer.attempts), (2, 1, 1));
    assert_eq!(world.effects().await["bad"], [1, 2]);
    let open = desk.letters().await;
    assert_eq!((open.len(), open[0].parked), (1, 1));
    assert_eq!(open[0].id, answer.open_id);
    assert_ne!(open[0].id, letter);
    world.publish_one("bad", 5).await;
    eventually("the next one parks too", async || {
        desk.letters().await[0].parked == 2
    })
    .await;
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_redrive_cut_off_in_the_middle_has_done_nothing() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 2).await;
    let letter = desk.letter(2).await;
    desk.cure();
    desk.hangs.store(true, Ordering::SeqCst);
    // Time enough to get into the handler, which hangs with the effect written.
    let cut = tokio::time::timeout(Duration::from_secs(2), desk.redrive(&letter));
    assert!(cut.await.is_err());
    assert_eq!(desk.letter(2).await, letter);
    assert!(desk.actions().await.is_empty());
    desk.hangs.store(false, Ordering::SeqCst);
    let answer = desk.redrive(&letter).await;
    assert_eq!(answer.result(), pb::RedriveResult::Flows);
    assert_eq!(world.effects().await["bad"], [1, 2, 3]);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_says_how_it_would_end_and_changes_nothing() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 2).await;
    let letter = desk.letter(2).await;
    let failed = desk.ask_redrive(&letter, true).await.unwrap();
    assert_eq!(failed.result(), pb::RedriveResult::Failed);
    desk.cure();
    let flows = desk.ask_redrive(&letter, true).await.unwrap();
    assert_eq!(
        (flows.result(), flows.applied),
        (pb::RedriveResult::Flows, 3)
    );
    assert!(!world.effects().await.contains_key("bad"));
    assert_eq!(desk.letters().await[0].attempts, 3);
    assert!(desk.actions().await.is_empty());
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_letter_that_a_parked_event_needs_is_not_dropped() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 1).await;
    let letter = desk.letter(1).await;
    let refused = desk.give_up(&letter).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "version 2 of bad is held behind it and needs it: version 1 is missing"
    );
    assert_eq!(desk.letter(1).await, letter);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_letter_that_nothing_follows_is_dropped_and_can_still_be_redriven() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 0).await;
    let letter = desk.letter(0).await;
    assert!(desk.give_up(&letter).await.unwrap().dropped);
    assert!(!desk.give_up(&letter).await.unwrap().dropped);
    assert!(is_clear(&world).await && desk.letters().await.is_empty());
    // Its successor comes, and misses it.
    world.publish_one("bad", 2).await;
    eventually("the successor waits", async || {
        world.number("select count(*) from parked").await == 1
    })
    .await;
    desk.cure();
    let answer = desk.redrive(&letter).await;
    assert_eq!(
        (answer.result(), answer.applied),
        (pb::RedriveResult::Flows, 2)
    );
    assert_eq!(world.effects().await["bad"], [1, 2]);
    assert!(is_clear(&world).await);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn of_whole_states_a_letter_is_dropped_and_the_newer_ones_apply() {
    let world = World::create_of(1, TopicKind::Compacted).await;
    let desk = Desk::open(&world, "a");
    world.publish(&world.event_of("poison", "bad", 1)).await;
    world.publish_one("bad", 3).await;
    let letter = desk.letter(1).await;
    let dropped = desk.give_up(&letter).await.unwrap();
    assert_eq!((dropped.applied, dropped.parked), (1, 0));
    assert_eq!(world.effects().await["bad"], [3]);
    assert!(is_clear(&world).await);
    let refused = desk.give_up("00000000-0000-0000-0000-000000000000").await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    desk.consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_letter_is_shown_whole_with_what_is_parked_behind_it() {
    let world = World::create(1).await;
    let desk = Desk::open(&world, "a");
    poisoned(&world, 2).await;
    let letter = desk.letter(2).await;
    let request = pb::GetDeadLetterRequest { id: letter.clone() };
    let shown = desk.operator.get_dead_letter(Request::new(request)).await;
    let shown = shown.unwrap().into_inner();
    assert_eq!(shown.outcome(), pb::DeadLetterOutcome::Open);
    assert_eq!(shown.dead_letter.unwrap().id, letter);
    let record = shown.record.unwrap();
    assert_eq!(
        (record.version, record.payload.as_slice()),
        (1, b"bad 1".as_slice())
    );
    assert_eq!(record.headers["ce_type"], "poison");
    let parked: Vec<i64> = shown.parked.iter().map(|record| record.version).collect();
    assert_eq!(parked, [2, 3]);
    desk.consumer.stop().await.unwrap();
}
