//! A board and its changes: whole, when it has changed, at most five times a second.

use std::time::Duration;

use brewline_proto::leaderboard::v1 as wire;
use brewline_server::status;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;

use super::grpc::BoardsGrpc;
use super::parse::{Asked, Selector};
use super::show::Part;

/// The shortest time between two states.
const BETWEEN: Duration = Duration::from_millis(200);
/// What trends changes by time alone.
const TRENDS_AGE: Duration = Duration::from_secs(60);

/// One caller's view of a board.
struct Watcher {
    boards: BoardsGrpc,
    selector: Selector,
    limit: usize,
    changes: watch::Receiver<u64>,
    /// The position the caller has seen; then the board.
    after: String,
    sent: Option<(wire::Board, Instant)>,
    _place: OwnedSemaphorePermit,
}

/// The board now, unless the caller has just that, and then whenever it has changed.
pub(super) fn stream(
    boards: BoardsGrpc,
    selector: Selector,
    limit: usize,
    after: String,
) -> Result<BoxStream<'static, Result<wire::WatchBoardResponse, Status>>, Status> {
    let place = std::sync::Arc::clone(&boards.watchers).try_acquire_owned();
    let place = place.map_err(|_| {
        let detail = "too many watch boards here at the moment";
        status::busy("overloaded", detail, status::COME_AGAIN)
    })?;
    let mut changes = boards.live.changes();
    changes.mark_changed();
    let watcher = Watcher {
        boards,
        selector,
        limit,
        changes,
        after,
        sent: None,
        _place: place,
    };
    let states = stream::unfold(watcher, |mut watcher| async move {
        let next = watcher.next().await?;
        Some((next, watcher))
    });
    Ok(states.boxed())
}

// === impl Watcher ===

impl Watcher {
    async fn next(&mut self) -> Option<Result<wire::WatchBoardResponse, Status>> {
        loop {
            if !self.turn().await {
                return None;
            }
            let board = match self.boards.board(&self.selector, &Part::Top(self.limit)) {
                Ok((board, _)) => board,
                Err(status) => return Some(Err(status)),
            };
            if self.is_news(&board) {
                self.sent = Some((board.clone(), Instant::now()));
                return Some(Ok(wire::WatchBoardResponse { board: Some(board) }));
            }
        }
    }

    /// Waits for something to have changed. False when it is over.
    async fn turn(&mut self) -> bool {
        let rested = self.sent.as_ref().map(|(_, at)| *at + BETWEEN);
        let shutdown = self.boards.shutdown.clone();
        let age = async {
            match self.selector.board {
                Asked::Trending => tokio::time::sleep(TRENDS_AGE).await,
                Asked::Ranked(_) => std::future::pending().await,
            }
        };
        let changed = tokio::select! {
            () = shutdown.cancelled() => return false,
            changed = self.changes.changed() => changed.is_ok(),
            () = age => true,
        };
        if let Some(rested) = rested {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep_until(rested) => {}
            }
        }
        self.changes.mark_unchanged();
        changed
    }

    fn is_news(&mut self, board: &wire::Board) -> bool {
        match &self.sent {
            None if board.position == self.after => {
                // What the caller has: from here on only differences count.
                self.sent = Some((board.clone(), Instant::now()));
                false
            }
            None => true,
            Some((sent, _)) => sent.rows != board.rows || sent.starts != board.starts,
        }
    }
}
