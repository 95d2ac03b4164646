//! `provision`: gives PostgreSQL and Kafka of any making what brewline needs of them.
//!
//! The same code as behind `up`. Everything can be repeated: what is there already stays as it is, but
//! passwords become those that are given, so a rotation is one more run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::time::Instant;

use crate::exit::{Unknown, Usage};
use crate::stack::acl::{self, OPERATOR, SERVICE_USERS};
use crate::stack::endpoints::KafkaLogin;
use crate::stack::kafka::{TopicShape, make_topics, make_users};
use crate::stack::postgres::{DATABASES, VERIFY_ROLE, database};
use crate::stack::roles;
use crate::stack::secrets::Secrets;
use crate::stack::topics::PARTITIONS;
use crate::terminal;

/// How often a server that is not there yet is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Arguments of `provision`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to give
    #[arg(value_enum, default_value_t = Part::All)]
    part: Part,
    /// Passwords to set, as DIR/WHO/postgres-password and DIR/WHO/kafka-password. WHO is a service or
    /// `operator`, who reads everything; whoever has no file is left alone
    #[arg(
        long,
        value_name = "DIR",
        env = "BREWLINE_SECRETS_DIR",
        default_value = "/etc/brewline/secrets"
    )]
    secrets: PathBuf,
    /// PostgreSQL, as a role that may make roles and databases
    #[arg(
        long,
        value_name = "URL",
        env = "BREWLINE_POSTGRES_URL",
        hide_env_values = true
    )]
    postgres_url: Option<String>,
    /// Kafka
    #[arg(long, value_name = "HOST:PORT,…", env = "BREWLINE_KAFKA_BROKERS")]
    kafka_brokers: Option<String>,
    /// A SASL user there who may make topics, and for `users` do everything
    #[arg(long, value_name = "NAME", env = "BREWLINE_KAFKA_USERNAME")]
    kafka_username: Option<String>,
    /// Its password
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "BREWLINE_KAFKA_PASSWORD",
        hide_env_values = true
    )]
    kafka_password: Option<String>,
    /// Partitions of a topic that is made; those of one that is there never change
    #[arg(long, value_name = "N", default_value_t = PARTITIONS,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    partitions: u16,
    /// Copies of each partition of a topic that is made
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=9))]
    replication_factor: u16,
    /// How long servers may take to come up, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(..=3600))]
    within: u64,
}

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All of it
    All,
    /// Roles and databases of PostgreSQL
    Postgres,
    /// Topics of Kafka
    Topics,
    /// Users of Kafka and their rights; the topics must be there
    Users,
    /// The rights alone, where a managed Kafka has its users from somewhere else
    Rights,
}

/// Provisions the servers.
///
/// # Errors
/// When one does not come up in time or refuses.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let secrets = arguments.read_secrets()?;
    let deadline = Instant::now() + Duration::from_secs(arguments.within);
    let postgres = async {
        if !arguments.wants(Part::Postgres) {
            return Ok(());
        }
        let url = arguments.postgres_url.as_deref();
        let url = url.ok_or_else(|| missing("BREWLINE_POSTGRES_URL"))?;
        patiently(deadline, async || roles::provision(url, &secrets).await).await?;
        terminal::say("PostgreSQL has its roles and databases");
        anyhow::Ok(())
    };
    tokio::try_join!(postgres, arguments.kafka(&secrets, deadline))?;
    Ok(ExitCode::SUCCESS)
}

// === impl Arguments ===

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.part == part || self.part == Part::All
    }

    fn read_secrets(&self) -> anyhow::Result<Secrets> {
        let mut postgres = DATABASES.map(|name| (name, database(name))).to_vec();
        postgres.push((OPERATOR, VERIFY_ROLE.to_owned()));
        let kafka = [&SERVICE_USERS[..], &[OPERATOR]].concat();
        let secrets = Secrets::from_files(&self.secrets, &postgres, &kafka)?;
        if secrets.is_empty() && !matches!(self.part, Part::Topics | Part::Rights) {
            let shown = self.secrets.display();
            return Err(Usage(format!("{shown} holds no password of anybody")).into());
        }
        Ok(secrets)
    }

    async fn kafka(&self, secrets: &Secrets, deadline: Instant) -> anyhow::Result<()> {
        if self.wants(Part::Topics) {
            let (login, shape) = (self.login()?, self.shape());
            patiently(deadline, async || make_topics(&login, shape).await).await?;
            terminal::say("Kafka has its topics");
        }
        if self.wants(Part::Users) {
            let (login, grants) = (self.login()?, acl::grants(false));
            patiently(deadline, async || {
                make_users(&login, secrets, &grants).await
            })
            .await?;
            terminal::say("Kafka has its users and their rights");
        }
        if self.part == Part::Rights {
            let (login, grants) = (self.login()?, acl::grants(false));
            let nobody = Secrets::default();
            patiently(deadline, async || {
                make_users(&login, &nobody, &grants).await
            })
            .await?;
            terminal::say("Kafka's users have their rights");
        }
        Ok(())
    }

    fn login(&self) -> anyhow::Result<KafkaLogin> {
        let brokers = self.kafka_brokers.clone();
        Ok(KafkaLogin {
            brokers: brokers.ok_or_else(|| missing("BREWLINE_KAFKA_BROKERS"))?,
            username: self.kafka_username.clone(),
            password: self.kafka_password.clone(),
        })
    }

    const fn shape(&self) -> TopicShape {
        TopicShape {
            partitions: self.partitions,
            replication: self.replication_factor,
        }
    }
}

fn missing(name: &str) -> anyhow::Error {
    Usage(format!("{name} is not set")).into()
}

/// Tries until it succeeds or time is up. A server that starts refuses in many ways, which differ from
/// one kind of server to the next: none of them is told from a lasting one.
pub(super) async fn patiently<T>(
    deadline: Instant,
    attempt: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut said = String::new();
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(error).context(Unknown("gave up".to_owned()));
        }
        let text = format!("{error:#}");
        if text != said {
            terminal::note(format!("trying again: {text}"));
            said = text;
        }
        tokio::time::sleep(RETRY).await;
    }
}
