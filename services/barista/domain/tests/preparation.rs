//! Given a preparation, when a command comes, then this happens; and what holds after any commands.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic"
)]

use brewline_barista_domain::{
    CancellationCause, Command, NewTicket, Preparation, PreparationEvent, Rejection, Stage,
    Station, Ticket, TicketId, TicketStatus, WithdrawalReason, decide, evolve,
};
use brewline_kernel::StoreId;
use proptest::prelude::*;
use uuid::Uuid;

fn store() -> StoreId {
    "store-lisbon".parse().unwrap()
}

fn id(n: u128) -> TicketId {
    TicketId::new(Uuid::from_u128(n))
}

fn line(n: u128) -> NewTicket {
    NewTicket {
        id: id(n),
        product: "v60-ethiopia".parse().unwrap(),
        name: "V60 Ethiopia".to_owned(),
        quantity: 2,
        station: Station::Brew {
            method: "v60".to_owned(),
        },
    }
}

fn open(lines: u128) -> Command {
    Command::Open {
        store: store(),
        tickets: (0..lines).map(line).collect(),
    }
}

fn withdraw(asked: i64) -> Command {
    Command::Withdraw {
        store: store(),
        asked,
    }
}

fn cancelled(cause: CancellationCause) -> Command {
    Command::Cancelled {
        store: store(),
        cause,
    }
}

/// What came of a row of commands: each event that was told, and the last state.
#[derive(Default)]
struct Story {
    current: Option<Preparation>,
    told: Vec<PreparationEvent>,
}

impl Story {
    fn of(commands: &[Command]) -> Self {
        let mut story = Self::default();
        for command in commands {
            story.when(command).unwrap();
        }
        story
    }

    fn when(&mut self, command: &Command) -> Result<Vec<PreparationEvent>, Rejection> {
        let events = decide(self.current.as_ref(), command)?;
        for event in &events {
            self.current = evolve(self.current.take(), event);
            assert!(self.current.is_some(), "{event:?} came to nothing");
        }
        self.told
            .extend(events.iter().filter(|e| e.is_told()).cloned());
        Ok(events)
    }

    fn stage(&self) -> Stage {
        self.current.as_ref().unwrap().stage
    }

    fn statuses(&self) -> Vec<TicketStatus> {
        let tickets = &self.current.as_ref().unwrap().tickets;
        tickets.iter().map(|ticket| ticket.status).collect()
    }
}

fn granted(tickets: &[u128], answered: i64) -> PreparationEvent {
    PreparationEvent::TicketsWithdrawn {
        store: store(),
        reason: WithdrawalReason::Customer,
        tickets: tickets.iter().copied().map(id).collect(),
        answered,
    }
}

#[test]
fn a_sold_order_gets_one_ticket_a_line() {
    let story = Story::of(&[open(3)]);
    let tickets: Vec<(i32, TicketId)> = story
        .current
        .as_ref()
        .unwrap()
        .tickets
        .iter()
        .map(|ticket| (ticket.line, ticket.id))
        .collect();
    assert_eq!(tickets, [(0, id(0)), (1, id(1)), (2, id(2))]);
    assert_eq!(story.stage(), Stage::Open);
}

#[test]
fn the_last_ticket_makes_the_order_ready() {
    let mut story = Story::of(&[open(2), Command::Start(id(1))]);
    assert_eq!(
        story.told[1],
        PreparationEvent::PreparationStarted { ticket: id(1) }
    );
    let first = story.when(&Command::Finish(id(1))).unwrap();
    assert_eq!(
        first,
        [PreparationEvent::TicketDone {
            ticket: id(1),
            remaining: 1
        }]
    );
    let second = story.when(&Command::Start(id(0))).unwrap();
    assert_eq!(second, [PreparationEvent::TicketStarted { ticket: id(0) }]);
    let last = story.when(&Command::Finish(id(0))).unwrap();
    let done = PreparationEvent::TicketDone {
        ticket: id(0),
        remaining: 0,
    };
    assert_eq!(last, [done, PreparationEvent::PreparationCompleted]);
    assert_eq!(story.current.unwrap().version, 6);
}

