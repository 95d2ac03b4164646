//! The card processor: a ledger, keys that are remembered for a while, and every bad habit a remote
//! party can have. It decides when a request *arrives*, which may be long after it was sent.

use std::collections::BTreeMap;

use brewline_chaos::evidence::{LedgerEntry, LedgerKind};
use brewline_kernel::Money;
use brewline_payment_domain::{Answer, Call, Found, FoundStatus, Request};

/// The processor.
#[derive(Debug, Default)]
pub struct Processor {
    /// Everything it decided.
    pub ledger: Vec<LedgerEntry>,
    keys: BTreeMap<String, Remembered>,
    standing: BTreeMap<String, Authorisation>,
    /// How long it remembers a key, in microseconds.
    pub key_lifetime: i64,
    /// Until when it answers nothing and does nothing.
    pub down_until: i64,
}

#[derive(Clone, Debug)]
struct Remembered {
    at: i64,
    answer: Answer,
}

#[derive(Clone, Debug)]
struct Authorisation {
    reference: String,
    amount: Money,
    status: FoundStatus,
    capture_declined: bool,
}

/// What a card's bank says, told by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Yes to everything.
    Good,
    /// No.
    Declined,
    /// Yes, and later no to the capture.
    CaptureRefused,
}

// === impl Card ===

impl Card {
    /// The token it is named by.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Good => "tok_good",
            Self::Declined => "tok_declined",
            Self::CaptureRefused => "tok_capture_refused",
        }
    }
}

// === impl Processor ===

impl Processor {
    /// Takes a request that arrives `now`, under `key`.
    pub fn take(&mut self, request: &Request, key: Option<String>, now: i64) -> Answer {
        let Some(key) = key else {
            return self.find(&request.order_id.to_string());
        };
        if let Some(known) = self.keys.get(&key)
            && now - known.at <= self.key_lifetime
        {
            return known.answer.clone();
        }
        let answer = self.decide(request, &key, now);
        // A refusal writes nothing down; the same request may be asked anew.
        if !matches!(answer, Answer::Refused { .. }) {
            let answer = answer.clone();
            self.keys.insert(key, Remembered { at: now, answer });
        }
        answer
    }

    /// What an authorisation holds or held.
    #[must_use]
    pub fn amount_of(&self, id: &str) -> Option<Money> {
        self.standing
            .get(id)
            .map(|authorisation| authorisation.amount)
    }

    fn decide(&mut self, request: &Request, key: &str, now: i64) -> Answer {
        match &request.call {
            Call::Authorise { amount, token } => {
                let reference = request.order_id.to_string();
                self.authorise(reference, *amount, token, (key, now))
            }
            Call::Capture {
                authorisation_id, ..
            } => {
                let declined = self
                    .standing
                    .get(authorisation_id)
                    .is_some_and(|a| a.capture_declined);
                if declined {
                    return refused("the card's bank declines the capture");
                }
                self.move_on(authorisation_id, LedgerKind::Capture, (key, now))
            }
            Call::Void { authorisation_id } => {
                self.move_on(authorisation_id, LedgerKind::Void, (key, now))
            }
            Call::Refund {
                authorisation_id, ..
            } => self.move_on(authorisation_id, LedgerKind::Refund, (key, now)),
            Call::FindByReference => self.find(&request.order_id.to_string()),
        }
    }

    fn authorise(
        &mut self,
        reference: String,
        amount: Money,
        token: &str,
        (key, now): (&str, i64),
    ) -> Answer {
        let id = format!("auth-{}", self.ledger.len() + 1);
        let declined = token == Card::Declined.token();
        let status = if declined {
            FoundStatus::Declined("insufficient-funds".to_owned())
        } else {
            FoundStatus::Authorised
        };
        let authorisation = Authorisation {
            reference,
            amount,
            status,
            capture_declined: token == Card::CaptureRefused.token(),
        };
        let written = if declined { "declined" } else { "authorised" };
        self.write(
            &id,
            &authorisation,
            (LedgerKind::Authorise, written),
            (key, now),
        );
        self.standing.insert(id.clone(), authorisation);
        if declined {
            let code = "insufficient-funds".to_owned();
            return Answer::Declined { code };
        }
        Answer::Authorised { id }
    }

    fn move_on(&mut self, id: &str, kind: LedgerKind, (key, now): (&str, i64)) -> Answer {
        let Some(mut authorisation) = self.standing.get(id).cloned() else {
            return refused("there is no such authorisation");
        };
        let (status, written) = match (kind, &authorisation.status) {
            (LedgerKind::Capture, FoundStatus::Authorised) => (FoundStatus::Captured, "captured"),
            (LedgerKind::Void, FoundStatus::Authorised) => (FoundStatus::Voided, "voided"),
            (LedgerKind::Refund, FoundStatus::Captured) => (FoundStatus::Refunded, "refunded"),
            _ => return refused("the authorisation does not stand so"),
        };
        authorisation.status = status;
        self.write(id, &authorisation, (kind, written), (key, now));
        self.standing.insert(id.to_owned(), authorisation);
        Answer::Accepted
    }

    fn write(
        &mut self,
        id: &str,
        authorisation: &Authorisation,
        (kind, status): (LedgerKind, &str),
        (key, now): (&str, i64),
    ) {
        let sequence = u64::try_from(self.ledger.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.ledger.push(LedgerEntry {
            sequence,
            kind,
            status: status.to_owned(),
            authorisation_id: id.to_owned(),
            reference: authorisation.reference.clone(),
            amount_minor: authorisation.amount.minor,
            currency: authorisation.amount.currency.code().to_owned(),
            key: key.to_owned(),
            at: now.to_string(),
        });
    }

    fn find(&self, reference: &str) -> Answer {
        let filed = self
            .standing
            .iter()
            .filter(|(_, a)| a.reference == reference);
        let found = filed.map(|(id, authorisation)| Found {
            id: id.clone(),
            status: authorisation.status.clone(),
        });
        Answer::Found(found.collect())
    }
}

fn refused(detail: &str) -> Answer {
    let detail = detail.to_owned();
    Answer::Refused { detail }
}
