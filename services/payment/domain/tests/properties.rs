//! Whatever the processor does, and whenever the service dies: an order is charged once, its undo
//! leaves nothing, and the ledger says what the processor says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_payment_domain::{
    Answer, Call, Command, Event, Found, FoundStatus, KeyLifetime, Kind, Outcome, Payment, Posting,
    Request, State, Step, TokenHash,
};
use proptest::prelude::*;

/// How long the model processor remembers a key, and half of it: the latest a request arrives.
const LIFETIME_MS: i64 = 1_000;
const LATE_MS_MAX: i64 = LIFETIME_MS / 2 - 1;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Answered at once.
    Answered,
    /// It never arrives.
    Lost,
    /// It takes effect; the answer never comes.
    AnswerLost,
    /// It takes effect so much later; nobody waits for the answer.
    Late(i64),
    /// It takes effect; the answer is recorded only some commands later.
    RecordedLater,
    /// The service dies before it asks.
    Crashed,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    command: Kind,
    fate: Fate,
    declines: bool,
    then_ms: i64,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Answered),
        2 => Just(Fate::Lost),
        2 => Just(Fate::AnswerLost),
        2 => (1..=LATE_MS_MAX).prop_map(Fate::Late),
        1 => Just(Fate::RecordedLater),
        1 => Just(Fate::Crashed),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let kinds = prop_oneof![
        4 => Just(Kind::Authorise),
        4 => Just(Kind::Capture),
        1 => Just(Kind::Reverse),
    ];
    let pauses = prop_oneof![4 => 0..200_i64, 1 => 400..3_000_i64];
    let turn = (kinds, fates(), prop::bool::weighted(0.1), pauses).prop_map(
        |(command, fate, declines, then_ms)| Turn {
            command,
            fate,
            declines,
            then_ms,
        },
    );
    prop::collection::vec(turn, 1..30)
}

/// A processor that keeps its word about keys and nothing else: it never refuses a second capture.
#[derive(Default)]
struct Processor {
    keys: BTreeMap<String, (i64, Answer)>,
    authorisations: Vec<Authorisation>,
    late: Vec<(i64, Request)>,
}

#[derive(Default)]
struct Authorisation {
    declined: bool,
    captures: u32,
    voids: u32,
    refunds: u32,
}

impl Processor {
    fn take(&mut self, request: &Request, declines: bool, now: i64) -> Answer {
        let Some(key) = request.key() else {
            return Answer::Found(self.find());
        };
        if let Some((since, answer)) = self.keys.get(&key)
            && now - since < LIFETIME_MS
        {
            return answer.clone();
        }
        let answer = self.perform(&request.call, declines);
        self.keys.insert(key, (now, answer.clone()));
        answer
    }

    fn perform(&mut self, call: &Call, declines: bool) -> Answer {
        match call {
            Call::Authorise { .. } => return self.authorise(declines),
            Call::Capture {
                authorisation_id, ..
            } => self.of(authorisation_id).captures += 1,
            Call::Void { authorisation_id } => self.of(authorisation_id).voids += 1,
            Call::Refund {
                authorisation_id, ..
            } => self.of(authorisation_id).refunds += 1,
            Call::FindByReference => unreachable!("it has no key"),
        }
        Answer::Accepted
    }

    fn authorise(&mut self, declined: bool) -> Answer {
        let id = self.authorisations.len().to_string();
        self.authorisations.push(Authorisation {
            declined,
            ..Authorisation::default()
        });
        if declined {
            let code = "insufficient".to_owned();
            return Answer::Declined { code };
        }
        Answer::Authorised { id }
    }

    fn of(&mut self, id: &str) -> &mut Authorisation {
        &mut self.authorisations[id.parse::<usize>().unwrap()]
    }

    fn find(&self) -> Vec<Found> {
        let found = |(id, a): (usize, &Authorisation)| Found {
            id: id.to_string(),
            status: match a {
                Authorisation { declined: true, .. } => FoundStatus::Declined("then".to_owned()),
                Authorisation { refunds: 1.., .. } => FoundStatus::Refunded,
                Authorisation { captures: 1.., .. } => FoundStatus::Captured,
                Authorisation { voids: 1.., .. } => FoundStatus::Voided,
                _ => FoundStatus::Authorised,
            },
        };
        self.authorisations.iter().enumerate().map(found).collect()
    }

    fn land(&mut self, now: i64) {
        let (landed, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = late;
        for (at, request) in landed {
            self.take(&request, false, at);
        }
    }
}

/// One order, the processor, and the shell between them.
struct World {
    now_ms: i64,
    payment: Payment,
    processor: Processor,
    unrecorded: Vec<(Request, Answer)>,
    events: Vec<Event>,
    books: Posting,
}

impl World {
    fn new() -> Self {
        Self {
            now_ms: 0,
            payment: Payment::new(order()),
            processor: Processor::default(),
            unrecorded: Vec::new(),
            events: Vec::new(),
            books: Posting::default(),
        }
    }

    fn turn(&mut self, turn: Turn) {
        self.processor.land(self.now_ms);
        let command = command(turn.command);
        let lifetime = KeyLifetime::new(Duration::from_millis(LIFETIME_MS.unsigned_abs()));
        let now = Timestamp::from_millis(self.now_ms);
        if let Step::Ask(request) = self.payment.decide(&command, now, lifetime) {
            self.perform(request, turn);
        }
        self.now_ms += turn.then_ms;
        self.processor.land(self.now_ms);
    }