#[test]
fn repeats_change_nothing_and_are_no_error() {
    let mut story = Story::of(&[open(1), Command::Start(id(0))]);
    for repeat in [open(1), Command::Start(id(0))] {
        assert_eq!(story.when(&repeat), Ok(Vec::new()));
    }
    story.when(&Command::Finish(id(0))).unwrap();
    assert_eq!(story.when(&Command::Finish(id(0))), Ok(Vec::new()));
    assert_eq!(
        story.when(&Command::Start(id(0))),
        Err(Rejection::AlreadyDone)
    );
}

#[test]
fn what_nobody_began_cannot_be_done() {
    let mut story = Story::of(&[open(1)]);
    assert_eq!(
        story.when(&Command::Finish(id(0))),
        Err(Rejection::NotStarted)
    );
    assert_eq!(
        story.when(&Command::Finish(id(9))),
        Err(Rejection::UnknownTicket)
    );
    assert_eq!(
        Story::default().when(&Command::Start(id(0))),
        Err(Rejection::UnknownTicket)
    );
}

#[test]
fn a_withdrawal_is_granted_while_nobody_has_begun() {
    let mut story = Story::of(&[open(2)]);
    assert_eq!(story.when(&withdraw(3)), Ok(vec![granted(&[0, 1], 3)]));
    assert_eq!(story.statuses(), [TicketStatus::Withdrawn; 2]);
    assert_eq!(
        story.when(&Command::Start(id(0))),
        Err(Rejection::Withdrawn)
    );
    // The order's own cancellation follows, and finds nothing to drop.
    assert_eq!(
        story.when(&cancelled(CancellationCause::Customer)),
        Ok(Vec::new())
    );
}

#[test]
fn a_withdrawal_is_refused_once_somebody_has_begun() {
    let mut story = Story::of(&[open(2), Command::Start(id(0))]);
    let refused = PreparationEvent::WithdrawalRefused { answered: 3 };
    assert_eq!(story.when(&withdraw(3)), Ok(vec![refused]));
    assert_eq!(story.when(&withdraw(3)), Ok(Vec::new()));
    story.when(&Command::Start(id(1))).unwrap();
    assert_eq!(story.statuses(), [TicketStatus::Started; 2]);
}

#[test]
fn a_withdrawal_before_the_opening_is_granted_and_the_late_opening_does_nothing() {
    let mut story = Story::default();
    assert_eq!(story.when(&withdraw(3)), Ok(vec![granted(&[], 3)]));
    assert_eq!(story.when(&open(2)), Ok(Vec::new()));
    assert_eq!(story.current.unwrap().version, 1);
}

#[test]
fn an_order_that_ended_before_the_opening_leaves_a_trace_and_tells_nobody() {
    for cause in [CancellationCause::Customer, CancellationCause::PaymentLost] {
        let mut story = Story::of(&[cancelled(cause), cancelled(cause)]);
        assert_eq!(story.when(&open(2)), Ok(Vec::new()));
        assert!(story.told.is_empty());
        assert_eq!(
            (story.stage(), story.current.unwrap().version),
            (Stage::Withdrawn, 0)
        );
    }
}

#[test]
fn lost_money_drops_what_is_open_whatever_has_begun() {
    let mut story = Story::of(&[open(3), Command::Start(id(0)), Command::Finish(id(0))]);
    story.when(&Command::Start(id(1))).unwrap();
    let events = story
        .when(&cancelled(CancellationCause::PaymentLost))
        .unwrap();
    let dropped = PreparationEvent::TicketsWithdrawn {
        store: store(),
        reason: WithdrawalReason::PaymentLost,
        tickets: vec![id(1), id(2)],
        answered: 0,
    };
    assert_eq!(events, [dropped]);
    use TicketStatus::{Done, Withdrawn};
    assert_eq!(story.statuses(), [Done, Withdrawn, Withdrawn]);
    assert_eq!(
        story.when(&cancelled(CancellationCause::PaymentLost)),
        Ok(Vec::new())
    );
}

#[test]
fn an_order_without_lines_is_none() {
    let mut odd = line(0);
    odd.quantity = 0;
    let odd = Command::Open {
        store: store(),
        tickets: vec![odd],
    };
    for wrong in [open(0), odd] {
        assert_eq!(Story::default().when(&wrong), Err(Rejection::NoSuchOrder));
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => Just(open(3)),
        6 => (0_u128..4).prop_map(|n| Command::Start(id(n))),
        6 => (0_u128..4).prop_map(|n| Command::Finish(id(n))),
        2 => (1_i64..4).prop_map(withdraw),
        1 => Just(cancelled(CancellationCause::Customer)),
        1 => Just(cancelled(CancellationCause::PaymentLost)),
    ]
}

