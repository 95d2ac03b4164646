use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_proto::leaderboard::v1 as wire;
use tonic::transport::Endpoint;
use wire::leaderboard_service_client::LeaderboardServiceClient;

/// One board of one window, of one store or of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoardKey {
    /// `coffee-lovers`, `origins`, `methods`, `foods` or `products`.
    pub board: String,
    /// The store; empty: the whole chain.
    pub store: String,
    /// `day`, `week`, `month` or `all`.
    pub window: String,
    /// The window's first day, as `2026-01-31`; empty for `all`.
    pub starts: String,
}

/// How a member of a board stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Units sold.
    pub units: i64,
    /// The greatest event time of any change to it: who reached a score first stands before.
    pub reached: Timestamp,
}

/// Where a product stands that was sold lately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SoldLately {
    /// Five minutes, counted since 1970.
    pub bucket: i64,
    /// The store; empty: the whole chain.
    pub store: String,
    /// The product.
    pub product: String,
}

/// All boards, as far as the log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boards {
    /// The next offset of each topic and partition that is not in them yet.
    pub positions: BTreeMap<(String, i32), i64>,
    /// Every member with a score, by board.
    pub scores: BTreeMap<BoardKey, BTreeMap<String, Score>>,
    /// Revenue in minor units, by store and currency.
    pub revenue: BTreeMap<(String, String), i64>,
    /// What `trending` is weighed from.
    pub lately: BTreeMap<SoldLately, Score>,
}

/// How long the service may take to tell all of it.
const DUMPED_WITHIN: Duration = Duration::from_secs(60);
/// Rows of one message: the service says how many it sends, this is far above it.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Every board, as of one moment, from the service at `grpc` (`host:port` or a URL).
pub(super) async fn dumped(grpc: &str) -> Result<Boards, String> {
    let dump = tokio::time::timeout(DUMPED_WITHIN, dump(grpc)).await;
    let dump = dump.map_err(|_| format!("no answer within {DUMPED_WITHIN:?}"));
    dump.and_then(|dump| dump)
        .map_err(|why| format!("leaderboard: {why}"))
}

async fn dump(grpc: &str) -> Result<Boards, String> {
    let address = if grpc.contains("://") {
        grpc.to_owned()
    } else {
        format!("http://{grpc}")
    };
    let endpoint = Endpoint::from_shared(address).map_err(|error| error.to_string())?;
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let mut client =
        LeaderboardServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let asked = client.dump_boards(wire::DumpBoardsRequest::default()).await;
    let mut parts = asked.map_err(|status| status.to_string())?.into_inner();
    let mut boards = Boards::default();
    while let Some(part) = parts.message().await.map_err(|status| status.to_string())? {
        boards.take(part);
    }
    Ok(boards)
}

// === impl Boards ===

impl Boards {
    fn take(&mut self, part: wire::DumpBoardsResponse) {
        for position in part.positions {
            let place = (position.topic, position.partition);
            self.positions.insert(place, position.next_offset);
        }
        for revenue in part.revenue {
            let key = (revenue.store_id, revenue.currency);
            self.revenue.insert(key, revenue.amount_minor);
        }
        for count in part.trending {
            let key = SoldLately {
                bucket: count.bucket,
                store: count.store_id,
                product: count.product_id,
            };
            let score = score(count.units, count.reached_at.as_ref());
            self.lately.insert(key, score);
        }
        for row in part.rows {
            let window = named(row.window());
            let key = BoardKey {
                board: row.board,
                store: row.store_id,
                window: window.to_owned(),
                starts: row.starts,
            };
            let score = score(row.score, row.reached_at.as_ref());
            self.scores.entry(key).or_default().insert(row.id, score);
        }
    }
}

fn score(units: i64, reached: Option<&prost_types::Timestamp>) -> Score {
    Score {
        units,
        reached: reached.map_or(Timestamp::EPOCH, super::facts::instant),
    }
}

const fn named(window: wire::Window) -> &'static str {
    match window {
        wire::Window::Day => "day",
        wire::Window::Week => "week",
        wire::Window::Month | wire::Window::Unspecified => "month",
        wire::Window::All => "all",
    }
}
