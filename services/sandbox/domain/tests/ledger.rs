//! What the ledger allows, as tables and as properties of any sequence of requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::{Money, Timestamp};
use brewline_sandbox_domain::{
    DeclineCode, Entry, EntryId, Kind, Ledger, Operation, Outcome, Rejection, Request, Standing,
    Target, Verdict,
};
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A ledger with a clock and ids that count up.
#[derive(Default)]
struct Processor {
    ledger: Ledger,
    ids: u128,
    now: Timestamp,
    lifetime: Option<Duration>,
}

impl Processor {
    fn ask(&mut self, key: &str, operation: Operation) -> Result<(Arc<Entry>, bool), Rejection> {
        self.ask_with(key, operation, None)
    }

    fn ask_with(
        &mut self,
        key: &str,
        operation: Operation,
        bank: Option<Outcome>,
    ) -> Result<(Arc<Entry>, bool), Rejection> {
        self.ids += 1;
        let request = Request {
            key: key.parse().unwrap(),
            operation,
        };
        let lifetime = self.lifetime.unwrap_or(DAY);
        let id = EntryId::new(self.ids);
        match self.ledger.decide(&request, bank, id, self.now, lifetime)? {
            Verdict::Replay(entry) => Ok((entry, true)),
            Verdict::Append(entry) => Ok((self.ledger.apply(entry).unwrap(), false)),
        }
    }

    fn authorised(&mut self) -> EntryId {
        self.ask("a", authorise("o-1", 350, "tok_ok")).unwrap().0.id
    }

    fn standing(&self, id: EntryId) -> Standing {
        self.ledger.authorisation(id).unwrap().1
    }
}

