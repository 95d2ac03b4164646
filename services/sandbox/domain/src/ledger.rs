use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::{Money, Timestamp};

use crate::{CardToken, EntryId, Kind, Operation, Outcome, Reference, Rejection, Request, Target};

/// One line of the ledger: something that was decided, and will not be undecided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub sequence: u64,
    /// Its id.
    pub id: EntryId,
    /// The authorisation it is about; its own id when it authorised.
    pub authorisation: EntryId,
    /// What was asked.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
    /// What it is filed under.
    pub reference: Reference,
    /// How much.
    pub amount: Money,
    /// The card, where one was named.
    pub card: Option<CardToken>,
    /// The caller's key.
    pub key: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// How an authorisation stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The bank said no.
    Declined,
    /// The amount is held.
    Authorised,
    /// The amount was taken.
    Captured,
    /// The amount was let go.
    Voided,
    /// The amount was taken and given back.
    Refunded,
}

/// What the ledger says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered before, under the same key.
    Replay(Arc<Entry>),
    /// It is new: this entry is to be applied and kept.
    Append(Entry),
}

/// Why an entry does not follow from those before it: the file it was read from is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLedger {
    /// A number is missing or there twice.
    #[error("entry {found} follows entry {last}")]
    Sequence {
        /// The last one that is right.
        last: u64,
        /// The one that follows it.
        found: u64,
    },
    /// It is about an authorisation that is not there.
    #[error("entry {0} is about an authorisation that is not in the ledger")]
    Orphan(u64),
}

/// All that happened, and the indexes to find it by.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Arc<Entry>>,
    by_key: HashMap<(Kind, Arc<str>), usize>,
    by_reference: HashMap<Reference, Vec<usize>>,
    authorisations: HashMap<EntryId, (usize, Standing)>,
}

// === impl Standing ===

