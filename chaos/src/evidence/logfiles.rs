//! Addresses in log files, where there should be none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// More addresses than this are not kept: each is one too many.
const ADDRESSES_MAX: usize = 100_000;

/// Log files as far as they were read; a second reading goes on where the first one ended.
#[derive(Clone, Debug, Default)]
pub(super) struct LogFiles {
    read: BTreeMap<PathBuf, u64>,
    addresses: BTreeSet<String>,
}

// === impl LogFiles ===

impl LogFiles {
    /// Reads on in every file of a folder: the mail addresses in all of them so far.
    pub(super) fn read_on(&mut self, folder: &Path) -> Result<BTreeSet<String>, String> {
        let shown = folder.display();
        self.files(folder)
            .map_err(|error| format!("log files in {shown}: {error}"))?;
        Ok(self.addresses.clone())
    }

    fn files(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                self.file(entry.path())?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf) -> io::Result<()> {
        let mut file = File::open(&path)?;
        let known = self.read.get(&path).copied().unwrap_or(0);
        // One that is shorter than it was has begun anew.
        let from = if file.metadata()?.len() < known {
            0
        } else {
            known
        };
        let mut next = file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            next += u64::try_from(length).unwrap_or(0);
            if self.addresses.len() < ADDRESSES_MAX {
                self.addresses
                    .extend(addresses(&String::from_utf8_lossy(&line)));
            }
        }
        self.read.insert(path, next);
        Ok(())
    }
}

/// Whatever looks like a mail address.
fn addresses(line: &str) -> Vec<String> {
    if !line.contains('@') {
        return Vec::new();
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._%+-@".contains(c);
    line.split(|c| !is_part(c))
        .filter(|word| {
            word.split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        })
        .map(|word| word.trim_end_matches('.').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_wherever_they_stand_and_lines_are_read_once() {
        let folder = std::env::temp_dir().join(format!("logs-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("order.log");
        fs::write(&path, "sent to=\"ana@example.com\", 5 left\nhalf a l").unwrap();
        let mut files = LogFiles::default();
        let found = |files: &mut LogFiles| files.read_on(&folder).unwrap();
        assert_eq!(found(&mut files), ["ana@example.com".to_owned()].into());
        fs::write(
            &path,
            "sent to=\"bob@example.com\", 5 left\nhalf a line of bo@b.org.\n",
        )
        .unwrap();
        let all = ["ana@example.com", "bo@b.org"].map(str::to_owned);
        assert_eq!(
            found(&mut files),
            all.into(),
            "what was read is not read again"
        );
        fs::write(&path, "<eve@x.y>\n").unwrap();
        assert!(found(&mut files).contains("eve@x.y"), "a file begun anew");
        assert!(LogFiles::default().read_on(&folder.join("none")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_only_looks_a_little_like_one_is_none() {
        assert_eq!(
            addresses("role@database user@ @host a @ b"),
            Vec::<String>::new()
        );
    }
}
