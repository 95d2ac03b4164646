//! PostgreSQL of the system's packages on a private folder, as an unprivileged user.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::Signal;
use tokio::process::Command;

use super::folder::{Folder, write_atomically};
use super::launch::Launch;
use super::plan::{Addresses, Blueprint, Probe, Unit};
use super::secrets::Secrets;

/// Services with a database of their own, called `brewline_<service>` like its role.
pub const DATABASES: [&str; 6] = [
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

/// The role that may read all databases and write none.
pub const VERIFY_ROLE: &str = "brewline_verify";

/// The super user of the private server.
pub const SUPER_USER: &str = "postgres";

/// The oldest major version that has the role `pg_read_all_data`.
const VERSION_MIN: u32 = 14;

/// Sized for two cores and some GiB shared with everything else of the stack. `synchronous_commit` stays
/// on, and so does `fsync` where orders are taken ([`Durability`]).
///
/// Tables grow fast while they are young, so they are analysed often; and by a small sample, since nearly
/// every row is found by its key: with the server's own 100, sampling took a seventh of all processor
/// time under load.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 4GB
work_mem = 8MB
maintenance_work_mem = 128MB
synchronous_commit = on
wal_level = replica
max_wal_senders = 4
wal_buffers = 16MB
min_wal_size = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 0
autovacuum_naptime = 15s
autovacuum_vacuum_scale_factor = 0.1
autovacuum_analyze_scale_factor = 0.1
default_statistics_target = 10
timezone = 'UTC'
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] %a@%d '
log_checkpoints = off
password_encryption = 'scram-sha-256'
";

/// What a commit outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: what was answered has to be there afterwards.
    PowerCut,
    /// The end of the server's process. For databases that live as long as one test: no test takes the
    /// machine's power away, and each of the hundreds of copies of a template would be flushed twice.
    Crash,
}

/// The programs of one installed version, and who runs them.
#[derive(Clone, Debug)]
pub struct Installation {
    bin: PathBuf,
    version: u32,
    user: Option<String>,
}

/// Somebody to talk to: a server with its super user.
#[derive(Clone, Debug)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// A URL as super user.
    pub super_url: String,
    /// The end of every URL, from its `?` on.
    parameters: String,
}

// === impl Durability ===

impl Durability {
    const fn setting(self) -> &'static str {
        match self {
            Self::PowerCut => "fsync = on\n",
            Self::Crash => "fsync = off\n",
        }
    }
}

// === impl Installation ===

impl Installation {
    /// The newest version on this machine.
    ///
    /// # Errors
    /// When there is none, or only one that is too old.
    pub fn find() -> anyhow::Result<Self> {
        let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let newest = folders
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let version: u32 = entry.file_name().to_str()?.parse().ok()?;
                let bin = entry.path().join("bin");
                bin.join("postgres").is_file().then_some((version, bin))
            })
            .max();
        let (version, bin) =
            newest.ok_or_else(|| anyhow!("install the package postgresql (the server)"))?;
        if version < VERSION_MIN {
            bail!("PostgreSQL {version} is too old: install {VERSION_MIN} or later");
        }
        let user = unprivileged_user()?;
        Ok(Self { bin, version, user })
    }

    /// One of its programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Makes the data folder once and writes the settings anew.
    ///
    /// # Errors
    /// When a folder cannot be reached by the server's user, or `initdb` fails.
    pub async fn prepare(
        &self,
        folder: &Folder,
        port: u16,
        secrets: &Secrets,
        durability: Durability,
    ) -> anyhow::Result<()> {
        if !folder.postgres().join("PG_VERSION").is_file() {
            self.init(folder, secrets).await?;
        }
        let sockets = folder.root().join("run");
        fs::create_dir_all(&sockets).context("make the folder for PostgreSQL's socket")?;
        self.give(&sockets)?;
        let mut text = SETTINGS.to_owned();
        text.push_str(durability.setting());
        text.push_str(&format!("port = {port}\n"));
        text.push_str(&format!(
            "unix_socket_directories = '{}'\n",
            socket_setting(&sockets, port)
        ));
        let path = folder.postgres().join("brewline.conf");
        write_atomically(&path, text.as_bytes(), 0o600)?;
        self.give(&path)
    }

    /// The server as a unit to be kept running.
    #[must_use]
    pub fn unit(&self, folder: &Folder, port: u16) -> Unit {
        let (own, folder) = (self.clone(), folder.clone());
        Unit {
            name: "postgres".to_owned(),
            instances: 1,
            instances_max: 1,
            version: self.version.to_string(),
            blueprint: Rc::new(move |instance| Ok(own.blueprint(&folder, port, instance))),
        }
    }

    fn blueprint(&self, folder: &Folder, port: u16, instance: u16) -> Blueprint {
        let mut launch = Launch::new(self.program("postgres"), folder.log("postgres", instance))
            .arguments(["-D".to_owned(), folder.postgres().display().to_string()]);
        launch.user.clone_from(&self.user);
        // "Immediate": a supervisor that was killed has no time to wait for clients, and the
        // write-ahead log makes good for it.
        launch.death_signal = "QUIT";
        // "Fast": open sessions are ended, a checkpoint is written.
        launch.stop_signal = Signal::INT;
        launch.stop_grace = Duration::from_secs(30);
        Blueprint {
            launch,
            addresses: Addresses {
                http: Some(format!("postgres://127.0.0.1:{port}")),
                ..Addresses::default()
            },
            probe: Probe::Postgres(port),
        }
    }

    /// `initdb` works in a folder beside the real one, which gets its name when all went well: an
    /// interrupted attempt is simply made again.
    async fn init(&self, folder: &Folder, secrets: &Secrets) -> anyhow::Result<()> {
        let fresh = folder.root().join("postgres.new");
        fs::remove_dir_all(&fresh).ok();
        fs::create_dir_all(&fresh).context("make PostgreSQL's folder")?;
        self.give(&fresh)?;
        let password_file = folder.root().join("postgres.password");
        let password = secrets.postgres(SUPER_USER);
        write_atomically(&password_file, password.as_bytes(), 0o600)?;
        self.give(&password_file)?;
        let mut command = self.command("initdb");
        command
            .arg("--pgdata")
            .arg(&fresh)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", SUPER_USER, "--auth=scram-sha-256"])
            .args(["--encoding=UTF8", "--locale=C", "--data-checksums"]);
        let made = run(command).await;
        fs::remove_file(&password_file).ok();
        made.with_context(|| self.reach_hint(folder))?;
        let settings = fresh.join("postgresql.conf");
        let mut text = fs::read_to_string(&settings).context("read postgresql.conf")?;
        text.push_str("\ninclude = 'brewline.conf'\n");
        write_atomically(&settings, text.as_bytes(), 0o600)?;
        self.give(&settings)?;
        fs::rename(&fresh, folder.postgres()).context("put PostgreSQL's folder in place")
    }

    fn reach_hint(&self, folder: &Folder) -> String {
        let user = self.user.as_deref().unwrap_or("you");
        let shown = folder.root().display();
        format!("make a database folder as user {user} in {shown} (may that user go there?)")
    }

    /// Hands a file or folder to the server's user.
    fn give(&self, path: &Path) -> anyhow::Result<()> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let (uid, gid) = user_ids(user)?;
        chown(path, Some(uid), Some(gid)).with_context(|| format!("hand over {}", path.display()))
    }

    /// One of its programs, run as the server's user.
    fn command(&self, name: &str) -> Command {
        let mut command = match &self.user {
            None => Command::new(self.program(name)),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={user}"))
                    .args(["--init-groups", "--"])
                    .arg(self.program(name));
                command
            }
        };
        command.current_dir("/").env("LC_ALL", "C");
        command
    }
}

