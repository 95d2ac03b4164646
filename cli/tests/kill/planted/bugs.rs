//! The bugs, what each needs to bite, who must catch it and by which words.

use super::{Bait, Planted};

/// The bugs that the whole platform shows within seconds. Those that need a rare interleaving or a long
/// wait are found by the simulator (`chaos/sim/tests/planted.rs`), under the same checkers.
pub(crate) const ALL: &[Planted] = &[
    bug(
        "wrong-total",
        "order",
        Bait::Orders,
        "I6",
        &["the order's total is"],
    ),
    bug(
        "wrong-capture-amount",
        "payment",
        Bait::Orders,
        "I6",
        &["the order's total is"],
    ),
    bug(
        "double-capture",
        "payment",
        LOST_CAPTURES,
        "I5",
        &["captured 2 times"],
    ),
    bug(
        "new-key-on-unknown",
        "payment",
        LOST_AUTHORISATIONS,
        "I5",
        &["was left open", "captured 2 times"],
    ),
    bug(
        "forget-reverse",
        "order",
        Bait::Orders,
        "I5",
        &["cancelled, and charged", "was left open"],
    ),
    bug(
        "reject-keeps-capture",
        "order",
        Bait::Orders,
        "I5",
        &["rejected, and charged"],
    ),
    bug(
        "forget-release",
        "inventory",
        Bait::Orders,
        "I4",
        &["are still held for a closed order"],
    ),
    bug(
        "release-twice",
        "inventory",
        Bait::Orders,
        "I4",
        &["are still held for a closed order"],
    ),
    bug(
        "idempotency-ignores-key",
        "order",
        Bait::Orders,
        "I14",
        &["not on record under it"],
    ),
    bug(
        "phantom-order",
        "order",
        Bait::Orders,
        "I2",
        &["no client asked for this order"],
    ),
    bug(
        "lose-acked-order",
        "order",
        Bait::Orders,
        "I1",
        &["and lost"],
    ),
    bug(
        "checkout-forgotten",
        "order",
        Bait::Orders,
        "I8",
        &["an order without a checkout"],
    ),
    bug(
        "unknown-capture-means-refused",
        "order",
        LOST_CAPTURES,
        "I8",
        &["parked: capture-refused"],
    ),
    bug(
        "saga-skips-state",
        "order",
        Bait::Orders,
        "I9",
        &["is no step", "its log goes on from"],
    ),
    bug(
        "ledger-off-by-one",
        "inventory",
        Bait::Orders,
        "I3",
        &["on hand and"],
    ),
    bug(
        "consumer-ignores-inbox",
        "inventory",
        Bait::LateRecords,
        "I12",
        &["and applied only version"],
    ),
    bug(
        "duplicate-takes-effect",
        "inventory",
        Bait::LateRecords,
        "I11",
        &["moved its stock twice"],
    ),
    bug(
        "consumer-skips-offset",
        "inventory",
        Bait::Orders,
        "I12",
        &["and applied only version"],
    ),
    bug(
        "outbox-forgotten",
        "order",
        Bait::Orders,
        "I10",
        &["was never to be published", "in the log"],
    ),
    bug(
        "relay-skips-gaps",
        "order",
        Bait::SlowCommit,
        "I10",
        &["never reached the log"],
    ),
    bug(
        "relay-marks-before-ack",
        "order",
        Bait::CrashBeforeAck,
        "I10",
        &["never reached the log"],
    ),
    bug(
        "relay-ignores-lease",
        "order",
        Bait::LostLease,
        "I20",
        &["after the next had begun"],
    ),
    bug(
        "relay-forgets-its-epoch",
        "order",
        Bait::LostLease,
        "I20",
        &["which is at", "relay went from epoch"],
    ),
    bug(
        "cancel-without-asking",
        "order",
        Bait::Orders,
        "tickets",
        &["without the barista's leave"],
    ),
    bug(
        "tickets-forgotten",
        "barista",
        Bait::Orders,
        "tickets",
        &["its tickets in its event are []"],
    ),
    bug(
        "ticket-doubled",
        "barista",
        Bait::Orders,
        "tickets",
        &["its tickets in its event are [("],
    ),
    bug(
        "done-too-early",
        "barista",
        Bait::Orders,
        "tickets",
        &["not all of its tickets are done"],
    ),
    // The order refuses to believe it: the record is a dead letter.
    bug(
        "withdraw-although-started",
        "barista",
        Bait::Race,
        "I19",
        &["that is cancelling cannot be cancelled"],
    ),
    bug(
        "refusal-forgotten",
        "order",
        Bait::Race,
        "tickets",
        &["cancelling, and the barista's answer was applied"],
    ),
    bug(
        "erasure-forgets-answers",
        "order",
        Bait::Erasure,
        "erasure",
        &["left in its idempotent answers"],
    ),
    bug(
        "mail-twice",
        "notification",
        Bait::Orders,
        "I7",
        &["its customer got"],
    ),
    bug(
        "new-message-id-on-retry",
        "notification",
        LOST_MAILS,
        "I7",
        &["its customer got"],
    ),
    bug(
        "mail-forgotten",
        "notification",
        Bait::Orders,
        "I7",
        &["and none was planned"],
    ),
    bug(
        "hook-new-id-per-attempt",
        "notification",
        LOST_CALLS,
        "I7",
        &["till was told"],
    ),
    bug(
        "boards-count-twice",
        "leaderboard",
        Bait::Orders,
        "I13",
        &["the log says it"],
    ),
    bug(
        "boards-forget-take-back",
        "leaderboard",
        Bait::Orders,
        "I13",
        &["the log says it", "the log knows nothing of it"],
    ),
    bug(
        "boards-utc-date",
        "leaderboard",
        Bait::Orders,
        "I13",
        &["day "],
    ),
];

const LOST_MAILS: Bait = Bait::LostAnswers("mail");
const LOST_CALLS: Bait = Bait::LostAnswers("hook");
const LOST_CAPTURES: Bait = Bait::LostAnswers("capture");
const LOST_AUTHORISATIONS: Bait = Bait::LostAnswers("authorise");

const fn bug(
    bug: &'static str,
    service: &'static str,
    bait: Bait,
    caught_by: &'static str,
    says: &'static [&'static str],
) -> Planted {
    Planted {
        bug,
        service,
        bait,
        caught_by,
        says,
    }
}
