/// The most that may ever be on hand: far beyond any shop, far below where sums overflow.
const ON_HAND_MAX: i64 = 1_000_000_000;

/// How much there is of one product in one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockLevel {
    /// On the shelf, reserved ones included.
    pub on_hand: i64,
    /// Held by open orders.
    pub reserved: i64,
}

/// Why stock moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MovementKind {
    /// An order holds it.
    Reserve,
    /// It is sold.
    Commit,
    /// An order gave it up before it was sold.
    Release,
    /// It was sold and came back.
    Return,
    /// Someone added or took it by hand.
    Adjust,
}

/// One change of a level, as two differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Why.
    pub kind: MovementKind,
    /// What is added to the stock on hand.
    pub on_hand: i64,
    /// What is added to the reserved part of it.
    pub reserved: i64,
}

/// A level with the number of the last entry in its ledger. It is only moved by [`Self::post`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockAccount {
    level: StockLevel,
    sequence: i64,
}

/// One line of the ledger: the movement and the balance after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Counts the entries of this product in this store, from 1.
    pub sequence: i64,
    /// What moved.
    pub movement: Movement,
    /// The level after it.
    pub after: StockLevel,
}

/// Why stock is not adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdjustRejection {
    /// Less is available than shall be taken.
    #[error("{available} are available, {taken} shall be taken")]
    InsufficientStock {
        /// On hand less reserved.
        available: i64,
        /// How many shall be taken.
        taken: i64,
    },
    /// More than a shelf holds.
    #[error("a store holds at most {ON_HAND_MAX} of a product")]
    TooMuch,
    /// Adding nothing says nothing.
    #[error("an adjustment of 0 changes nothing")]
    Nothing,
}

// === impl StockLevel ===

impl StockLevel {
    /// What can still be sold.
    #[must_use]
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }

    /// True while nothing is sold or held that is not there: the rule that must never break.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        0 <= self.reserved && self.reserved <= self.on_hand
    }

    /// The level after `movement`.
    #[must_use]
    pub const fn after(self, movement: Movement) -> Self {
        Self {
            on_hand: self.on_hand.saturating_add(movement.on_hand),
            reserved: self.reserved.saturating_add(movement.reserved),
        }
    }

    /// Decides whether `delta` may be added, or taken when it is negative.
    ///
    /// # Errors
    /// When less is available than shall be taken, or more would be there than a shelf holds.
    pub const fn adjust(self, delta: i64) -> Result<Movement, AdjustRejection> {
        let available = self.available();
        if delta == 0 {
            return Err(AdjustRejection::Nothing);
        }
        if available.saturating_add(delta) < 0 {
            let taken = delta.saturating_neg();
            return Err(AdjustRejection::InsufficientStock { available, taken });
        }
        if self.on_hand.saturating_add(delta) > ON_HAND_MAX {
            return Err(AdjustRejection::TooMuch);
        }
        Ok(Movement::adjust(delta))
    }
}

// === impl Movement ===

impl Movement {
    /// An order holds `quantity`.
    #[must_use]
    pub const fn reserve(quantity: i64) -> Self {
        Self::new(MovementKind::Reserve, 0, quantity)
    }

    /// What was held is sold.
    #[must_use]
    pub const fn commit(quantity: i64) -> Self {
        Self::new(MovementKind::Commit, -quantity, -quantity)
    }

    /// What was held is free again.
    #[must_use]
    pub const fn release(quantity: i64) -> Self {
        Self::new(MovementKind::Release, 0, -quantity)
    }

    /// What was sold is back.
    #[must_use]
    pub const fn give_back(quantity: i64) -> Self {
        Self::new(MovementKind::Return, quantity, 0)
    }

    const fn adjust(delta: i64) -> Self {
        Self::new(MovementKind::Adjust, delta, 0)
    }

    const fn new(kind: MovementKind, on_hand: i64, reserved: i64) -> Self {
        Self {
            kind,
            on_hand,
            reserved,
        }
    }
}

// === impl StockAccount ===

impl StockAccount {
    /// As it was stored.
    #[must_use]
    pub const fn stored(level: StockLevel, sequence: i64) -> Self {
        Self { level, sequence }
    }

    /// How much there is.
    #[must_use]
    pub const fn level(&self) -> StockLevel {
        self.level
    }

    /// The number of the last entry in the ledger; 0 when there is none.
    #[must_use]
    pub const fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Moves the level and tells the entry to be written for it.
    pub const fn post(&mut self, movement: Movement) -> LedgerEntry {
        self.level = self.level.after(movement);
        self.sequence += 1;
        LedgerEntry {
            sequence: self.sequence,
            movement,
            after: self.level,
        }
    }
}
