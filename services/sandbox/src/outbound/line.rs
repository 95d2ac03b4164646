//! One line of the journal: an entry as JSON, closed by a checksum of everything before it.
//!
//! The checksum tells a line that was damaged on disk from one that was written: JSON alone would
//! let a flipped digit of an amount pass.

use std::borrow::Cow;
use std::io::Write as _;

use brewline_kernel::{Currency, IdempotencyKey, Money, Timestamp};
use brewline_sandbox_domain::{DeclineCode, Entry, EntryId, Kind, Outcome};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What stands between the entry and its checksum.
const SEAL: &[u8] = b",\"check\":\"";

/// Why a line is no entry.
#[derive(Debug, thiserror::Error)]
pub enum BrokenLine {
    /// What was written differs from what is there.
    #[error("the checksum does not match")]
    Checksum,
    /// The checksum is right and the text is none of ours.
    #[error("not an entry: {0}")]
    Format(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    sequence: u64,
    id: Uuid,
    authorisation_id: Uuid,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    decline_code: Option<&'a str>,
    reference: Cow<'a, str>,
    amount_minor: i64,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    token: Option<&'a str>,
    key: Cow<'a, str>,
    at_micros: i64,
}

/// Appends the line of `entry`, with its end.
pub(super) fn write(buffer: &mut Vec<u8>, entry: &Entry) {
    let begin = buffer.len();
    let line = Line {
        sequence: entry.sequence,
        id: Uuid::from_u128(entry.id.as_u128()),
        authorisation_id: Uuid::from_u128(entry.authorisation.as_u128()),
        kind: entry.kind.name(),
        decline_code: match entry.outcome {
            Outcome::Done => None,
            Outcome::Declined(code) => Some(code.name()),
        },
        reference: entry.reference.as_str().into(),
        amount_minor: entry.amount.minor,
        currency: entry.amount.currency,
        token: entry.card.as_ref().map(|card| card.as_str()),
        key: (&*entry.key).into(),
        at_micros: entry.at.as_micros(),
    };
    serde_json::to_writer(&mut *buffer, &line).expect("texts and numbers always fit into JSON");
    seal(buffer, begin);
}

/// Closes the object that begins at `begin` by its checksum, and the line by its end.
pub(super) fn seal(buffer: &mut Vec<u8>, begin: usize) {
    buffer.pop(); // the closing brace: the checksum goes inside
    let check = checksum(buffer.get(begin..).unwrap_or_default());
    buffer.extend_from_slice(SEAL);
    writeln!(buffer, "{check:016x}\"}}").expect("writing to memory does not fail");
}

/// Whether a line without its end is what was written.
pub(super) fn check(line: &[u8]) -> Result<(), BrokenLine> {
    let (text, seal) = line
        .split_at_checked(line.len().saturating_sub(SEAL.len() + 18))
        .ok_or(BrokenLine::Checksum)?;
    let mut expected = SEAL.to_vec();
    write!(expected, "{:016x}\"}}", checksum(text)).expect("writing to memory does not fail");
    if seal != expected {
        return Err(BrokenLine::Checksum);
    }
    Ok(())
}

/// The entry of a line without its end.
pub(super) fn read(line: &[u8]) -> Result<Entry, BrokenLine> {
    check(line)?;
    let line: Line<'_> = serde_json::from_slice(line).map_err(format)?;
    entry(&line)
}

fn entry(line: &Line<'_>) -> Result<Entry, BrokenLine> {
    let kind = Kind::from_name(line.kind).ok_or_else(|| BrokenLine::Format("kind".to_owned()))?;
    let outcome = match line.decline_code {
        None => Outcome::Done,
        Some(name) => Outcome::Declined(
            DeclineCode::from_name(name)
                .ok_or_else(|| BrokenLine::Format("declineCode".to_owned()))?,
        ),
    };
    let key: IdempotencyKey = line.key.parse().map_err(format)?;
    Ok(Entry {
        sequence: line.sequence,
        id: EntryId::new(line.id.as_u128()),
        authorisation: EntryId::new(line.authorisation_id.as_u128()),
        kind,
        outcome,
        reference: line.reference.parse().map_err(format)?,
        amount: Money::new(line.amount_minor, line.currency),
        card: line.token.map(str::parse).transpose().map_err(format)?,
        key: key.as_str().into(),
        at: Timestamp::from_micros(line.at_micros),
    })
}

/// FNV-1a, 64 bits: it finds damage, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn format(error: impl std::fmt::Display) -> BrokenLine {
    BrokenLine::Format(error.to_string())
}
