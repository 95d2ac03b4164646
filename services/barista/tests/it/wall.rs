//! The wall: what it shows, in which order, on which replica.

use std::time::Duration;

use brewline_postgres::ToSql;
use brewline_proto::fulfilment::v1::fulfilment_service_server::FulfilmentService;
use brewline_proto::fulfilment::v1::{GetWallRequest, TicketStatus, Wall, WatchWallRequest};
use brewline_proto::order::v1::ConsistencyToken;
use futures_util::{FutureExt as _, StreamExt as _};
use tonic::Request;

use crate::bar::{Bar, Order, Replica, STORE, is_refused, stations};

/// The longest a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

type Walls =
    <brewline_barista::inbound::grpc::FulfilmentGrpc as FulfilmentService>::WatchWallStream;

async fn watch(replica: &Replica, position: Option<i64>) -> Walls {
    let request = WatchWallRequest {
        store_id: STORE.to_owned(),
        position,
    };
    replica
        .grpc
        .watch_wall(Request::new(request))
        .await
        .unwrap()
        .into_inner()
}

async fn next(walls: &mut Walls) -> Wall {
    let next = tokio::time::timeout(PATIENCE, walls.next()).await;
    next.expect("a wall is told in time")
        .unwrap()
        .unwrap()
        .wall
        .unwrap()
}

/// A wall without what changes by itself.
fn still(mut wall: Wall) -> Wall {
    for item in &mut wall.items {
        item.age_seconds = 0;
    }
    wall
}

#[tokio::test]
async fn it_shows_what_is_to_be_made_the_oldest_first() {
    let bar = Bar::open().await;
    let (first, tickets) = bar.order().await;
    let (second, _) = bar.order().await;
    let wall = bar.wall().await;
    assert_eq!(
        (wall.store_id.as_str(), wall.position, wall.has_more),
        (STORE, 2, false)
    );
    let orders: Vec<_> = wall
        .items
        .iter()
        .map(|item| item.order_id.clone())
        .collect();
    let (first, second) = (first.subject(), second.subject());
    assert_eq!(
        orders,
        [&first, &first, &first, &second, &second, &second].map(Clone::clone)
    );
    let at = wall.items[..3]
        .iter()
        .map(|item| (item.station, item.method.clone()));
    assert_eq!(at.collect::<Vec<_>>(), stations());
    bar.replica.start(&tickets[0]).await.unwrap();
    let wall = bar.wall().await;
    assert_eq!(
        (wall.position, wall.items[0].status()),
        (3, TicketStatus::Started)
    );
    bar.replica.finish(&tickets[0]).await.unwrap();
    let wall = bar.wall().await;
    assert_eq!((wall.position, wall.items.len()), (4, 5));
}

#[tokio::test]
async fn a_store_that_nobody_ordered_at_has_an_empty_one() {
    let bar = Bar::open().await;
    let wall = bar.wall().await;
    assert_eq!(
        (wall.position, wall.items.len(), wall.has_more),
        (0, 0, false)
    );
}

#[tokio::test]
async fn it_is_bounded_and_says_when_there_is_more() {
    let bar = Bar::open().await;
    let batch: Vec<_> = (0..167).map(|_| Order::new().confirmed(2)).collect();
    bar.deliver(&batch).await.unwrap();
    let wall = bar.wall().await;
    assert_eq!((wall.items.len(), wall.has_more), (500, true));
}

#[tokio::test]
async fn every_replica_tells_the_same_and_a_new_one_too() {
    let bar = Bar::open().await;
    let other = Replica::over(&bar.pool);
    let (mut here, mut there) = (watch(&bar.replica, None).await, watch(&other, None).await);
    assert_eq!(next(&mut here).await, next(&mut there).await);
    let (_, tickets) = bar.order().await;
    assert_eq!(still(next(&mut here).await), still(next(&mut there).await));
    other.start(&tickets[2]).await.unwrap();
    let told = still(next(&mut here).await);
    assert_eq!(told, still(next(&mut there).await));
    let restarted = Replica::over(&bar.pool);
    assert_eq!(still(restarted.wall().await), told);
    assert_eq!(still(next(&mut watch(&restarted, None).await).await), told);
}

#[tokio::test]
async fn who_comes_back_is_told_nothing_until_it_changes() {
    let bar = Bar::open().await;
    let (_, tickets) = bar.order().await;
    let position = bar.wall().await.position;
    let mut walls = watch(&bar.replica, Some(position)).await;
    assert!(walls.next().now_or_never().is_none());
    bar.replica.start(&tickets[0]).await.unwrap();
    assert_eq!(next(&mut walls).await.position, position + 1);
    // Who has missed something is told at once.
    assert_eq!(
        next(&mut watch(&bar.replica, Some(position)).await)
            .await
            .position,
        position + 1
    );
}

