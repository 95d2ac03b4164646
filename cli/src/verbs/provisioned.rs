//! `provisioned`: waits until the servers have what one service needs of them.
//!
//! A service that starts before its role, its topics and its rights are there is refused, ends, and is
//! started again later and later. In a cluster this runs before it, with the service's own login.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use brewline_kafka::{Admin, Config};
use brewline_postgres::Pool;
use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::time::Instant;

use super::provision::patiently;
use crate::stack::acl::SERVICE_USERS;
use crate::stack::topics::EVENT_TOPICS;

/// Arguments of `provisioned`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Whose topics must be there, for its own login
    #[arg(value_parser = PossibleValuesParser::new(SERVICE_USERS))]
    service: String,
    /// The service's database
    #[arg(long, env = "BREWLINE_POSTGRES_URL", hide_env_values = true)]
    postgres_url: String,
    /// Kafka
    #[arg(long, env = "BREWLINE_KAFKA_BROKERS")]
    kafka_brokers: String,
    /// The service's user there
    #[arg(long, env = "BREWLINE_KAFKA_USERNAME")]
    kafka_username: Option<String>,
    /// Its password
    #[arg(long, env = "BREWLINE_KAFKA_PASSWORD", hide_env_values = true)]
    kafka_password: Option<String>,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(..=3600))]
    within: u64,
}

/// Waits for the service's database, topics and rights.
///
/// # Errors
/// When they are not there in time.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + Duration::from_secs(arguments.within);
    patiently(deadline, async || arguments.database().await).await?;
    patiently(deadline, async || arguments.topics().await).await?;
    Ok(ExitCode::SUCCESS)
}

// === impl Arguments ===

impl Arguments {
    async fn database(&self) -> anyhow::Result<()> {
        let config = brewline_postgres::Config::from_url(&self.postgres_url, 1)
            .context("read the address of PostgreSQL")?;
        let pool = Pool::new(&config);
        let entered = pool.check_writable().await;
        pool.close();
        entered.context("enter the database")
    }

    /// A broker tells a user only of topics that it has a right to.
    async fn topics(&self) -> anyhow::Result<()> {
        let mut config = Config::plain(&self.kafka_brokers);
        if let (Some(username), Some(password)) = (&self.kafka_username, &self.kafka_password) {
            config = config.with_login(username, password);
        }
        let admin = Admin::new(&config).context("make a client of Kafka")?;
        let seen = admin.topics().await.context("list the topics of Kafka")?;
        let missing = needed(&self.service)
            .into_iter()
            .filter(|name| !seen.contains_key(name));
        let missing: Vec<String> = missing.collect();
        if !missing.is_empty() {
            bail!(
                "not there, or not for {}: {}",
                self.service,
                missing.join(", ")
            );
        }
        Ok(())
    }
}

/// The topics that a service writes or reads, and the dead letters it may leave.
fn needed(service: &str) -> Vec<String> {
    let topics = EVENT_TOPICS.iter().flat_map(|topic| {
        let consumes = topic.consumers.contains(&service);
        let own = (topic.owner == service || consumes).then(|| topic.name.to_owned());
        let dead = consumes.then(|| topic.dead_letter());
        [own, dead]
    });
    topics.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_waits_for_what_it_reads_writes_and_leaves_behind() {
        assert_eq!(needed("payment"), ["brewline.payment.events.v1"]);
        let inventory = needed("inventory");
        assert!(inventory.contains(&"brewline.order.events.v1.dead-letter".to_owned()));
        assert!(inventory.contains(&"brewline.catalogue.events.v1".to_owned()));
        assert!(!inventory.contains(&"brewline.payment.events.v1".to_owned()));
    }
}
