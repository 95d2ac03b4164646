//! The order's rules as given/when/then tables, and what holds after any sequence of commands.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_order_domain::order::{
    BaristaNews, CancellationReason, CancellationStatus, Line, Order, OrderCommand, OrderEvent,
    OrderRejection, OrderStatus, Placement, ProductKind, Rejection, RejectionCode, Withdrawal,
    decide, evolve, fold, hear,
};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn placement() -> Placement {
    let price = Money::new(350, "EUR".parse().unwrap());
    Placement {
        order_id: OrderId::new("01900000-0000-7000-8000-000000000001".parse().unwrap()),
        store_id: "store-lisbon".parse().unwrap(),
        customer_id: "customer-demo".parse().unwrap(),
        lines: vec![Line {
            product_id: "cortado".parse().unwrap(),
            name: "Cortado".to_owned(),
            kind: ProductKind::Drink,
            method: "espresso".to_owned(),
            origin: "brazil".to_owned(),
            unit_price: price,
            quantity: 2,
        }],
        total: price.times(2).unwrap(),
    }
}

fn place() -> OrderCommand {
    OrderCommand::Place(placement())
}

fn cancel(withdrawal: Withdrawal) -> OrderCommand {
    let reason = "changed my mind".to_owned();
    OrderCommand::Cancel { reason, withdrawal }
}

fn reject() -> OrderCommand {
    let detail = "cortado".to_owned();
    OrderCommand::Reject(Rejection {
        code: RejectionCode::OutOfStock,
        detail,
    })
}

fn refuse() -> OrderCommand {
    OrderCommand::RefuseCancellation {
        reason: "begun".to_owned(),
    }
}

/// The order after commands that all must be allowed, one a second.
fn given(commands: &[OrderCommand]) -> Option<Order> {
    let mut order = None;
    for (second, command) in (1..).zip(commands) {
        let events = decide(order.as_ref(), command.clone(), at(second)).expect("it is allowed");
        order = events.iter().fold(order, evolve);
    }
    order
}

/// The names of the events that `command` leads to, or the status that refuses it.
fn when(order: Option<&Order>, command: OrderCommand) -> Result<Vec<&'static str>, OrderStatus> {
    match decide(order, command, at(99)) {
        Ok(events) => Ok(events.iter().map(OrderEvent::name).collect()),
        Err(OrderRejection::NotAllowed { status, .. }) => Err(status),
        Err(other) => panic!("{other}"),
    }
}

fn in_status(status: OrderStatus) -> Order {
    use OrderCommand::{Collect, Confirm, GrantCancellation, MarkReady, StartPreparation};
    let made = [place(), Confirm, StartPreparation, MarkReady, Collect];
    let commands = match status {
        OrderStatus::Pending => made[..1].to_vec(),
        OrderStatus::Confirmed => made[..2].to_vec(),
        OrderStatus::Preparing => made[..3].to_vec(),
        OrderStatus::Ready => made[..4].to_vec(),
        OrderStatus::Collected => made.to_vec(),
        OrderStatus::Rejected => vec![place(), reject()],
        OrderStatus::Cancelling => vec![place(), Confirm, cancel(Withdrawal::AskBarista)],
        OrderStatus::Cancelled => vec![
            place(),
            Confirm,
            cancel(Withdrawal::AskBarista),
            GrantCancellation,
        ],
    };
    given(&commands).unwrap()
}

/// The command is refused.
const NO: &str = "refused";
/// The command is allowed and changes nothing: what it asks for is so already.
const SAME: &str = "nothing new";

/// What each status answers to: confirm, reject, cancel at once, cancel by asking, prepare, ready,
/// collect.
const ANSWERS: [(OrderStatus, [&str; 7]); 8] = [
    (
        OrderStatus::Pending,
        [
            "OrderConfirmed",
            "OrderRejected",
            "OrderCancelled",
            "OrderCancelled",
            NO,
            NO,
            NO,
        ],
    ),
    (
        OrderStatus::Confirmed,
        [
            NO,
            NO,
            "OrderCancelled",
            "OrderCancellationRequested",
            "OrderPreparationStarted",
            NO,
            NO,
        ],
    ),
    (
        OrderStatus::Preparing,
        [NO, NO, NO, NO, SAME, "OrderReady", NO],
    ),
    (
        OrderStatus::Ready,
        [NO, NO, NO, NO, NO, SAME, "OrderCollected"],
    ),
    (OrderStatus::Collected, [NO, NO, NO, NO, NO, NO, SAME]),
    (OrderStatus::Rejected, [NO, NO, NO, NO, NO, NO, NO]),
    (
        OrderStatus::Cancelling,
        [NO, NO, SAME, SAME, "OrderPreparationStarted", NO, NO],
    ),
    (OrderStatus::Cancelled, [NO, NO, SAME, SAME, NO, NO, NO]),
];

