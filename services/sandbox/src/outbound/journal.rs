use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use brewline_sandbox_domain::{BrokenLedger, Entry, Ledger};

use super::line::{self, BrokenLine};

/// The file's name in the data folder.
const FILE: &str = "processor.journal";

/// The ledger on disk: one JSON line an entry, only ever appended to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    buffer: Vec<u8>,
    path: PathBuf,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes it.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A whole line is not what was written. It is left alone: a person decides.
    #[error("{}, line {number}: {source}; the file is damaged and is left as it is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        number: u64,
        /// What is wrong.
        source: Damage,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The line itself.
    #[error(transparent)]
    Line(#[from] BrokenLine),
    /// It does not follow from those before it.
    #[error(transparent)]
    Ledger(#[from] BrokenLedger),
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `folder`, makes both when they are not there, and rebuilds the ledger.
    ///
    /// A last line without its end is what a crash in the middle of a write leaves. Nobody was
    /// answered for it (answers come after the sync), so it is cut off.
    ///
    /// # Errors
    /// When the file cannot be used, is in use, or is damaged before its end.
    pub fn open(folder: &Path) -> Result<(Self, Ledger), JournalError> {
        let path = folder.join(FILE);
        let failed = io_error(&path);
        std::fs::create_dir_all(folder).map_err(io_error(folder))?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked(path)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let (ledger, whole) = rebuild(&file, &path)?;
        cut(&file, whole, &path)?;
        // The file's name must be on disk as well, else a power cut loses the file.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error(folder))?;
        let buffer = Vec::new();
        Ok((Self { file, buffer, path }, ledger))
    }

    /// Takes an entry into the next write.
    pub(crate) fn append(&mut self, entry: &Entry) {
        line::write(&mut self.buffer, entry);
    }

    /// Writes what was appended and waits until it is on disk.
    ///
    /// # Errors
    /// When the disk says no. Then nobody knows what the file holds, and the process must end: what
    /// is read at the next start decides.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path))
    }
}

/// The ledger, and how many bytes of whole lines it was read from.
fn rebuild(file: &File, path: &Path) -> Result<(Ledger, u64), JournalError> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut ledger, mut whole, mut number) = (Ledger::default(), 0_u64, 0_u64);
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = reader
            .read_until(b'\n', &mut text)
            .map_err(io_error(path))?;
        let Some(line) = text.strip_suffix(b"\n") else {
            return Ok((ledger, whole));
        };
        number += 1;
        take(&mut ledger, line).map_err(|source| JournalError::Damaged {
            path: path.to_owned(),
            number,
            source,
        })?;
        whole += u64::try_from(read).unwrap_or(u64::MAX);
    }
}

fn take(ledger: &mut Ledger, line: &[u8]) -> Result<(), Damage> {
    ledger.apply(line::read(line)?)?;
    Ok(())
}

fn cut(file: &File, whole: u64, path: &Path) -> Result<(), JournalError> {
    let length = file.metadata().map_err(io_error(path))?.len();
    if length > whole {
        let bytes = length - whole;
        tracing::warn!(
            bytes,
            "the journal ends in the middle of a line; it is cut off"
        );
        file.set_len(whole)
            .and_then(|()| file.sync_all())
            .map_err(io_error(path))?;
    }
    Ok(())
}

pub(super) fn io_error(path: &Path) -> impl Fn(std::io::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |source| JournalError::Io {
        path: path.clone(),
        source,
    }
}
