//! Boards made anew beside the live ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brewline_leaderboard::app::rebuild::{Progress, Rebuilt, Switch};
use brewline_leaderboard_domain::{Board, Window};
use brewline_test_support::eventually;
use tokio::sync::watch;
use tokio::task::JoinSet;

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
