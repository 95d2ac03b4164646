//! Where a running stack keeps its evidence.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use brewline_chaos::evidence::{MARGIN, Sources};
use brewline_kernel::Timestamp;
use brewline_postgres::Pool;

use crate::stack::Endpoints;
use crate::stack::postgres::DATABASES;

/// What a reading of evidence shall take in.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    /// Orders placed before this instant are left out.
    pub since: Timestamp,
    /// What clients wrote down.
    pub journal: Option<&'a Path>,
    /// A parked saga and an unexpected dead letter are failures.
    pub healing_promised: bool,
    /// Events that are to be dead letters.
    pub expected_dead_letters: std::collections::BTreeSet<uuid::Uuid>,
    /// The folder of the services' log files.
    pub log_files: Option<&'a Path>,
    /// What changed so long before the cut is read as well; unless told, what clocks may differ by.
    pub margin: Option<std::time::Duration>,
}

/// The evidence of the stack behind `endpoints`.
///
/// # Errors
/// When an address is missing.
pub fn of(endpoints: &Endpoints, scope: &Scope<'_>) -> anyhow::Result<Sources> {
    let mut databases = std::collections::BTreeMap::new();
    // An older stack lacks the younger services.
    let named = |service: &&str| endpoints.evidence.postgres.contains_key(*service);
    for service in DATABASES.into_iter().filter(named) {
        databases.insert(service, database(endpoints, service)?);
    }
    Ok(Sources {
        databases,
        away: std::collections::BTreeMap::new(),
        kafka: kafka(endpoints),
        processor: processor(endpoints)?,
        leaderboard: leaderboard(endpoints),
        journal: scope.journal.map(Path::to_owned),
        since: scope.since,
        healing_promised: scope.healing_promised,
        expected_dead_letters: scope.expected_dead_letters.clone(),
        log_files: scope.log_files.map(Path::to_owned),
        margin: scope.margin.unwrap_or(MARGIN),
    })
}

/// A service's database, read-only.
///
/// # Errors
/// When the stack names none.
pub fn database(endpoints: &Endpoints, service: &str) -> anyhow::Result<Pool> {
    let url = endpoints.evidence.postgres.get(service);
    let url = url.ok_or_else(|| anyhow!("the stack names no database of {service}"))?;
    let config =
        brewline_postgres::Config::from_url(url, 2).context("read a database's address")?;
    // A checker reads whole tables: that takes longer than any service may wait.
    let patient = config.answer_within(std::time::Duration::from_secs(300));
    Ok(Pool::new(&patient))
}

/// The broker, as a user that may read everything.
#[must_use]
pub fn kafka(endpoints: &Endpoints) -> brewline_kafka::Config {
    let login = &endpoints.evidence.kafka;
    let config = brewline_kafka::Config::plain(&login.brokers);
    match (&login.username, &login.password) {
        (Some(user), Some(password)) => config.with_login(user, password),
        _ => config,
    }
}

fn leaderboard(endpoints: &Endpoints) -> Option<String> {
    let service = endpoints.services.get("leaderboard")?;
    service.grpc.clone()
}

fn processor(endpoints: &Endpoints) -> anyhow::Result<String> {
    let control = endpoints
        .services
        .get("sandbox")
        .and_then(|sandbox| sandbox.control.clone());
    control
        .or_else(|| endpoints.sandbox.clone())
        .ok_or_else(|| anyhow!("the stack names no card processor"))
}
