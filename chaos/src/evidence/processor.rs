use serde::Deserialize;
use uuid::Uuid;

/// What the card processor wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerKind {
    /// An amount was held, or refused to be.
    Authorise,
    /// A held amount was taken.
    Capture,
    /// A held amount was let go.
    Void,
    /// A taken amount was given back.
    Refund,
}

/// One entry of the card processor's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Counts from 1.
    pub sequence: u64,
    /// What was done.
    pub kind: LedgerKind,
    /// `authorised`, `declined`, `captured`, `voided`, `refunded`.
    pub status: String,
    /// The authorisation.
    pub authorisation_id: String,
    /// The merchant's reference: the order's id.
    pub reference: String,
    /// The amount in minor units.
    pub amount_minor: i64,
    /// The currency.
    pub currency: String,
    /// The idempotency key it came under.
    pub key: String,
    /// When, as RFC 3339.
    pub at: String,
}

// === impl LedgerEntry ===

impl LedgerEntry {
    /// The order it is about, when the reference names one.
    #[must_use]
    pub fn order(&self) -> Option<Uuid> {
        self.reference.parse().ok()
    }
}

/// Reads a ledger from the NDJSON that the processor serves.
pub(super) fn parse(text: &str) -> Result<Vec<LedgerEntry>, String> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).map_err(|error| format!("ledger line: {error}")))
        .collect()
}