// === impl Server ===

impl Server {
    /// The private server of a stack.
    #[must_use]
    pub fn private(port: u16, secrets: &Secrets) -> Self {
        let address = format!("127.0.0.1:{port}");
        let password = secrets.postgres(SUPER_USER);
        Self {
            super_url: format!("postgres://{SUPER_USER}:{password}@{address}/postgres"),
            address,
            parameters: String::new(),
        }
    }

    /// Somebody else's server.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn external(super_url: &str) -> anyhow::Result<Self> {
        let address = super_url
            .split_once("://")
            .map(|(_, rest)| rest.rsplit_once('@').map_or(rest, |(_, host)| host))
            .and_then(|host| host.split(['/', '?']).next())
            .filter(|host| !host.is_empty())
            .ok_or_else(|| {
                anyhow!("BREWLINE_POSTGRES_URL must be postgres://user:password@host:port/database")
            })?;
        let parameters = super_url.split_once('?');
        Ok(Self {
            address: address.to_owned(),
            // Such as `sslmode`: everybody gets in by the same door.
            parameters: parameters.map_or_else(String::new, |(_, given)| format!("?{given}")),
            super_url: super_url.to_owned(),
        })
    }

    /// A service's database as a role.
    #[must_use]
    pub fn url(&self, service: &str, role: &str, secrets: &Secrets) -> String {
        let password = secrets.postgres(role);
        format!(
            "postgres://{role}:{password}@{}/{}{}",
            self.address,
            database(service),
            self.parameters
        )
    }
}

/// The name of a service's database, which is its role's name too.
#[must_use]
pub fn database(service: &str) -> String {
    format!("brewline_{service}")
}

/// All roles of a stack that need a password.
#[must_use]
pub fn roles() -> Vec<String> {
    let mut roles: Vec<String> = DATABASES.into_iter().map(database).collect();
    roles.push(VERIFY_ROLE.to_owned());
    roles.push(SUPER_USER.to_owned());
    roles
}

/// PostgreSQL refuses to run as root. Its packages bring a user for it.
fn unprivileged_user() -> anyhow::Result<Option<String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    for user in ["postgres", "nobody"] {
        if user_ids(user).is_ok() {
            return Ok(Some(user.to_owned()));
        }
    }
    Err(anyhow!(
        "PostgreSQL does not run as root, and there is no user postgres or nobody"
    ))
}

fn user_ids(user: &str) -> anyhow::Result<(u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    text.lines()
        .filter_map(|line| line.strip_prefix(user)?.strip_prefix(':'))
        .find_map(|rest| {
            let mut fields = rest.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .ok_or_else(|| anyhow!("there is no user {user}"))
}

/// Empty when the socket's path would be too long: everything of ours connects by TCP.
fn socket_setting(folder: &Path, port: u16) -> String {
    let path = folder.join(format!(".s.PGSQL.{port}.lock"));
    if path.as_os_str().len() > 100 {
        return String::new();
    }
    folder.display().to_string()
}

/// Runs a program to its end; what it complained about becomes the error.
async fn run(mut command: Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("run a program of PostgreSQL")?;
    if output.status.success() {
        return Ok(());
    }
    Err(anyhow!(
        "{}",
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    ))
}