fn money(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn authorise(reference: &str, minor: i64, token: &str) -> Operation {
    Operation::Authorise {
        reference: reference.parse().unwrap(),
        amount: money(minor),
        card: token.parse().unwrap(),
    }
}

fn follow(kind: Kind, authorisation: EntryId, minor: Option<i64>) -> Operation {
    let target = Target {
        authorisation,
        amount: minor.map(money),
    };
    match kind {
        Kind::Authorise => panic!("an authorisation follows on nothing"),
        Kind::Capture => Operation::Capture(target),
        Kind::Void => Operation::Void(target),
        Kind::Refund => Operation::Refund(target),
    }
}

#[test]
fn each_step_follows_only_on_the_right_one() {
    use Kind::{Capture, Refund, Void};
    let table: [(&[Kind], Kind, Result<Standing, Rejection>); 12] = [
        (&[], Capture, Ok(Standing::Captured)),
        (&[], Void, Ok(Standing::Voided)),
        (&[], Refund, Err(Rejection::NotCaptured)),
        (&[Capture], Capture, Err(Rejection::AlreadyCaptured)),
        (&[Capture], Void, Err(Rejection::AlreadyCaptured)),
        (&[Capture], Refund, Ok(Standing::Refunded)),
        (&[Void], Capture, Err(Rejection::AlreadyVoided)),
        (&[Void], Void, Err(Rejection::AlreadyVoided)),
        (&[Void], Refund, Err(Rejection::AlreadyVoided)),
        (&[Capture, Refund], Refund, Err(Rejection::AlreadyRefunded)),
        (&[Capture, Refund], Capture, Err(Rejection::AlreadyRefunded)),
        (&[Capture, Refund], Void, Err(Rejection::AlreadyRefunded)),
    ];
    for (before, kind, expected) in table {
        let mut it = Processor::default();
        let id = it.authorised();
        for (n, kind) in before.iter().enumerate() {
            it.ask(&format!("before-{n}"), follow(*kind, id, None))
                .unwrap();
        }
        let outcome = it.ask("now", follow(kind, id, Some(350)));
        let standing = outcome.map(|_| it.standing(id));
        assert_eq!(standing, expected, "{kind} after {before:?}");
    }
}

#[test]
fn nothing_follows_on_a_declined_card() {
    let mut it = Processor::default();
    let (entry, _) = it.ask("a", authorise("o-1", 1, "tok_declined")).unwrap();
    assert_eq!(entry.outcome, Outcome::Declined(DeclineCode::CardDeclined));
    for kind in [Kind::Capture, Kind::Void, Kind::Refund] {
        let refused = it.ask("x", follow(kind, entry.id, None));
        assert_eq!(refused, Err(Rejection::NotAuthorised));
    }
}

#[test]
fn a_declined_capture_can_be_tried_again_under_another_key() {
    let mut it = Processor::default();
    let id = it.authorised();
    let no = Outcome::Declined(DeclineCode::CardDeclined);
    let capture = || follow(Kind::Capture, id, None);
    let (declined, _) = it.ask_with("c-1", capture(), Some(no)).unwrap();
    assert_eq!(declined.outcome, no);
    assert_eq!(it.standing(id), Standing::Authorised);
    // The same key gives the same answer, even now that the bank would say yes.
    assert_eq!(it.ask("c-1", capture()), Ok((declined, true)));
    assert!(it.ask("c-2", capture()).is_ok());
    assert_eq!(it.standing(id), Standing::Captured);
}

#[test]
fn the_same_key_and_body_gets_the_first_answer() {
    let mut it = Processor::default();
    let (first, replayed) = it.ask("a", authorise("o-1", 350, "tok_ok")).unwrap();
    assert!(!replayed);
    let again = it.ask("a", authorise("o-1", 350, "tok_ok"));
    assert_eq!(again, Ok((first, true)));
    assert_eq!(it.ledger.last(), 1);
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let mut it = Processor::default();
    let id = it.authorised();
    for other in [
        authorise("o-2", 350, "tok_ok"),
        authorise("o-1", 351, "tok_ok"),
        authorise("o-1", 350, "tok_ok_2"),
    ] {
        assert_eq!(it.ask("a", other), Err(Rejection::KeyReused));
    }
    // Keys of different kinds never meet.
    assert!(it.ask("a", follow(Kind::Capture, id, None)).is_ok());
}

#[test]
fn a_forgotten_key_makes_a_new_authorisation() {
    let mut it = Processor {
        lifetime: Some(Duration::from_secs(1)),
        ..Processor::default()
    };
    let first = it.authorised();
    it.now = it.now.plus(Duration::from_secs(1));
    assert_eq!(it.authorised(), first, "the key is still remembered");
    it.now = it.now.plus(Duration::from_micros(1));
    let second = it.authorised();
    assert_ne!(second, first, "the key is forgotten");
    let filed = it.ledger.filed_under(&"o-1".parse().unwrap()).count();
    assert_eq!(filed, 2, "both hold money under the same reference");
}

#[test]
fn only_the_whole_amount_is_taken() {
    let mut it = Processor::default();
    let id = it.authorised();
    let less = it.ask("c", follow(Kind::Capture, id, Some(349)));
    assert_eq!(less, Err(Rejection::AmountMismatch));
    let missing = it.ask("c", follow(Kind::Capture, EntryId::new(99), None));
    assert_eq!(missing, Err(Rejection::NotFound));
    for nothing in [0, -1] {
        let refused = it.ask("n", authorise("o-1", nothing, "tok_ok"));
        assert_eq!(refused, Err(Rejection::AmountNotPositive));
    }
}

#[test]
fn a_ledger_with_a_hole_or_an_orphan_is_refused() {
    let mut it = Processor::default();
    let id = it.authorised();
    let (capture, _) = it.ask("c", follow(Kind::Capture, id, None)).unwrap();
    let mut ledger = Ledger::default();
    assert!(ledger.apply(Entry::clone(&capture)).is_err(), "a hole");
    let orphan = Entry {
        sequence: 1,
        ..Entry::clone(&capture)
    };
    assert!(ledger.apply(orphan).is_err(), "an orphan");
}

#[derive(Clone, Debug)]
struct Step {
    key: u8,
    kind: Kind,
    order: u8,
    pause_s: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let step = (0..6_u8, kind, 0..3_u8, 0..3_u64).prop_map(|(key, kind, order, pause_s)| Step {
        key,
        kind,
        order,
        pause_s,
    });
    prop::collection::vec(step, 1..60)
}

fn play(steps: &[Step]) -> Processor {
    let mut it = Processor {
        lifetime: Some(Duration::from_secs(10)),
        ..Processor::default()
    };
    for step in steps {
        it.now = it.now.plus(Duration::from_secs(step.pause_s));
        let reference = format!("o-{}", step.order);
        let target = it
            .ledger
            .filed_under(&reference.parse().unwrap())
            .next()
            .map_or(EntryId::new(0), |entry| entry.id);
        let operation = match step.kind {
            Kind::Authorise => authorise(&reference, 100 + i64::from(step.order), "tok_ok"),
            kind @ (Kind::Capture | Kind::Void | Kind::Refund) => follow(kind, target, None),
        };
        drop(it.ask(&format!("k-{}", step.key), operation));
    }
    it
}

proptest! {
    #[test]
    fn money_is_taken_and_given_back_at_most_once(steps in steps()) {
        let it = play(&steps);
        let mut done: BTreeMap<EntryId, BTreeSet<Kind>> = BTreeMap::new();
        for entry in it.ledger.entries() {
            let kinds = done.entry(entry.authorisation).or_default();
            prop_assert!(kinds.insert(entry.kind), "{} twice", entry.kind);
            if entry.kind == Kind::Refund {
                prop_assert!(kinds.contains(&Kind::Capture));
            }
            prop_assert!(!(kinds.contains(&Kind::Void) && kinds.contains(&Kind::Capture)));
        }
    }

    #[test]
    fn a_ledger_rebuilt_from_its_entries_decides_alike(steps in steps()) {
        let it = play(&steps);
        let mut rebuilt = Ledger::default();
        for entry in it.ledger.entries() {
            rebuilt.apply(Entry::clone(entry)).unwrap();
        }
        for entry in it.ledger.entries() {
            prop_assert_eq!(
                rebuilt.authorisation(entry.authorisation),
                it.ledger.authorisation(entry.authorisation)
            );
            let (key, day) = (&entry.key, DAY);
            prop_assert_eq!(
                rebuilt.remembered(entry.kind, key, it.now, day),
                it.ledger.remembered(entry.kind, key, it.now, day)
            );
        }
    }

    #[test]
    fn repeating_every_request_at_once_writes_nothing(steps in steps()) {
        let once = play(&steps);
        let twice: Vec<_> = steps
            .iter()
            .flat_map(|step| [step.clone(), Step { pause_s: 0, ..step.clone() }])
            .collect();
        prop_assert_eq!(play(&twice).ledger.last(), once.ledger.last());
    }
}