#[test]
fn every_status_answers_every_command_as_specified() {
    for (status, answers) in ANSWERS {
        let order = in_status(status);
        let commands = [
            OrderCommand::Confirm,
            reject(),
            cancel(Withdrawal::AtOnce),
            cancel(Withdrawal::AskBarista),
            OrderCommand::StartPreparation,
            OrderCommand::MarkReady,
            OrderCommand::Collect,
        ];
        for (command, expected) in commands.into_iter().zip(answers) {
            let asked = format!("{command:?} while {status}");
            let answer = match when(Some(&order), command).as_deref() {
                Err(_) => NO,
                Ok([]) => SAME,
                Ok([event]) => event,
                Ok(events) => panic!("{asked}: {events:?}"),
            };
            assert_eq!(answer, expected, "{asked}");
        }
    }
}

#[test]
fn an_order_that_does_not_exist_can_only_be_placed() {
    assert_eq!(
        decide(None, OrderCommand::Confirm, at(1)),
        Err(OrderRejection::Unknown)
    );
    let order = given(&[place()]).unwrap();
    assert_eq!((order.version, order.status), (1, OrderStatus::Pending));
    assert_eq!(
        decide(Some(&order), place(), at(2)),
        Err(OrderRejection::Exists)
    );
}

#[test]
fn a_refused_cancellation_goes_back_to_where_the_barista_has_come() {
    let asked = [
        place(),
        OrderCommand::Confirm,
        cancel(Withdrawal::AskBarista),
    ];
    let progress = [OrderCommand::StartPreparation, OrderCommand::MarkReady];
    let expected = [
        OrderStatus::Confirmed,
        OrderStatus::Preparing,
        OrderStatus::Ready,
    ];
    for (steps, expected) in expected.into_iter().enumerate() {
        let commands = [&asked[..], &progress[..steps]].concat();
        let order = given(&commands).unwrap();
        assert_eq!(order.status, OrderStatus::Cancelling, "the lock holds");
        let order = given(&[&commands[..], &[refuse()]].concat()).unwrap();
        assert_eq!(order.status, expected);
        assert_eq!(
            order.cancellation.unwrap().status,
            CancellationStatus::Refused
        );
    }
}