/// What must hold after any row of commands, judged from what was told and the last state alone.
fn holds(story: &Story, asked: &[i64]) {
    use PreparationEvent as E;
    let Some(current) = &story.current else {
        return assert!(story.told.is_empty());
    };
    let count = |of: fn(&E) -> bool| story.told.iter().filter(|event| of(event)).count();
    assert_eq!(
        current.version,
        i64::try_from(story.told.len()).unwrap(),
        "versions have no gap"
    );
    let all_done = |t: &[Ticket]| !t.is_empty() && t.iter().all(|t| t.status == TicketStatus::Done);
    assert_eq!(
        current.stage == Stage::Completed,
        all_done(&current.tickets)
    );
    assert_eq!(
        count(|e| *e == E::PreparationCompleted),
        usize::from(all_done(&current.tickets))
    );
    let started = count(|e| matches!(e, E::PreparationStarted { .. }));
    assert!(started <= 1 && count(|e| matches!(e, E::TicketsOpened { .. })) <= 1);
    let touched = |t: &Ticket| matches!(t.status, TicketStatus::Started | TicketStatus::Done);
    assert!(started == 1 || !current.tickets.iter().any(touched));
    let taken = |e: &&E| match e {
        E::TicketsWithdrawn { tickets, .. } => !tickets.is_empty(),
        _ => false,
    };
    assert!(
        story.told.iter().filter(taken).count() <= 1,
        "tickets are withdrawn once"
    );
    if current.stage == Stage::Withdrawn {
        assert_eq!(current.remaining(), 0, "what is withdrawn is off the wall");
    }
    answers_are_one_each(&story.told, asked);
    nothing_is_told_of_a_withdrawn_ticket(&story.told);
}

fn answers_are_one_each(told: &[PreparationEvent], asked: &[i64]) {
    use PreparationEvent as E;
    let mut answers: Vec<i64> = told
        .iter()
        .filter_map(|event| match event {
            E::TicketsWithdrawn { answered, .. } | E::WithdrawalRefused { answered } => {
                Some(*answered)
            }
            _ => None,
        })
        .filter(|answered| *answered > 0)
        .collect();
    // A request that comes after a later one is stale: the later one's answer covers it.
    let mut wanted: Vec<i64> = Vec::new();
    for asked in asked {
        if wanted.last().is_none_or(|last| asked > last) {
            wanted.push(*asked);
        }
    }
    answers.sort_unstable();
    assert_eq!(answers, wanted);
}

fn nothing_is_told_of_a_withdrawn_ticket(told: &[PreparationEvent]) {
    use PreparationEvent as E;
    let mut gone: Vec<TicketId> = Vec::new();
    let mut begun = false;
    for event in told {
        match event {
            E::PreparationStarted { ticket } | E::TicketStarted { ticket } => {
                begun = true;
                assert!(!gone.contains(ticket));
            }
            E::TicketDone { ticket, .. } => assert!(!gone.contains(ticket)),
            E::TicketsWithdrawn {
                tickets, answered, ..
            } => {
                assert!(
                    *answered == 0 || tickets.is_empty() || !begun,
                    "granted although somebody had begun"
                );
                gone.extend(tickets);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn any_commands_keep_the_rules(commands in prop::collection::vec(any_command(), 0..24)) {
        let (mut story, mut asked) = (Story::default(), Vec::new());
        for command in &commands {
            let before = story.current.clone();
            let answer = story.when(command);
            match (command, &answer) {
                (Command::Withdraw { asked: at, .. }, Ok(_)) => asked.push(*at),
                (_, Err(_)) => assert_eq!(before, story.current, "a refusal changes nothing"),
                _ => {}
            }
            // Whatever was just decided, the same again decides nothing more.
            if answer.is_ok() {
                prop_assert_eq!(decide(story.current.as_ref(), command), Ok(Vec::new()));
            }
            holds(&story, &asked);
        }
    }
}
