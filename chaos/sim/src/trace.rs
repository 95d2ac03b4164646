//! What happened, as text and as a digest, and what was reached by it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Every step of a run. The digest covers the same text whether it is kept or not, so that two runs
/// can be compared byte by byte at little cost.
#[derive(Debug)]
pub struct Trace {
    digest: Digest,
    lines: Option<Vec<String>>,
    length: u64,
}

/// FNV-1a (Fowler, Noll, Vo), fed by formatting.
#[derive(Debug)]
struct Digest(u64);

/// What was reached: which fault met orders in which phase, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By fault, with or without an order in the way.
    pub faults: BTreeMap<&'static str, u64>,
    /// By phase of a checkout that was open when a fault struck, and the fault.
    pub met: BTreeMap<(&'static str, &'static str), u64>,
    /// By how an order ended.
    pub endings: BTreeMap<&'static str, u64>,
}

// === impl Digest ===

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text.bytes().fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(())
    }
}

// === impl Trace ===

impl Trace {
    /// An empty trace; `keep` says whether the text is kept too.
    #[must_use]
    pub fn new(keep: bool) -> Self {
        Self {
            digest: Digest(0xcbf2_9ce4_8422_2325),
            lines: keep.then(Vec::new),
            length: 0,
        }
    }

    /// Something happened at `at` microseconds.
    pub fn tell(&mut self, at: i64, what: fmt::Arguments<'_>) {
        self.length += 1;
        // Neither sink can fail.
        writeln!(self.digest, "{at} {what}").unwrap_or_default();
        if let Some(lines) = &mut self.lines {
            let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
            lines.push(format!("{seconds:>4}.{micros:06} {what}"));
        }
    }

    /// Names everything told so far.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest.0
    }

    /// How many things were told.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The text, when it was kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

// === impl Coverage ===

impl Coverage {
    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (pair, count) in &other.met {
            *self.met.entry(*pair).or_default() += count;
        }
        for (ending, count) in &other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
    }
}