impl Standing {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }

    fn after(self, kind: Kind) -> Self {
        match kind {
            Kind::Authorise => self,
            Kind::Capture => Self::Captured,
            Kind::Void => Self::Voided,
            Kind::Refund => Self::Refunded,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Decides a request. `lifetime` is how long a key is remembered: a request whose key is
    /// forgotten is a **new** one, even if the same money is held a second time. `bank` overrides what
    /// the card's bank would say.
    ///
    /// # Errors
    /// When the rules refuse it; nothing is to be written then.
    pub fn decide(
        &self,
        request: &Request,
        bank: Option<Outcome>,
        id: EntryId,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Verdict, Rejection> {
        let kind = request.operation.kind();
        if let Some(entry) = self.remembered(kind, request.key.as_str(), now, lifetime) {
            return if same(entry, &request.operation) {
                Ok(Verdict::Replay(Arc::clone(entry)))
            } else {
                Err(Rejection::KeyReused)
            };
        }
        let entry = match &request.operation {
            Operation::Authorise {
                reference,
                amount,
                card,
            } => authorise(reference, *amount, card, id)?,
            Operation::Capture(target) | Operation::Void(target) | Operation::Refund(target) => {
                self.follow_up(kind, *target, id)?
            }
        };
        Ok(Verdict::Append(Entry {
            sequence: self.last() + 1,
            outcome: bank.unwrap_or(entry.outcome),
            key: request.key.as_str().into(),
            at: now,
            ..entry
        }))
    }

    /// Takes an entry in: one that was just decided, or one read from the file at start.
    ///
    /// # Errors
    /// When it does not follow from those before it.
    pub fn apply(&mut self, entry: Entry) -> Result<Arc<Entry>, BrokenLedger> {
        if entry.sequence != self.last() + 1 {
            return Err(BrokenLedger::Sequence {
                last: self.last(),
                found: entry.sequence,
            });
        }
        let index = self.entries.len();
        self.stand(&entry, index)?;
        let entry = Arc::new(entry);
        self.by_key
            .insert((entry.kind, Arc::clone(&entry.key)), index);
        self.by_reference
            .entry(entry.reference.clone())
            .or_default()
            .push(index);
        self.entries.push(Arc::clone(&entry));
        Ok(entry)
    }

    /// The number of the last entry; 0 when there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// Every entry, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The entries filed under a reference, oldest first.
    pub fn filed_under(&self, reference: &Reference) -> impl Iterator<Item = &Arc<Entry>> {
        let indexes = self.by_reference.get(reference);
        indexes
            .into_iter()
            .flatten()
            .filter_map(|index| self.entries.get(*index))
    }

    /// An authorisation and how it stands.
    #[must_use]
    pub fn authorisation(&self, id: EntryId) -> Option<(&Arc<Entry>, Standing)> {
        let (index, standing) = self.authorisations.get(&id)?;
        Some((self.entries.get(*index)?, *standing))
    }

    /// The entry written under a key that is still remembered.
    #[must_use]
    pub fn remembered(
        &self,
        kind: Kind,
        key: &str,
        now: Timestamp,
        lifetime: Duration,
    ) -> Option<&Arc<Entry>> {
        let index = self.by_key.get(&(kind, Arc::from(key)))?;
        let entry = self.entries.get(*index)?;
        (now.since(entry.at) <= lifetime).then_some(entry)
    }

    fn follow_up(&self, kind: Kind, target: Target, id: EntryId) -> Result<Entry, Rejection> {
        let (authorised, standing) = self
            .authorisation(target.authorisation)
            .ok_or(Rejection::NotFound)?;
        if target.amount.is_some_and(|it| it != authorised.amount) {
            return Err(Rejection::AmountMismatch);
        }
        permit(kind, standing)?;
        Ok(Entry {
            id,
            kind,
            outcome: Outcome::Done,
            card: None,
            ..Entry::clone(authorised)
        })
    }

    fn stand(&mut self, entry: &Entry, index: usize) -> Result<(), BrokenLedger> {
        if entry.kind == Kind::Authorise {
            let standing = match entry.outcome {
                Outcome::Done => Standing::Authorised,
                Outcome::Declined(_) => Standing::Declined,
            };
            self.authorisations.insert(entry.id, (index, standing));
            return Ok(());
        }
        let (_, standing) = self
            .authorisations
            .get_mut(&entry.authorisation)
            .ok_or(BrokenLedger::Orphan(entry.sequence))?;
        if entry.outcome == Outcome::Done {
            *standing = standing.after(entry.kind);
        }
        Ok(())
    }
}

fn authorise(
    reference: &Reference,
    amount: Money,
    card: &CardToken,
    id: EntryId,
) -> Result<Entry, Rejection> {
    if amount.minor <= 0 {
        return Err(Rejection::AmountNotPositive);
    }
    Ok(Entry {
        sequence: 0,
        id,
        authorisation: id,
        kind: Kind::Authorise,
        outcome: card.outcome(),
        reference: reference.clone(),
        amount,
        card: Some(card.clone()),
        key: "".into(),
        at: Timestamp::EPOCH,
    })
}

/// Whether an operation may follow on how the authorisation stands.
fn permit(kind: Kind, standing: Standing) -> Result<(), Rejection> {
    match (kind, standing) {
        (Kind::Capture | Kind::Void, Standing::Authorised)
        | (Kind::Refund, Standing::Captured)
        | (Kind::Authorise, _) => Ok(()),
        (_, Standing::Declined) => Err(Rejection::NotAuthorised),
        (Kind::Refund, Standing::Authorised) => Err(Rejection::NotCaptured),
        (Kind::Capture | Kind::Void, Standing::Captured) => Err(Rejection::AlreadyCaptured),
        (_, Standing::Voided) => Err(Rejection::AlreadyVoided),
        (_, Standing::Refunded) => Err(Rejection::AlreadyRefunded),
    }
}

/// Whether a request says what the request said that led to `entry`.
fn same(entry: &Entry, operation: &Operation) -> bool {
    match operation {
        Operation::Authorise {
            reference,
            amount,
            card,
        } => {
            entry.reference == *reference
                && entry.amount == *amount
                && entry.card.as_ref() == Some(card)
        }
        Operation::Capture(target) | Operation::Void(target) | Operation::Refund(target) => {
            entry.authorisation == target.authorisation
                && target.amount.is_none_or(|amount| amount == entry.amount)
        }
    }
}
