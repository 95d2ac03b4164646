//! A view made anew from the log beside the live one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brewline_messaging::views::{Live, Projection, Table, View, Views};
use brewline_messaging::{ConsumerSettings, Delivery, Failure, Handler, Monitor, NewEvent};
use brewline_postgres::Transaction;
use brewline_proto::operator::v1 as pb;
use brewline_proto::operator::v1::view_service_server::ViewService as _;
use futures_util::StreamExt as _;
use tonic::{Code, Request, Status};

use crate::world::{Running, World, eventually};

/// Adds the versions of each subject up: an event applied twice, or left out, shows.
#[derive(Default)]
struct Adder {
    /// Does not end any more.
    hangs: Arc<AtomicBool>,
}

// === impl Adder ===

impl Handler for Adder {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        for delivery in batch {
            let (subject, version) = (&delivery.envelope.subject, delivery.envelope.version);
            if delivery.envelope.event_type == "poison" {
                return Err(Failure::poison("it tastes bitter"));
            }
            let sql = "insert into board as b (subject, version, total) values ($1, $2, $2)
                       on conflict (subject) do update
                       set version = excluded.version, total = b.total + excluded.total";
            tx.execute(sql, &[&subject, &version]).await?;
        }
        Ok(())
    }

    fn committed(&self, (): ()) {}
}

fn consume(world: &World) -> Running {
    let settings = ConsumerSettings::default();
    world.consume_watched("a", settings, Adder::default(), Monitor::default())
}

fn views(world: &World, projection: Adder) -> Views {
    let view = View {
        name: "board",
        consumer: world.spec(),
        live: Live::Consumed,
        tables: &[Table {
            name: "board",
            not_compared: &["written_at"],
        }],
        beside: &[],
        seed: "",
        adopt: "",
        projection: Projection::new(projection),
    };
    Views::new(vec![view], world.database.config(), world.topics.config())
}

async fn rebuild(views: &Views, accept_differences: bool) -> Result<pb::RebuildResult, Status> {
    let request = pb::RebuildViewRequest {
        name: "board".to_owned(),
        actor: "ada".to_owned(),
        accept_differences,
        dry_run: false,
    };
    let mut answers = views
        .rebuild_view(Request::new(request))
        .await?
        .into_inner();
    let mut result = None;
    while let Some(answer) = answers.next().await {
        result = answer?.result.or(result);
    }
    Ok(result.expect("the last answer holds the result"))
}

/// `count` events of each of `subjects` subjects, some of them twice.
fn events(world: &World, subjects: i64, from: i64, count: i64) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for version in from..from + count {
        for subject in 0..subjects {
            let event = world.event(&format!("s{subject}"), version);
            if (version + subject) % 7 == 0 {
                events.push(event.clone());
            }
            events.push(event);
        }
    }
    events
}

async fn total(world: &World) -> i64 {
    world
        .number("select coalesce(sum(total), 0)::bigint from board")
        .await
}

async fn until_total(world: &World, wanted: i64) {
    eventually("everything is added up", async || {
        total(world).await == wanted
    })
    .await;
}

/// The sum of the versions 1 to `last`, of each of `subjects` subjects.
const fn sum(subjects: i64, last: i64) -> i64 {
    subjects * last * (last + 1) / 2
}

