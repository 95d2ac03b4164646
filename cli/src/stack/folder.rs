//! The data folder and what lies where in it.

use std::fs::{self, DirEntry, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

/// A socket's path must fit in 108 bytes with its closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The marker that tells a data folder from any other, so that `--purge` never removes a stranger.
const MARKER: &str = "brewline-data";

/// One data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// The right to start processes on a folder, held until dropped.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

// === impl Folder ===

impl Folder {
    /// The folder at `path`, which need not exist yet.
    ///
    /// # Errors
    /// When the working directory cannot be read.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        let root = std::path::absolute(path).context("find the data folder")?;
        Ok(Self { root })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder and its marker.
    ///
    /// # Errors
    /// When somebody else's files lie there, or the file system refuses.
    pub fn create(&self) -> anyhow::Result<()> {
        let shown = self.root.display();
        self.refuse_strangers()?;
        if !self.root.exists() {
            fs::create_dir_all(&self.root)
                .with_context(|| format!("make the data folder {shown}"))?;
            // PostgreSQL's user passes through here; every secret below has a mode of its own.
            fs::set_permissions(&self.root, Permissions::from_mode(0o755))
                .with_context(|| format!("set the mode of {shown}"))?;
        }
        // The marker comes before everything else: without it the rest would be a stranger's.
        if !self.is_ours() {
            write_atomically(&self.root.join(MARKER), b"1\n", 0o644)?;
        }
        fs::create_dir_all(self.logs()).with_context(|| format!("make folders in {shown}"))
    }

    /// Fails on a folder that holds anything which brewline did not put there: it would be removed
    /// by a later `--purge`.
    ///
    /// # Errors
    /// When there is such a thing.
    pub fn refuse_strangers(&self) -> anyhow::Result<()> {
        let shown = self.root.display();
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("look into {shown}")),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("look into {shown}"))?;
            // The marker is asked for last: another `up` may be making the folder just now.
            if !is_brewlines(&entry) && !self.is_ours() {
                return Err(anyhow!(
                    "{shown} holds files and is no data folder of brewline ({} lies there): choose \
                     an empty or a new folder with --data",
                    entry.file_name().display()
                ));
            }
        }
        Ok(())
    }

    /// Data folders of brewline directly below this one: those of `test` and of the kill tests.
    #[must_use]
    pub fn inner(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries
            .map(|entry| Self { root: entry.path() })
            .filter(Self::is_ours)
            .collect()
    }

    /// Whether this is a data folder of brewline.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.root.join(MARKER).is_file()
    }

    /// Removes the folder with everything in it.
    ///
    /// # Errors
    /// When it is not a data folder, or the file system refuses.
    pub fn purge(&self) -> anyhow::Result<()> {
        let shown = self.root.display();
        if !self.root.exists() {
            return Ok(());
        }
        if !self.is_ours() {
            return Err(anyhow!(
                "{shown} is no data folder of brewline: not removed"
            ));
        }
        fs::remove_dir_all(&self.root).with_context(|| format!("remove {shown}"))
    }

    /// Takes the right to start processes here; none when another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_lock(&self) -> anyhow::Result<Option<FolderLock>> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FolderLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("lock the data folder"),
        }
    }

    /// Log files.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// One process's log file; `instance` counts from 1.
    #[must_use]
    pub fn log(&self, service: &str, instance: u16) -> PathBuf {
        self.logs().join(format!("{service}-{instance}.log"))
    }

    /// What the supervisor itself has to say.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.logs().join("supervisor.log")
    }

    /// Where everything listens.
    #[must_use]
    pub fn endpoints(&self) -> PathBuf {
        self.root.join("endpoints.json")
    }

    /// Every process with its start time, for `down` after the supervisor's death.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.root.join("processes.json")
    }

    /// Passwords.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.json")
    }

    /// PostgreSQL's data.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// Kafka's configuration; its log segments are in `data` below.
    #[must_use]
    pub fn kafka(&self) -> PathBuf {
        self.root.join("kafka")
    }

    /// Prometheus' configuration and samples.
    #[must_use]
    pub fn prometheus(&self) -> PathBuf {
        self.root.join("prometheus")
    }

    /// The sandbox's ledgers.
    #[must_use]
    pub fn sandbox(&self) -> PathBuf {
        self.root.join("sandbox")
    }

    /// The supervisor's socket. A folder too deep for a socket's name gets one in the system's
    /// folder for temporary files, named by a sum over the path, so that every verb finds it.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        let here = self.root.join("control.sock");
        if here.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return here;
        }
        let sum = fingerprint(here.as_os_str().as_encoded_bytes());
        std::env::temp_dir().join(format!("brewline-{sum:016x}.sock"))
    }
}

/// Whether an entry of an unmarked folder is nobody's but brewline's: a marker that is just being
/// written, or a whole data folder (`test` makes its own below one that nothing has used yet).
fn is_brewlines(entry: &DirEntry) -> bool {
    let inner = Folder { root: entry.path() };
    inner.is_ours() || entry.file_name().to_string_lossy().starts_with(MARKER)
}

/// Replaces a file whole, so that a reader sees the old or the new text, never half of one.
///
/// # Errors
/// When the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let shown = path.display();
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("write {shown}"))
}

/// A short sum over bytes (FNV-1a), for names of files, never for secrets.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
