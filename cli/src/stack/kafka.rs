//! One broker in KRaft mode: formatted once, kept running, given its topics and rights.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use brewline_kafka::{Admin, Config, Password, Topic};
use tokio::process::Command;
use tokio::time::Instant;

use super::acl::{self, Grant, OPERATOR};
use super::endpoints::KafkaLogin;
use super::folder::{Folder, fingerprint, write_atomically};
use super::kafka_files::{self, Jars, KAFKA_VERSION};
use super::launch::Launch;
use super::plan::{Addresses, Blueprint, Probe, Unit};
use super::ports::Ports;
use super::secrets::Secrets;
use super::topics::{PARTITIONS, TopicToMake, topics_to_make};

/// How long the broker may take to go by new rights, and how often it is asked.
const GRANTED_WITHIN: Duration = Duration::from_secs(20);
const GRANTED_CHECK: Duration = Duration::from_millis(20);

/// How the broker's Java compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// All of it: what is measured must be.
    Full,
    /// The quick one only: starts faster, costs more under load. For tests.
    Quick,
}

/// A broker on a data folder.
#[derive(Clone, Debug)]
pub struct Broker {
    folder: Folder,
    ports: Ports,
    jars: Jars,
    compiler: Compiler,
}

// === impl Broker ===

impl Broker {
    /// Fetches what is missing, writes the configuration, formats the folder once.
    ///
    /// # Errors
    /// When the jars cannot be had or the folder cannot be formatted.
    pub async fn prepare(
        folder: &Folder,
        ports: Ports,
        secrets: &Secrets,
        compiler: Compiler,
    ) -> anyhow::Result<Self> {
        let broker = Self {
            folder: folder.clone(),
            ports,
            jars: Jars::provide().await?,
            compiler,
        };
        kafka_files::write_configuration(folder, ports, secrets)?;
        if !broker.data().join("meta.properties").is_file() {
            broker.format(secrets).await?;
        }
        Ok(broker)
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.kafka())
    }

    /// The broker as a unit to be kept running.
    #[must_use]
    pub fn unit(&self) -> Unit {
        let own = self.clone();
        Unit {
            name: "kafka".to_owned(),
            instances: 1,
            instances_max: 1,
            version: KAFKA_VERSION.to_owned(),
            blueprint: Rc::new(move |instance| Ok(own.blueprint(instance))),
        }
    }

    /// Makes topics (as `login`, a super user), users and rights once; `with_tests` gives the user for
    /// tests its own. A folder of an earlier version gets what it lacks, and so does one whose topics a
    /// power cut has taken: the broker leaves it to the system when its own log reaches the disk.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn provision(
        &self,
        login: &KafkaLogin,
        secrets: &Secrets,
        with_tests: bool,
    ) -> anyhow::Result<()> {
        let (topics, grants) = (topics_to_make(), acl::grants(with_tests));
        let sum = fingerprint(format!("{topics:?}{grants:?}").as_bytes());
        let marker = self.folder.kafka().join(format!("provisioned-{sum:016x}"));
        if marker.is_file() && are_there(login, &topics).await? {
            return Ok(());
        }
        make_topics(login, TopicShape::default()).await?;
        make_users(login, secrets, &grants).await?;
        write_atomically(&marker, b"", 0o644)
    }

    fn data(&self) -> PathBuf {
        self.folder.kafka().join("data")
    }

    async fn format(&self, secrets: &Secrets) -> anyhow::Result<()> {
        // A folder half formatted has no meta.properties and would be refused.
        fs::remove_dir_all(self.data()).ok();
        let mut command = self.jars.tool("kafka.tools.StorageTool");
        command
            .args(["format", "--standalone", "--ignore-formatted", "-t"])
            .arg(secrets.kafka_cluster_id())
            .arg("-c")
            .arg(kafka_files::server_file(&self.folder));
        for (user, password) in secrets.kafka_users() {
            let scram = format!("SCRAM-SHA-512=[name={user},password={password}]");
            command.args(["--add-scram", &scram]);
        }
        succeed(command).await.context("format Kafka's folder")
    }

    fn blueprint(&self, instance: u16) -> Blueprint {
        let port = self.ports.kafka();
        let mut launch = Launch::new(&self.jars.java, self.folder.log("kafka", instance))
            .arguments([
                "-Xmx384m",
                "-XX:+UseSerialGC",
                "-XX:+ExitOnOutOfMemoryError",
            ])
            .arguments(["-Xlog:disable", "-Xlog:all=error:stderr"]);
        if self.compiler == Compiler::Quick {
            launch = launch.arguments(["-XX:TieredStopAtLevel=1"]);
        }
        launch = self.with_archive(launch);
        let logging = self.jars.logging.display();
        launch.stop_grace = Duration::from_secs(30);
        Blueprint {
            launch: launch
                .arguments([format!("-Dlog4j2.configurationFile={logging}")])
                .arguments(["-Dkafka.log.level=warn", "-cp", &self.jars.class_path])
                .arguments(["kafka.Kafka".to_owned()])
                .arguments([kafka_files::server_file(&self.folder).display().to_string()]),
            addresses: Addresses {
                http: Some(format!("kafka://127.0.0.1:{port}")),
                ..Addresses::default()
            },
            probe: Probe::Kafka(port),
        }
    }

    /// Uses the class archive, or has one written at exit. It gets its real name only after a clean
    /// exit: Java crashes at start on one that was cut short.
    fn with_archive(&self, mut launch: Launch) -> Launch {
        let archive = &self.jars.archive;
        if archive.is_file() {
            return launch.arguments([format!("-XX:SharedArchiveFile={}", archive.display())]);
        }
        let temporary = archive.with_extension(format!("new-{}", std::process::id()));
        let flag = format!("-XX:ArchiveClassesAtExit={}", temporary.display());
        launch.left_behind = Some((temporary, archive.clone()));
        launch.arguments([flag])
    }
}

