//! Boards made anew beside the live ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use brewline_leaderboard::app::rebuild::{Progress, Rebuilt, Switch};
use brewline_leaderboard::app::snapshots::Snapshots;
use brewline_leaderboard::outbound::snapshot_store;
use brewline_leaderboard_domain::{Board, Window};
use brewline_test_support::eventually;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::outside::{Outside, Running, Sold};

async fn rebuild(running: &Running, switch: Switch) -> Rebuilt {
    let rebuilder = running.boards.rebuilder.clone();
    let handle = tokio::runtime::Handle::current();
    let progress = watch::Sender::new(Progress::default());
    let work = move || handle.block_on(rebuilder.run(switch, &progress));
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_while_events_flow_finds_no_difference_and_switches() {
    let outside = Arc::new(Outside::new().await);
    let running = outside.start("one").await;
    let stop = Arc::new(AtomicBool::new(false));
    let (shop, closed) = (Arc::clone(&outside), Arc::clone(&stop));
    let mut selling = JoinSet::new();
    selling.spawn(async move {
        while !closed.load(Ordering::SeqCst) {
            let sold = Sold::new("store-oslo", "ann", &[("v60", 1), ("croissant", 1)]);
            shop.confirmed(&sold).await;
            shop.cancelled(&sold).await;
            shop.confirmed(&Sold::new("store-kyoto", "bob", &[("siphon", 2)]))
                .await;
        }
    });
    eventually("there is something to read", async || {
        running.boards.live.read().records > 100
    })
    .await;
    for _ in 0..3 {
        let rebuilt = rebuild(&running, Switch::IfSame).await;
        assert_eq!(rebuilt.differences, 0, "{:?}", rebuilt.first);
        assert!(rebuilt.switched && rebuilt.records > 100);
    }
    stop.store(true, Ordering::SeqCst);
    selling.join_all().await;
    outside.settle(&running).await;
    let other = outside.start("two").await;
    outside.settle(&other).await;
    assert_eq!(running.bytes(), other.bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_listed_and_need_to_be_accepted() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside
        .confirmed(&Sold::new("store-kyoto", "ann", &[("v60", 1)]))
        .await;
    outside.settle(&running).await;
    // The store turns out to be elsewhere: what was counted lies on another date.
    outside.store("store-kyoto", "Europe/Lisbon", 2).await;
    outside.settle(&running).await;
    let refused = rebuild(&running, Switch::IfSame).await;
    assert!(!refused.switched && refused.differences > 0);
    let key = &refused.first[0].key;
    assert!(key.starts_with("coffee-lovers/day/2026-11-2"), "{key}");
    assert!(rebuild(&running, Switch::Always).await.switched);
    let dry = rebuild(&running, Switch::Never).await;
    assert!(!dry.switched && dry.differences == 0, "{:?}", dry.first);
    eventually("the new boards serve", async || {
        let state = running.boards.live.read();
        let window = Window::Day("2026-11-20".parse().unwrap());
        !state.fold.zone_moved()
            && state
                .fold
                .tables()
                .ranking(Board::Products, "", window)
                .is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_made_anew_outlive_a_restart_although_nothing_is_sold_any_more() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside
        .confirmed(&Sold::new("store-kyoto", "ann", &[("v60", 1)]))
        .await;
    outside.settle(&running).await;
    outside.store("store-kyoto", "Europe/Lisbon", 2).await;
    outside.settle(&running).await;
    let stop = CancellationToken::new();
    let snapshots = Snapshots {
        live: Arc::clone(&running.boards.live),
        pool: running.boards.pool.clone(),
        admin: outside.topics.admin().clone(),
        topics: outside.names(),
        instance: "one".to_owned(),
        interval: Duration::from_millis(100),
    };
    let taking = snapshots.run(stop.clone());
    let course = async {
        let stale = running.bytes();
        let stored = async || {
            let stored = snapshot_store::newest(&running.boards.pool).await.unwrap();
            stored.map(|stored| stored.bytes)
        };
        eventually("the boards of before are stored", async || {
            stored().await.as_ref() == Some(&stale)
        })
        .await;
        assert!(rebuild(&running, Switch::Always).await.switched);
        eventually("the new boards are stored", async || {
            stored().await.is_some_and(|bytes| bytes != stale)
        })
        .await;
        stop.cancel();
    };
    tokio::join!(taking, course);
    let anew = running.bytes();
    running.stop().await;
    let again = outside.start("again").await;
    outside.settle(&again).await;
    assert_eq!(again.bytes(), anew);
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_that_stand_still_for_good_answer_whoever_has_them_stand_still() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    eventually("the boards are ready", async || {
        running.context.health().not_ready().is_empty()
    })
    .await;
    // More than may be left out.
    let customers: Vec<String> = (0..1_001).map(|number| format!("c-{number}")).collect();
    let spoilt = customers.iter().map(|id| outside.unreadable(id));
    futures_util::future::join_all(spoilt).await;
    eventually("the boards stand still", async || {
        !running.context.health().not_ready().is_empty()
    })
    .await;
    let compared = rebuild(&running, Switch::Never);
    let compared = tokio::time::timeout(Duration::from_secs(20), compared).await;
    assert!(!compared.expect("somebody answers").switched);
}
