use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::Pool;
use uuid::Uuid;

/// What changed shortly before the cut is read as well: clocks differ, and a row is written a moment
/// before or after the event that it belongs to. As much as machines that keep time may differ.
pub const MARGIN: Duration = Duration::from_secs(60);

/// Where the evidence is.
#[derive(Debug)]
pub struct Sources {
    /// A connection pool a service that has a database.
    pub databases: BTreeMap<&'static str, Pool>,
    /// Databases that are not asked, and why; reading adds those that do not answer.
    pub away: BTreeMap<&'static str, String>,
    /// The broker, as a user that may read every topic.
    pub kafka: brewline_kafka::Config,
    /// The card processor, `http://host:port`; the mailbox and the webhook receiver are behind the
    /// same address.
    pub processor: String,
    /// The leaderboard's gRPC address; none on a stack without one.
    pub leaderboard: Option<String>,
    /// Where clients wrote down what they asked for and were told.
    pub journal: Option<PathBuf>,
    /// Orders placed before this instant are left out.
    pub since: Timestamp,
    /// Whether healing was promised: a parked saga and an unexpected dead letter are then failures.
    pub healing_promised: bool,
    /// Events that are to be dead letters.
    pub expected_dead_letters: BTreeSet<Uuid>,
    /// The folder of the services' log files; none where they are not at hand.
    pub log_files: Option<PathBuf>,
    /// What changed so long before the cut is read as well.
    pub margin: Duration,
}

// === impl Sources ===

impl Sources {
    /// Asks every database at once, so that one that hangs is waited for once and not by each question.
    pub(super) async fn find_away(&mut self) {
        let asked = self.databases.iter().map(async |(service, pool)| {
            let why = pool.get().await.err()?;
            Some((*service, format!("database of {service}: {why}")))
        });
        let away = futures_util::future::join_all(asked).await;
        self.away.extend(away.into_iter().flatten());
    }
}