#[test]
fn a_granted_cancellation_keeps_the_reason_it_was_asked_for() {
    let order = in_status(OrderStatus::Cancelling);
    let events = decide(Some(&order), OrderCommand::GrantCancellation, at(9)).unwrap();
    let OrderEvent::Cancelled { reason, detail, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(*reason, CancellationReason::Customer);
    assert_eq!(detail, "changed my mind");
}

#[test]
fn what_the_barista_has_begun_is_not_cancelled_even_if_it_says_so() {
    let begun = [
        place(),
        OrderCommand::Confirm,
        cancel(Withdrawal::AskBarista),
        OrderCommand::StartPreparation,
    ];
    let order = given(&begun).unwrap();
    assert_eq!(
        when(Some(&order), OrderCommand::GrantCancellation),
        Err(OrderStatus::Cancelling)
    );
}

#[test]
fn nothing_is_handed_over_while_a_cancellation_is_being_decided() {
    let made = [
        place(),
        OrderCommand::Confirm,
        cancel(Withdrawal::AskBarista),
        OrderCommand::StartPreparation,
        OrderCommand::MarkReady,
    ];
    let order = given(&made).unwrap();
    assert_eq!(
        when(Some(&order), OrderCommand::Collect),
        Err(OrderStatus::Cancelling)
    );
    let order = given(&[&made[..], &[refuse()]].concat()).unwrap();
    assert_eq!(
        when(Some(&order), OrderCommand::Collect),
        Ok(vec!["OrderCollected"])
    );
}

#[test]
fn a_cancelled_order_hears_nothing_of_the_barista() {
    let order = in_status(OrderStatus::Cancelled);
    let reason = "begun".to_owned();
    for news in [
        BaristaNews::Started,
        BaristaNews::Completed,
        BaristaNews::Withdrawn,
        BaristaNews::Refused { reason },
    ] {
        assert_eq!(hear(&order, news, at(9)), Ok(Vec::new()));
    }
}

#[test]
fn a_barista_that_contradicts_itself_is_not_believed() {
    let confirmed = in_status(OrderStatus::Confirmed);
    for news in [BaristaNews::Completed, BaristaNews::Withdrawn] {
        assert!(hear(&confirmed, news, at(9)).is_err());
    }
}

#[test]
fn lost_payment_gives_up_what_is_sold_and_nothing_else() {
    for status in OrderStatus::ALL {
        let order = in_status(status);
        let allowed = decide(Some(&order), OrderCommand::LosePayment, at(9)).is_ok();
        let sold = matches!(
            status,
            OrderStatus::Confirmed
                | OrderStatus::Preparing
                | OrderStatus::Ready
                | OrderStatus::Collected
        );
        assert_eq!(allowed, sold, "{status}");
    }
}

#[test]
fn a_cancelled_order_remembers_when_it_was_confirmed() {
    let order = given(&[place(), OrderCommand::Confirm, cancel(Withdrawal::AtOnce)]).unwrap();
    assert_eq!(order.confirmed_at, Some(at(2)));
    let order = given(&[place(), cancel(Withdrawal::AtOnce)]).unwrap();
    assert_eq!(order.confirmed_at, None);
}

fn any_command() -> impl Strategy<Value = OrderCommand> {
    prop_oneof![
        Just(place()),
        Just(OrderCommand::Confirm),
        Just(reject()),
        Just(cancel(Withdrawal::AtOnce)),
        Just(cancel(Withdrawal::AskBarista)),
        Just(OrderCommand::GrantCancellation),
        Just(refuse()),
        Just(OrderCommand::LosePayment),
        Just(OrderCommand::StartPreparation),
        Just(OrderCommand::MarkReady),
        Just(OrderCommand::Collect),
    ]
}

proptest! {
    #[test]
    fn any_sequence_of_commands_keeps_the_order_sane(
        commands in prop::collection::vec(any_command(), 0..30)
    ) {
        let (mut order, mut told): (Option<Order>, Vec<OrderEvent>) = (None, Vec::new());
        for (second, command) in (1..).zip(commands) {
            for event in decide(order.as_ref(), command, at(second)).unwrap_or_default() {
                order = evolve(order, &event);
                told.push(event);
            }
        }
        prop_assert_eq!(&fold(&told), &order, "folding what was told gives what is");
        let count = |name| told.iter().filter(|event| event.name() == name).count();
        prop_assert!(count("OrderConfirmed") + count("OrderRejected") <= 1);
        prop_assert!(count("OrderCancelled") <= 1);
        prop_assert!(count("OrderRejected") + count("OrderCancelled") <= 1);
        let answered = count("OrderCancellationRefused") + count("OrderCancelled");
        let asked = count("OrderCancellationRequested");
        let cancelling = order.as_ref().is_some_and(|o| o.status == OrderStatus::Cancelling);
        prop_assert!(asked <= answered + usize::from(cancelling), "each request has one answer");
        let by_customer = |event: &OrderEvent| matches!(event,
            OrderEvent::Cancelled { reason: CancellationReason::Customer, .. });
        if told.iter().any(by_customer) {
            prop_assert_eq!(count("OrderPreparationStarted"), 0, "nothing begun is cancelled");
        }
        if let Some(order) = order {
            prop_assert_eq!(usize::try_from(order.version).unwrap(), told.len());
            prop_assert_eq!(order.resumes_as.is_some(), order.status == OrderStatus::Cancelling);
            prop_assert_eq!(order.rejection.is_some(), order.status == OrderStatus::Rejected);
        }
    }
}