    fn perform(&mut self, request: Request, turn: Turn) {
        let unknown = Answer::Unknown {
            detail: "timeout".to_owned(),
        };
        match turn.fate {
            Fate::Crashed => {}
            Fate::Lost => self.record(&request, &unknown),
            Fate::Late(by) => {
                self.record(&request, &unknown);
                self.processor.late.push((self.now_ms + by, request));
            }
            Fate::AnswerLost => {
                self.processor.take(&request, turn.declines, self.now_ms);
                self.record(&request, &unknown);
            }
            Fate::RecordedLater => {
                let answer = self.processor.take(&request, turn.declines, self.now_ms);
                self.unrecorded.push((request, answer));
            }
            Fate::Answered => {
                let answer = self.processor.take(&request, turn.declines, self.now_ms);
                self.record(&request, &answer);
                self.record_the_rest();
            }
        }
    }

    fn record(&mut self, request: &Request, answer: &Answer) {
        let before = self.payment.clone();
        let event = self.payment.learn(request, answer);
        for kind in [Kind::Authorise, Kind::Capture, Kind::Reverse] {
            if let Some(was) = before.operation(kind).filter(|o| o.state.is_definite()) {
                assert_eq!(Some(was), self.payment.operation(kind), "{kind:?} changed");
            }
        }
        if let Some(event) = event {
            if let Some(posting) = Posting::of(&event, amount()) {
                self.books.held += posting.held;
                self.books.receivable += posting.receivable;
            }
            self.events.push(event);
            assert_eq!(
                self.payment.events,
                i64::try_from(self.events.len()).unwrap()
            );
        }
    }

    fn record_the_rest(&mut self) {
        for (request, answer) in std::mem::take(&mut self.unrecorded) {
            self.record(&request, &answer);
        }
    }

    /// The faults are over: the saga repeats its last command until the answer is definite.
    fn settle(&mut self, kind: Kind) -> Outcome {
        self.now_ms += LATE_MS_MAX;
        self.processor.land(self.now_ms);
        self.record_the_rest();
        for _ in 0..8 {
            self.turn(Turn {
                command: kind,
                fate: Fate::Answered,
                declines: false,
                then_ms: 1,
            });
            let outcome = self.payment.outcome(kind);
            if !matches!(outcome, Outcome::Unknown { .. }) {
                return outcome;
            }
        }
        panic!("{kind:?} is still unknown: {:?}", self.payment);
    }
}

fn order() -> OrderId {
    "0197a5f0-0000-7000-8000-000000000001".parse().unwrap()
}

fn amount() -> Money {
    Money::new(350, "EUR".parse().unwrap())
}

fn command(kind: Kind) -> Command {
    match kind {
        Kind::Authorise => Command::Authorise {
            amount: amount(),
            token: "tok_ok".to_owned(),
            token_hash: TokenHash([7; 32]),
        },
        Kind::Capture => Command::Capture,
        Kind::Reverse => Command::Reverse,
    }
}

fn run(turns: Vec<Turn>) -> World {
    let mut world = World::new();
    for turn in turns {
        world.turn(turn);
        for authorisation in &world.processor.authorisations {
            assert!(authorisation.captures <= 1, "captured twice");
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_order_is_charged_at_most_once(turns in turns()) {
        let mut world = run(turns);
        world.settle(Kind::Authorise);
        let holding = world.processor.authorisations.iter().filter(|a| !a.declined).count();
        prop_assert!(holding <= 1, "{holding} authorisations");
    }

    #[test]
    fn a_reversal_leaves_nothing_held_and_nothing_taken(turns in turns()) {
        let mut world = run(turns);
        let outcome = world.settle(Kind::Reverse);
        prop_assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        for a in world.processor.authorisations.iter().filter(|a| !a.declined) {
            prop_assert_eq!((a.captures, a.refunds), (a.captures.min(1), a.captures));
            prop_assert_eq!(a.voids, 1 - a.captures);
        }
        prop_assert_eq!((world.books.held, world.books.receivable), (0, 0));
    }

    #[test]
    fn nothing_is_asked_for_once_a_reversal_is_definite(turns in turns(), more in turns()) {
        let mut world = run(turns);
        world.settle(Kind::Reverse);
        let before = world.payment.clone();
        for turn in more {
            world.turn(turn);
        }
        prop_assert_eq!(before, world.payment);
    }

    #[test]
    fn the_ledger_says_what_the_processor_says(turns in turns()) {
        let mut world = run(turns);
        let last = if world.payment.reversal.is_some() { Kind::Reverse } else { Kind::Authorise };
        world.settle(last);
        if world.payment.capture.is_some() && last == Kind::Authorise {
            world.settle(Kind::Capture);
        }
        let net: i64 = world.processor.authorisations.iter()
            .map(|a| (i64::from(a.captures) - i64::from(a.refunds)) * amount().minor)
            .sum();
        prop_assert_eq!(world.books.receivable, net);
        let captured = world.payment.capture.as_ref().is_some_and(|c| c.state == State::Done);
        let events = world.events.iter().filter(|e| **e == Event::Captured).count();
        prop_assert_eq!(events, usize::from(captured));
    }
}