#[tokio::test]
async fn it_is_told_at_most_five_times_a_second() {
    let bar = Bar::open().await;
    let mut walls = watch(&bar.replica, None).await;
    next(&mut walls).await;
    let began = std::time::Instant::now();
    let mut told = 0_u128;
    while began.elapsed() < Duration::from_secs(1) {
        bar.order().await;
        while walls.next().now_or_never().is_some() {
            told += 1;
        }
    }
    let most = began.elapsed().as_millis() / 200 + 1;
    assert!(
        (1..=most).contains(&told),
        "{told} times in {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_process() {
    let bar = Bar::open().await;
    let mut walls = watch(&bar.replica, None).await;
    next(&mut walls).await;
    bar.replica.grpc.shutdown.cancel();
    assert!(walls.next().await.is_none());
}

/// What a caller reads who has seen a version of an order, or of its tickets.
fn having_seen(topic: &str, order: Order, version: i64) -> Request<GetWallRequest> {
    let token = ConsistencyToken {
        topic: topic.to_owned(),
        subject: order.subject(),
        version,
    };
    Request::new(GetWallRequest {
        store_id: STORE.to_owned(),
        tokens: vec![token],
        wait_ms: 50,
    })
}

const ORDERS: &str = "brewline.order.events.v1";
const TICKETS: &str = "brewline.fulfilment.events.v1";

async fn claim(bar: &Bar, consumer: &str, topic: &str, order: Order, version: i64) {
    let sql = "insert into inbox (version, event_id, consumer, topic, subject)
               values ($4, gen_random_uuid(), $1, $2, $3)
               on conflict (consumer, topic, subject) do update set version = excluded.version";
    let connection = bar.pool.get().await.unwrap();
    let params: [&(dyn ToSql + Sync); 4] = [&consumer, &topic, &order.subject(), &version];
    connection.execute(sql, &params).await.unwrap();
}

#[tokio::test]
async fn a_read_waits_for_what_its_caller_has_seen_of_orders() {
    let bar = Bar::open().await;
    let (order, _) = bar.order().await;
    let read = async || {
        bar.replica
            .grpc
            .get_wall(having_seen(ORDERS, order, 2))
            .await
    };
    assert!(is_refused(read().await, "view-behind"));
    claim(&bar, "brewline.barista.orders", ORDERS, order, 2).await;
    assert!(read().await.is_ok());
}

#[tokio::test]
async fn a_read_waits_for_what_its_caller_has_done_to_tickets() {
    let bar = Bar::open().await;
    let (order, tickets) = bar.order().await;
    let version = bar.replica.start(&tickets[0]).await.unwrap().version;
    let read = async || {
        bar.replica
            .grpc
            .get_wall(having_seen(TICKETS, order, version))
            .await
    };
    assert!(read().await.is_ok());
    let later = having_seen(TICKETS, order, version + 1);
    let answer = bar.replica.grpc.get_wall(later).await;
    assert!(
        is_refused(answer, "view-behind"),
        "nothing of it is known here"
    );
}

#[tokio::test]
async fn what_tokens_say_of_others_says_nothing_about_walls() {
    let bar = Bar::open().await;
    let stock = having_seen("brewline.inventory.events.v1", Order::new(), 9);
    assert!(bar.replica.grpc.get_wall(stock).await.is_ok());
}

#[tokio::test]
async fn a_wall_made_anew_goes_on_from_every_position_of_the_live_one() {
    let bar = Bar::open().await;
    let views = brewline_barista::inbound::wall_consumer::views();
    let connection = bar.pool.get().await.unwrap();
    let before = "insert into wall (store_id, position) values ('both', 7), ('live-only', 9);
                  create schema anew;
                  create table anew.wall (like public.wall including all);
                  insert into anew.wall (store_id, position) values ('both', 2), ('new-only', 3);
                  set search_path to anew, public;";
    connection.batch_execute(before).await.unwrap();
    connection.batch_execute(views[0].adopt).await.unwrap();
    let rows = "select store_id, position from anew.wall order by store_id";
    let rows = connection.query(rows, &[]).await.unwrap();
    let positions: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let wanted = [("both", 8), ("live-only", 10), ("new-only", 3)];
    assert_eq!(positions, wanted.map(|(store, at)| (store.to_owned(), at)));
}
