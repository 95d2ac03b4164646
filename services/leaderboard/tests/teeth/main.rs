//! Planted bugs are noticed: boards that differ from a plain sum of the log.
//! A program of its own, since a planted bug is the whole process's.
#![cfg(feature = "fault-injection")]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and needs a part of what the others need"
)]

#[path = "../it/outside.rs"]
mod outside;

use brewline_failpoint::plant;
use brewline_leaderboard_domain::{Board, Window};

use outside::{Outside, Sold, Sums};

#[tokio::test(flavor = "multi_thread")]
async fn planted_bugs_make_the_boards_differ_from_the_log() {
    let outside = Outside::new().await;
    let kept = Sold::new("store-kyoto", "ann", &[("v60", 1)]);
    let undone = Sold::new("store-oslo", "bob", &[("siphon", 2)]);
    outside.confirmed(&kept).await;
    outside.confirmed(&undone).await;
    outside.cancelled(&undone).await;
    let mut sums = Sums::new();
    kept.add_to(&mut sums, 1);
    for bug in ["boards-forget-take-back", "boards-count-twice"] {
        plant(bug);
        let running = outside.start(bug).await;
        outside.settle(&running).await;
        assert_ne!(running.sums(), sums, "{bug} was not noticed");
        running.stop().await;
    }
    plant("boards-utc-date");
    let running = outside.start("utc").await;
    outside.settle(&running).await;
    plant("");
    let state = running.boards.live.read();
    let tomorrow = Window::Day("2026-11-21".parse().unwrap());
    assert!(
        state
            .fold
            .tables()
            .ranking(Board::Products, "", tomorrow)
            .is_none(),
        "boards-utc-date was not noticed"
    );
}
