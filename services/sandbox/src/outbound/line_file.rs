use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use super::JournalError;
use super::journal::{Damage, io_error};
use super::line;

/// Objects on disk: one sealed JSON line each, only ever appended to, or thrown away together.
#[derive(Debug)]
pub struct LineFile {
    file: File,
    buffer: Vec<u8>,
    path: PathBuf,
    length: u64,
}

// === impl LineFile ===

impl LineFile {
    /// Opens `name` in `folder`, makes both when they are not there, and looks at every line. A last
    /// line without its end was never answered for, so it is cut off.
    ///
    /// # Errors
    /// When the file cannot be used, is in use, or is damaged before its end.
    pub fn open(folder: &Path, name: &str) -> Result<Self, JournalError> {
        let path = folder.join(name);
        std::fs::create_dir_all(folder).map_err(io_error(folder))?;
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let file = options.open(&path).map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked(path)),
            Err(TryLockError::Error(source)) => return Err(io_error(&path)(source)),
        }
        let length = check(&file, &path)?;
        file.set_len(length).map_err(io_error(&path))?;
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(io_error(folder))?;
        let buffer = Vec::new();
        Ok(Self {
            file,
            buffer,
            path,
            length,
        })
    }

    /// Takes an object, as JSON, into the next write.
    pub(crate) fn append(&mut self, object: &[u8]) {
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(object);
        line::seal(&mut self.buffer, begin);
    }

    /// Writes what was appended and waits until it is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.buffer);
        let bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.clear();
        written
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path))?;
        self.length = self.length.saturating_add(bytes);
        Ok(())
    }

    /// Throws everything away, what was appended and not written included.
    pub(crate) fn clear(&mut self) -> Result<(), JournalError> {
        self.buffer.clear();
        self.length = 0;
        let cut = self.file.set_len(0).and_then(|()| self.file.sync_all());
        cut.map_err(io_error(&self.path))
    }

    /// The file's name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of whole lines it holds.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }
}

/// How many bytes of whole lines there are.
fn check(file: &File, path: &Path) -> Result<u64, JournalError> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut whole, mut number, mut text) = (0_u64, 0_u64, Vec::new());
    loop {
        text.clear();
        let read = reader
            .read_until(b'\n', &mut text)
            .map_err(io_error(path))?;
        let Some(line) = text.strip_suffix(b"\n") else {
            return Ok(whole);
        };
        number += 1;
        line::check(line).map_err(|broken| JournalError::Damaged {
            path: path.to_owned(),
            number,
            source: Damage::Line(broken),
        })?;
        whole += u64::try_from(read).unwrap_or(u64::MAX);
    }
}
