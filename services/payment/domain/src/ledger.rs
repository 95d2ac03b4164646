use brewline_kernel::Money;

use crate::Event;

/// One entry of the double-entry ledger: what an event adds to each account. Debits are positive,
/// credits negative, and the five always sum to zero.
///
/// `held` and `pending` are memo accounts: what the card's bank holds for us, and the same amount as
/// sales that may come of it. The other three are the books: what the processor owes us
/// (`receivable`), what was sold (`revenue`), and what was given back (`refunds`).
///
/// | event      | held | pending | receivable | revenue | refunds |
/// |------------|------|---------|------------|---------|---------|
/// | authorised | +a   | −a      |            |         |         |
/// | captured   | −a   | +a      | +a         | −a      |         |
/// | voided     | −a   | +a      |            |         |         |
/// | refunded   |      |         | −a         |         | +a      |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posting {
    /// Held by the card's bank for us (memo).
    pub held: i64,
    /// Sales that may come of what is held (memo).
    pub pending: i64,
    /// Owed to us by the processor.
    pub receivable: i64,
    /// Sold.
    pub revenue: i64,
    /// Given back.
    pub refunds: i64,
}

// === impl Posting ===

impl Posting {
    /// What `event` does to the accounts when it is about `amount`; none when no money moved.
    #[must_use]
    pub const fn of(event: &Event, amount: Money) -> Option<Self> {
        let a = amount.minor;
        match event {
            Event::Authorised => Some(Self::new(a, -a, 0, 0, 0)),
            Event::Declined { .. } => None,
            Event::Captured => Some(Self::new(-a, a, a, -a, 0)),
            Event::Voided => Some(Self::new(-a, a, 0, 0, 0)),
            Event::Refunded => Some(Self::new(0, 0, -a, 0, a)),
        }
    }

    const fn new(held: i64, pending: i64, receivable: i64, revenue: i64, refunds: i64) -> Self {
        Self {
            held,
            pending,
            receivable,
            revenue,
            refunds,
        }
    }

    /// The sum over all accounts: zero, or the posting is wrong.
    #[must_use]
    pub const fn sum(self) -> i64 {
        self.held + self.pending + self.receivable + self.revenue + self.refunds
    }
}
