//! Mistakes that someone could really make in the shells around the cores, under the same names as in
//! the services, so that the checkers can be seen to find them here too. Without the feature
//! `fault-injection` every switch is off for good.

use brewline_chaos::evidence::LedgerKind;
use brewline_inventory_domain::{Movement, MovementKind};
use brewline_kernel::{Money, OrderId};
use brewline_order_domain::checkout::Phase;
use brewline_payment_domain::{Answer, Call, Request};
use brewline_saga::log::LogEntry;

use crate::process::CallKind;
use crate::processor::Processor;

pub(crate) use brewline_failpoint::planted as is_on;

/// One order in four, told by its id.
pub(crate) fn is_rare(order: OrderId) -> bool {
    order.as_uuid().as_u128().is_multiple_of(4)
}

/// The epoch of the next holder. Planted: it goes down instead of up.
pub(crate) fn next_epoch(epoch: i64) -> i64 {
    if is_on("relay-forgets-its-epoch") && epoch > 1 {
        return epoch - 1;
    }
    epoch + 1
}

/// What is held on the card. Planted: a cent more.
pub(crate) fn amount(total: Money) -> Money {
    let more = i64::from(is_on("wrong-total"));
    Money::new(total.minor + more, total.currency)
}

/// Whether a call is not made. Planted: a reversal is thought unnecessary.
pub(crate) fn forgets(kind: CallKind) -> bool {
    kind == CallKind::Reverse && is_on("forget-reverse")
}

/// What the stock ledger says. Planted: one less is sold than was.
pub(crate) fn recorded(movement: Movement) -> i64 {
    let sold = movement.kind == MovementKind::Commit;
    movement.on_hand + i64::from(sold && is_on("ledger-off-by-one"))
}

/// What a checkout's log says. Planted: it leaves out a phase.
pub(crate) fn path(entries: Vec<LogEntry<Phase>>) -> Vec<LogEntry<Phase>> {
    if !is_on("saga-skips-state") {
        return entries;
    }
    let kept = entries
        .into_iter()
        .filter(|entry| entry.to != Phase::Authorising);
    let skips = |entry: LogEntry<Phase>| match entry.from == Phase::Authorising {
        true => LogEntry {
            from: Phase::Reserving,
            ..entry
        },
        false => entry,
    };
    kept.map(skips).collect()
}

/// Asks something else, or more, than the rules said.
pub(crate) fn instead(processor: &mut Processor, request: &Request, now: i64) -> Option<Answer> {
    match &request.call {
        Call::Void { authorisation_id } if is_on("capture-after-reverse") => {
            let amount = processor.amount_of(authorisation_id)?;
            Some(capture(processor, request, (authorisation_id, amount), now))
        }
        Call::Authorise { amount, .. } if is_on("double-capture") => {
            let again = processor.take(request, Some(format!("{}/again", request.order_id)), now);
            if let Answer::Authorised { id } = again {
                capture(processor, request, (&id, *amount), now);
            }
            None
        }
        Call::Authorise { .. } if request.attempt > 1 && is_on("404-means-no") => {
            let found = processor.take(request, None, now);
            let detail = "the processor knows nothing of it".to_owned();
            (found == Answer::Found(Vec::new())).then_some(Answer::Refused { detail })
        }
        Call::Authorise { .. }
        | Call::Capture { .. }
        | Call::Void { .. }
        | Call::Refund { .. }
        | Call::FindByReference => None,
    }
}

fn capture(
    processor: &mut Processor,
    request: &Request,
    (id, amount): (&str, Money),
    now: i64,
) -> Answer {
    let call = Call::Capture {
        authorisation_id: id.to_owned(),
        amount,
    };
    let request = Request {
        call,
        ..request.clone()
    };
    let key = format!("{}/{id}/{:?}", request.order_id, LedgerKind::Capture);
    processor.take(&request, Some(key), now)
}