/// What topics are made like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicShape {
    /// Partitions of each.
    pub partitions: u16,
    /// Copies of each partition.
    pub replication: u16,
}

impl Default for TopicShape {
    /// As one machine has use for.
    fn default() -> Self {
        Self {
            partitions: PARTITIONS,
            replication: 1,
        }
    }
}

/// Makes every topic that is missing, as a user that may.
///
/// # Errors
/// When the broker does not answer or refuses.
pub async fn make_topics(login: &KafkaLogin, shape: TopicShape) -> anyhow::Result<()> {
    let native = |topic| native(topic, shape);
    let topics: Vec<Topic> = topics_to_make().into_iter().map(native).collect();
    let made = admin(login)?.create_topics(&topics).await;
    made.context("make Kafka's topics")
}

async fn are_there(login: &KafkaLogin, topics: &[TopicToMake]) -> anyhow::Result<bool> {
    let found = admin(login)?.topics().await;
    let found = found.context("ask Kafka for its topics")?;
    Ok(topics.iter().all(|topic| found.contains_key(&topic.name)))
}

/// Sets the password of every user that has one among the secrets, and what each may do. The topics
/// must be there. Can be repeated.
///
/// # Errors
/// When the broker does not answer or refuses.
pub async fn make_users(
    login: &KafkaLogin,
    secrets: &Secrets,
    grants: &[Grant],
) -> anyhow::Result<()> {
    let admin = admin(login)?;
    let users = secrets.kafka_users().map(|(user, password)| Password {
        user: user.to_owned(),
        password: password.to_owned(),
    });
    let users: Vec<Password> = users.collect();
    // A managed Kafka has its users from somewhere else, and refuses even to be asked for none.
    if !users.is_empty() {
        let made = admin.set_passwords(users).await;
        made.context("make Kafka's users")?;
    }
    let acls = grants.iter().flat_map(Grant::acls).collect();
    admin.grant(acls).await.context("grant Kafka's rights")?;
    match secrets.kafka(OPERATOR) {
        "" => Ok(()),
        password => {
            until_granted(&KafkaLogin {
                brokers: login.brokers.clone(),
                username: Some(OPERATOR.to_owned()),
                password: Some(password.to_owned()),
            })
            .await
        }
    }
}

/// Waits until the broker goes by the new rights. It learns them all at once, a moment after its
/// controller took them; a service that were refused in between would end.
async fn until_granted(operator: &KafkaLogin) -> anyhow::Result<()> {
    let admin = admin(operator)?;
    let deadline = Instant::now() + GRANTED_WITHIN;
    loop {
        let seen = admin.topics().await;
        if seen.is_ok_and(|seen| {
            topics_to_make()
                .iter()
                .all(|topic| seen.contains_key(&topic.name))
        }) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("Kafka does not go by its new rights after {GRANTED_WITHIN:?}");
        }
        tokio::time::sleep(GRANTED_CHECK).await;
    }
}

fn admin(login: &KafkaLogin) -> anyhow::Result<Admin> {
    let mut config = Config::plain(&login.brokers);
    if let (Some(username), Some(password)) = (&login.username, &login.password) {
        config = config.with_login(username, password);
    }
    Admin::new(&config).context("make a client of Kafka")
}

fn native(topic: TopicToMake, shape: TopicShape) -> Topic {
    let mut plain = Topic::new(topic.name, i32::from(shape.partitions));
    plain.replication = i32::from(shape.replication);
    let settings = topic.config.into_iter();
    settings.fold(plain, |topic, (key, value)| topic.with(key, value))
}

/// Runs a tool to its end. Its output may hold salted passwords: it is shown on failure only.
async fn succeed(mut command: Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("start a tool of Kafka")?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() {
        output.stdout
    } else {
        output.stderr
    };
    Err(anyhow!(
        "{}",
        String::from_utf8_lossy(&said).trim().to_owned()
    ))
}
