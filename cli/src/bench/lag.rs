//! How far behind the load everybody is: consumers of the log, mails, and the boards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brewline_kafka::{Admin, TopicPartition};
use brewline_postgres::{Error, Pool, Row};
use brewline_proto::leaderboard::v1::leaderboard_service_client::LeaderboardServiceClient;
use brewline_proto::leaderboard::v1::{BoardsPosition, GetRevenueRequest};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::outcomes;

/// Who may be behind, and where to ask.
#[derive(Debug)]
pub struct Followers {
    /// A pool a service that has a database.
    pub databases: BTreeMap<&'static str, Pool>,
    /// The broker.
    pub broker: Admin,
    /// The leaderboard, where there is one.
    pub leaderboard: Option<Channel>,
    /// The stores whose orders are to be closed.
    pub stores: Vec<String>,
}

/// Records or mails still to be handled, by who has to.
pub type Behind = BTreeMap<String, i64>;

/// How often everybody is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long it took after the load until nobody was behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Everybody; none where somebody still was when waiting ended.
    pub all: Option<Duration>,
    /// By who was behind. Whoever still was, or could not be asked, is missing.
    pub by: BTreeMap<String, Duration>,
}

// === impl Followers ===

impl Followers {
    /// Waits until every order is closed and nobody is behind, or the time is over.
    ///
    /// # Errors
    /// When the database of orders does not answer.
    pub async fn caught_up(&self, within: Duration) -> Result<Lag, Error> {
        let started = Instant::now();
        let mut lag = Lag::default();
        loop {
            let behind = self.behind().await?;
            let now = started.elapsed();
            for (who, left) in &behind {
                if *left > 0 {
                    lag.by.remove(who);
                } else {
                    lag.by.entry(who.clone()).or_insert(now);
                }
            }
            if behind.values().all(|left| *left == 0) {
                lag.all = Some(now);
                return Ok(lag);
            }
            if now >= within {
                return Ok(lag);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn behind(&self) -> Result<Behind, Error> {
        let mut behind = Behind::new();
        let mut places: Vec<Position> = Vec::new();
        for (service, pool) in &self.databases {
            places.extend(positions(pool).await.unwrap_or_default());
            if *service == "notification"
                && let Some(mails) = mails(pool).await
            {
                behind.insert("mails".to_owned(), mails);
            }
            if *service == "order" {
                let open = outcomes::open(pool, &self.stores).await?;
                behind.insert("orders".to_owned(), open);
            }
        }
        if let Some(channel) = &self.leaderboard {
            places.extend(boards(channel.clone()).await.unwrap_or_default());
        }
        let topics: BTreeSet<&str> = places.iter().map(|(place, ..)| &*place.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let ends = self.broker.end_offsets(&topics).await.unwrap_or_default();
        for (place, consumer, next) in places {
            // A partition that cannot be asked counts as one record behind.
            let left = ends.get(&place).map_or(1, |end| (end - next).max(0));
            *behind.entry(consumer).or_default() += left;
        }
        Ok(behind)
    }
}

type Position = (TopicPartition, String, i64);

/// Every consumer's position; nothing of a service that keeps none.
async fn positions(pool: &Pool) -> Option<Vec<Position>> {
    let sql = "select topic, partition, consumer, next_offset from consumer_position";
    let rows = pool.get().await.ok()?.query(sql, &[]).await.ok()?;
    let position = |row: &Row| {
        let place = TopicPartition::new(row.get::<_, String>(0), row.get(1));
        (place, row.get(2), row.get(3))
    };
    Some(rows.iter().map(position).collect())
}

/// Mails that are to be sent.
async fn mails(pool: &Pool) -> Option<i64> {
    let sql = "select count(*) from delivery where state = 'pending'";
    let row = pool.get().await.ok()?.query_one(sql, &[]).await.ok()?;
    Some(row.get(0))
}

/// How far the boards are. Their service keeps no table of it: each replica reads for itself.
async fn boards(channel: Channel) -> Option<Vec<Position>> {
    let mut client = LeaderboardServiceClient::new(channel);
    let answer = client.get_revenue(GetRevenueRequest {}).await.ok()?;
    let positions = answer.into_inner().positions.into_iter();
    let position = |found: BoardsPosition| {
        let place = TopicPartition::new(found.topic, found.partition);
        (place, "brewline.leaderboard".to_owned(), found.next_offset)
    };
    Some(positions.map(position).collect())
}
