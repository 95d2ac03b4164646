//! Mistakes that someone could really make, so that checkers can be seen to catch them.
//!
//! Each function is what the service does, unless the build has the feature `fault-injection` and the
//! bug is chosen at run time; in a release they are the plain expressions.

use brewline_failpoint::planted;
use brewline_inventory_domain::{
    LedgerEntry, Movement, MovementKind, OrderEvent, Reservation, ReservationEvent,
    ReservationState, StockLevel, movements,
};
use brewline_kernel::ProductId;
use brewline_postgres::{Error as DatabaseError, Pool};

/// How many can still be sold. Planted: what other orders hold is not looked at.
pub(super) fn available(level: StockLevel) -> i64 {
    if planted("oversell") {
        level.on_hand
    } else {
        level.available()
    }
}

/// What a placed order finds. Planted: the tombstone of an order that ended first is not seen, or no
/// reservation at all.
pub(super) fn found<'a>(
    current: Option<&'a Reservation>,
    event: &OrderEvent,
) -> Option<&'a Reservation> {
    let is_placed = matches!(event, OrderEvent::Placed { .. });
    current.filter(|reservation| {
        let is_tombstone =
            reservation.state == ReservationState::Released && reservation.version == 1;
        let overlooked = is_tombstone && planted("ignore-tombstone");
        !(is_placed && (overlooked || planted("duplicate-takes-effect")))
    })
}

/// What moves. Planted: a release moves twice, or the stock of a rejected order is not released.
pub(super) fn moved<'a>(
    event: &'a ReservationEvent,
    because: &OrderEvent,
) -> Vec<(&'a ProductId, Movement)> {
    let mut moved = movements(event);
    if matches!(event, ReservationEvent::Released { .. }) {
        if planted("release-twice") {
            moved.extend_from_within(..);
        }
        if matches!(because, OrderEvent::Rejected { .. }) && planted("forget-release") {
            moved.clear();
        }
    }
    moved
}

/// What the ledger says. Planted: one less is sold than was.
pub(super) fn recorded(mut entry: LedgerEntry) -> LedgerEntry {
    if entry.movement.kind == MovementKind::Commit && planted("ledger-off-by-one") {
        entry.movement.on_hand += 1;
    }
    entry
}

/// Whether stock may be stored. Planted bugs that oversell must get past this guard.
pub(super) fn may_be_stored(level: StockLevel) -> bool {
    level.is_sound() || planted("oversell") || planted("release-twice")
}

/// Takes the database's own guard away where a planted bug has to get past it. Does nothing else.
pub(crate) async fn open_the_guard(pool: &Pool) -> Result<(), DatabaseError> {
    const OPEN: &str = "alter table stock drop constraint if exists stock_never_oversold";
    if planted("oversell") || planted("release-twice") {
        pool.get().await?.batch_execute(OPEN).await?;
    }
    Ok(())
}