#[tokio::test]
async fn while_records_flow_a_view_is_made_anew_compared_and_switched() {
    let world = World::create(3).await;
    let consumer = consume(&world);
    world.publish_all(&events(&world, 40, 1, 50)).await;
    until_total(&world, sum(40, 50)).await;
    let views = views(&world, Adder::default());
    let flowing = async {
        for round in 0..20 {
            world.publish_all(&events(&world, 40, 51 + round, 1)).await;
        }
    };
    let (result, ()) = tokio::join!(rebuild(&views, false), flowing);
    let result = result.unwrap();
    assert_eq!((result.switched, result.differences), (true, 0));
    assert!(result.events >= 2_000 && result.rows == 40, "{result:?}");
    assert!(result.stopped_ms <= 2_000, "{result:?}");
    world.publish_all(&events(&world, 40, 71, 5)).await;
    until_total(&world, sum(40, 75)).await;
    let kept = "select count(*) from pg_indexes where schemaname = 'public'
                and indexname in ('board_by_total', 'board_pkey')";
    assert_eq!(world.number(kept).await, 2);
    let gone = "select count(*) from pg_namespace where nspname like 'rebuild%'";
    assert_eq!(world.number(gone).await, 0);
    let listed = views
        .list_views(Request::new(pb::ListViewsRequest {}))
        .await;
    assert!(listed.unwrap().into_inner().views[0].rebuilt_at.is_some());
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn differences_are_named_and_switching_needs_them_accepted() {
    let world = World::create(1).await;
    let consumer = consume(&world);
    world.publish_all(&events(&world, 5, 1, 3)).await;
    until_total(&world, sum(5, 3)).await;
    let spoil = "update board set total = 99 where subject = 's1';
                 delete from board where subject = 's2';
                 insert into board (subject, version, total) values ('s9', 1, 1);";
    let connection = world.pool().get().await.unwrap();
    connection.batch_execute(spoil).await.unwrap();
    let views = views(&world, Adder::default());
    let refused = rebuild(&views, false).await.unwrap();
    assert_eq!((refused.switched, refused.differences), (false, 3));
    let named: Vec<_> = refused
        .first_differences
        .iter()
        .map(|difference| (difference.key.as_str(), difference.kind()))
        .collect();
    assert_eq!(
        named,
        [
            ("s1", pb::ViewDifferenceKind::Changed),
            ("s2", pb::ViewDifferenceKind::NewOnly),
            ("s9", pb::ViewDifferenceKind::LiveOnly),
        ]
    );
    assert_ne!(total(&world).await, sum(5, 3));
    let accepted = rebuild(&views, true).await.unwrap();
    assert_eq!((accepted.switched, accepted.differences), (true, 3));
    assert_eq!(total(&world).await, sum(5, 3));
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_rebuild_that_dies_leaves_a_schema_that_the_next_one_drops() {
    let world = World::create(1).await;
    let consumer = consume(&world);
    world.publish_all(&events(&world, 5, 1, 20)).await;
    until_total(&world, sum(5, 20)).await;
    let stuck = Adder::default();
    stuck.hangs.store(true, Ordering::SeqCst);
    let dying = views(&world, stuck);
    let cut = tokio::time::timeout(Duration::from_secs(3), rebuild(&dying, false)).await;
    assert!(cut.is_err());
    let left = "select count(*) from pg_namespace where nspname = 'rebuild_board'";
    assert_eq!(world.number(left).await, 1);
    world.publish_all(&events(&world, 5, 21, 1)).await;
    until_total(&world, sum(5, 21)).await;
    let result = rebuild(&views(&world, Adder::default()), false).await;
    assert!(result.unwrap().switched);
    assert_eq!(total(&world).await, sum(5, 21));
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn while_keys_are_parked_a_view_is_not_rebuilt() {
    let world = World::create(1).await;
    let consumer = consume(&world);
    world.publish_all(&events(&world, 5, 1, 2)).await;
    world.publish(&world.event_of("poison", "bad", 1)).await;
    eventually("it is a dead letter", async || {
        world.number("select count(*) from parked_key").await == 1
    })
    .await;
    let views = views(&world, Adder::default());
    let refused = rebuild(&views, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("cannot be handled"), "{refused}");
    let close = "update dead_letter set outcome = 'dropped'; delete from parked_key;";
    let connection = world.pool().get().await.unwrap();
    connection.batch_execute(close).await.unwrap();
    assert!(rebuild(&views, false).await.unwrap().switched);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_parked_between_comparing_and_switching_stops_the_switch() {
    let world = World::create(1).await;
    let consumer = consume(&world);
    world.publish_all(&events(&world, 5, 1, 3)).await;
    until_total(&world, sum(5, 3)).await;
    // A reader of the live table lets it be compared, but not switched.
    let mut reading = world.pool().get().await.unwrap();
    let reader = reading.transaction().await.unwrap();
    reader
        .batch_execute("lock table board in access share mode")
        .await
        .unwrap();
    let views = views(&world, Adder::default());
    let parking = async {
        let waits = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                      where not l.granted and d.datname = current_database()
                        and l.relation = 'public.board'::regclass";
        eventually("it is compared, and waits to switch", async || {
            world.number(waits).await > 0
        })
        .await;
        let key = "insert into parked_key (consumer, topic, subject, partition, waits_until)
                   values ($1, $2, 's1', 0, now() + interval '1 hour')";
        let spec = world.spec();
        let (name, topic) = (spec.name, spec.topics[0].name);
        let connection = world.pool().get().await.unwrap();
        connection.execute(key, &[&name, &topic]).await.unwrap();
    };
    let (refused, ()) = tokio::join!(rebuild(&views, true), parking);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("parked meanwhile"), "{refused}");
    reader.rollback().await.unwrap();
    consumer.stop().await.unwrap();
}
