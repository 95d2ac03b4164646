//! Kafka's jars and configuration: what has to be there before a broker can start.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use tokio::process::Command;

use super::acl::{ADMIN, BROKER};
use super::folder::{Folder, fingerprint, write_atomically};
use super::ports::Ports;
use super::secrets::Secrets;

/// The broker's version, as in `cli/kafka/pom.xml`.
pub const KAFKA_VERSION: &str = "4.3.1";

const JARS: &str = include_str!("../../kafka/pom.xml");
const LOGGING: &str = include_str!("../../kafka/log4j2.properties");
const JAVA_VERSION_MIN: u32 = 17;

/// Everything on this machine that runs Kafka; shared by all data folders.
#[derive(Clone, Debug)]
pub struct Jars {
    /// The Java program.
    pub java: PathBuf,
    /// The jars, in an order that never changes: the class archive is bound to this exact text.
    pub class_path: String,
    /// The logging configuration.
    pub logging: PathBuf,
    /// Classes as an earlier broker left them; half the time of a start.
    pub archive: PathBuf,
}

// === impl Jars ===

impl Jars {
    /// Finds Java and fetches the jars once per user of this machine.
    ///
    /// # Errors
    /// When there is no Java, no Maven, or no way to its repository.
    pub async fn provide() -> anyhow::Result<Self> {
        let (java, release) = find_java()?;
        let folder = cache_folder()?.join(format!("kafka-{KAFKA_VERSION}"));
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let library = folder.join("lib");
        fetch(&folder, &library).await?;
        let logging = folder.join("log4j2.properties");
        if fs::read_to_string(&logging).ok().as_deref() != Some(LOGGING) {
            write_atomically(&logging, LOGGING.as_bytes(), 0o644)?;
        }
        let class_path = class_path(&library)?;
        let sum = fingerprint(format!("{release}\n{class_path}").as_bytes());
        Ok(Self {
            java,
            class_path,
            logging,
            archive: folder.join(format!("classes-{sum:016x}.jsa")),
        })
    }

    /// A run of one of Kafka's tools: quick to start, quiet.
    #[must_use]
    pub fn tool(&self, class: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xlog:disable",
        ]);
        if self.archive.is_file() {
            command.arg(format!("-XX:SharedArchiveFile={}", self.archive.display()));
        }
        command
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                self.logging.display()
            ))
            .arg("-Dkafka.log.level=error")
            .args(["-cp", &self.class_path, class]);
        command
    }
}

/// Writes the broker's and the tools' configuration anew; both hold passwords.
///
/// # Errors
/// When the file system refuses.
pub fn write_configuration(folder: &Folder, ports: Ports, secrets: &Secrets) -> anyhow::Result<()> {
    fs::create_dir_all(folder.kafka()).context("make Kafka's folder")?;
    let text = server_properties(folder, ports, secrets);
    write_atomically(&server_file(folder), text.as_bytes(), 0o600)?;
    let admin = client_properties(ADMIN, secrets.kafka(ADMIN));
    write_atomically(&admin_file(folder), admin.as_bytes(), 0o600)
}

/// The broker's configuration.
#[must_use]
pub fn server_file(folder: &Folder) -> PathBuf {
    folder.kafka().join("server.properties")
}

/// The tools' configuration, as super user.
#[must_use]
pub fn admin_file(folder: &Folder) -> PathBuf {
    folder.kafka().join("admin.properties")
}

/// A client's configuration in the form that Kafka's tools read.
#[must_use]
pub fn client_properties(user: &str, password: &str) -> String {
    format!(
        "security.protocol=SASL_PLAINTEXT\n\
         sasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"{user}\" password=\"{password}\";\n"
    )
}

fn server_properties(folder: &Folder, ports: Ports, secrets: &Secrets) -> String {
    let (port, controller) = (ports.kafka(), ports.controller());
    let data = folder.kafka().join("data");
    let data = data.display();
    let password = secrets.kafka(BROKER);
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.broker.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.broker.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{BROKER}\" password=\"{password}\";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{BROKER}\" password=\"{password}\" user_{BROKER}=\"{password}\";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{BROKER};User:{ADMIN}
allow.everyone.if.no.acl.found=false
log.dirs={data}
{FIXED_PROPERTIES}"
    )
}

/// One node, few partitions, and short sessions: the new life of a killed broker is refused until
/// its dead one's session has ended, which would take nine seconds by default.
const FIXED_PROPERTIES: &str = "\
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
";

/// Copies the jars by Maven. The marker is written last, so that an interrupted copy is made again.
async fn fetch(folder: &Path, library: &Path) -> anyhow::Result<()> {
    // Two first `up`s at once: the second waits here and then finds everything done.
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .context("open the lock of Kafka's jars")?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _held = lock.context("wait for the lock of Kafka's jars")??;
    let marker = folder.join(format!("complete-{:016x}", fingerprint(JARS.as_bytes())));
    if marker.is_file() {
        return Ok(());
    }
    let project = folder.join("pom.xml");
    write_atomically(&project, JARS.as_bytes(), 0o644)?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "-ntp", "-f"])
        .arg(&project)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", library.display()))
        .kill_on_drop(true)
        .output()
        .await
        .context("run mvn (install the package maven)")?;
    if !output.status.success() {
        bail!(
            "fetch Kafka's jars by Maven: {}",
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
    write_atomically(&marker, b"", 0o644)
}

fn class_path(library: &Path) -> anyhow::Result<String> {
    let entries = fs::read_dir(library).context("list Kafka's jars")?;
    let mut jars: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned))
        .filter(|path| path.ends_with(".jar"))
        .collect();
    jars.sort();
    Ok(jars.join(":"))
}

fn cache_folder() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    named
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))
        .map(|path| path.join("brewline"))
        .ok_or_else(|| anyhow!("no home folder to keep Kafka's jars in: set XDG_CACHE_HOME"))
}

/// A Java that is new enough, and the text that tells it from any other.
fn find_java() -> anyhow::Result<(PathBuf, String)> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&search).map(|folder| folder.join("java"));
    let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten();
    let installed = installed.filter_map(|entry| Some(entry.ok()?.path().join("bin/java")));
    in_path
        .chain(installed)
        .filter_map(|java| fs::canonicalize(java).ok())
        .find_map(|java| {
            let release = java.parent()?.parent()?.join("release");
            let release = fs::read_to_string(release).ok()?;
            (java_version(&release)? >= JAVA_VERSION_MIN).then_some((java, release))
        })
        .ok_or_else(|| anyhow!("install a headless Java, version {JAVA_VERSION_MIN} or later"))
}

/// The major version from a Java's `release` file.
fn java_version(release: &str) -> Option<u32> {
    let line = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    line.split(['.', '"', '-', '+']).next()?.parse().ok()
}
