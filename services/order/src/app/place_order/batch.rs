//! One batch of orders, one transaction.
//!
//! Keys are inserted first: the unique index decides who is the first to use one, in this batch, in the
//! other workers and in the other replicas. Whoever was not first gets the first one's answer.
//!
//! Three things keep a batch from being more fragile than the orders in it:
//! * A request that is wrong is answered by itself and writes nothing.
//! * A batch that fails as a whole for a reason of its content is halved, down to the one at fault.
//! * When the answer to the commit is lost, the same batch is run again under the same order ids. The
//!   key says what had become of it: taken by our own order id means that it had been committed.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_postgres as postgres;

use super::transaction::{self, Fault};
use super::{Answer, Placed, Refusal, Waiting};
use crate::Parts;
use crate::outbound::idempotency_store::{Fingerprint, OwnKey};
use crate::signals;

/// How long a request whose key is in flight elsewhere waits for the other one's answer.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);
/// How long the outcome of a lost commit is asked for: above a restart of the database.
const UNKNOWN_WAIT: Duration = Duration::from_secs(10);
/// The pause before an attempt that may succeed a moment later.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a batch that lost against another transaction is tried as a whole.
const TRIES_MAX: u32 = 3;

/// Requests that are placed together.
struct Group {
    waiting: Vec<Waiting>,
    tries: u32,
    /// An earlier attempt may have been committed.
    unknown: bool,
}

/// What a failed attempt leads to.
enum Next {
    Again,
    Halve,
    GiveUp(Refusal),
}

/// What the first user of each key in a batch was answered, for those who came with the same key.
type Remembered = BTreeMap<OwnKey, (Fingerprint, Answer)>;

/// Places a batch and answers everyone in it.
pub(super) async fn place(parts: &Parts, batch: Vec<Waiting>) {
    let mut left = batch;
    while !left.is_empty() {
        let (firsts, later) = split_by_key(left);
        let mut remembered = (!later.is_empty()).then(Remembered::new);
        settle(parts, firsts, &mut remembered).await;
        left = later
            .into_iter()
            .filter_map(|waiting| answer_like_the_first(waiting, remembered.as_ref()))
            .collect();
    }
}

/// The first request under each key, and all others.
fn split_by_key(batch: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut seen = std::collections::HashSet::new();
    batch
        .into_iter()
        .partition(|waiting| seen.insert(waiting.own_key()))
}

/// Answers a request whose key was first used by another request of this batch; gives it back when
/// that one left the key free.
fn answer_like_the_first(waiting: Waiting, remembered: Option<&Remembered>) -> Option<Waiting> {
    let (fingerprint, first) = remembered?.get(&waiting.own_key())?;
    match first {
        _ if *fingerprint == waiting.request.fingerprint => {
            let again = first.clone().map(|placed| Placed {
                replayed: true,
                ..placed
            });
            waiting.answer(again);
        }
        Ok(_) => waiting.answer(Err(Refusal::KeyReused)),
        Err(_) => return Some(waiting),
    }
    None
}

/// Tries until everyone has an answer.
async fn settle(parts: &Parts, firsts: Vec<Waiting>, remembered: &mut Option<Remembered>) {
    let mut groups = vec![Group {
        waiting: firsts,
        tries: 0,
        unknown: false,
    }];
    while let Some(mut group) = groups.pop() {
        match transaction::run(parts, &group.waiting).await {
            Ok(answers) => answer_all(group.waiting.into_iter().zip(answers), remembered),
            Err(fault) => match group.after(&fault) {
                Next::Again => {
                    tokio::time::sleep(PAUSE).await;
                    groups.push(group);
                }
                Next::Halve => groups.extend(group.halves()),
                Next::GiveUp(refusal) => {
                    let answers = std::iter::repeat(Err(refusal));
                    answer_all(group.waiting.into_iter().zip(answers), remembered);
                }
            },
        }
    }
}

fn answer_all(
    answered: impl Iterator<Item = (Waiting, Answer)>,
    remembered: &mut Option<Remembered>,
) {
    for (waiting, answer) in answered {
        if let Some(remembered) = remembered {
            let fingerprint = waiting.request.fingerprint;
            remembered.insert(waiting.own_key(), (fingerprint, answer.clone()));
        }
        waiting.answer(answer);
    }
}

// === impl Group ===

impl Group {
    fn after(&mut self, fault: &Fault) -> Next {
        self.tries += 1;
        match fault {
            Fault::Commit(error) if error.is_unavailable() => {
                tracing::warn!(%error, orders = self.waiting.len(), "the answer to a commit was lost");
                signals::COMMIT_UNKNOWN.inc();
                self.unknown = true;
                self.ask_again()
            }
            Fault::Before(error) if error.is_unavailable() && self.unknown => self.ask_again(),
            Fault::Before(error) if error.is_unavailable() => {
                tracing::warn!(%error, orders = self.waiting.len(), "orders were refused: the database is away");
                Next::GiveUp(Refusal::Unavailable)
            }
            Fault::Commit(error) | Fault::Before(error) => self.after_refusal(error),
            Fault::Stored(detail) => self.alone_or_halve(detail),
        }
    }

    /// The database refused: for what is in the batch, or for what others do at the same time.
    fn after_refusal(&self, error: &postgres::Error) -> Next {
        let lock_timeout = error.code() == Some("55P03");
        match self.waiting.as_slice() {
            [_] if lock_timeout && self.unknown => self.ask_again(),
            [alone] if lock_timeout && alone.arrived.elapsed() >= IN_FLIGHT_WAIT => {
                Next::GiveUp(Refusal::KeyInFlight)
            }
            [_] if lock_timeout => Next::Again,
            _ if error.is_retryable() && !lock_timeout && self.tries < TRIES_MAX => Next::Again,
            _ => self.alone_or_halve(&error.to_string()),
        }
    }

    fn alone_or_halve(&self, error: &str) -> Next {
        if self.waiting.len() > 1 {
            return Next::Halve;
        }
        tracing::error!(error, "an order could not be stored");
        Next::GiveUp(if self.unknown {
            Refusal::OutcomeUnknown
        } else {
            Refusal::Internal
        })
    }

    fn ask_again(&self) -> Next {
        let patient = |waiting: &Waiting| waiting.arrived.elapsed() < UNKNOWN_WAIT;
        if self.waiting.iter().all(patient) {
            Next::Again
        } else {
            Next::GiveUp(Refusal::OutcomeUnknown)
        }
    }

    fn halves(mut self) -> [Self; 2] {
        let second = self.waiting.split_off(self.waiting.len() / 2);
        let half = |waiting| Self {
            waiting,
            tries: 0,
            unknown: self.unknown,
        };
        [half(second), half(self.waiting)]
    }
}
