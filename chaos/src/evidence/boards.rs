use std::collections::BTreeMap;

use brewline_kernel::Timestamp;

/// One board of one window, of one store or of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoardKey {
    /// `coffee-lovers`, `origins`, `methods`, `foods` or `products`.
    pub board: String,
    /// The store; empty: the whole chain.
    pub store: String,
    /// `day`, `week`, `month` or `all`.
    pub window: String,
    /// The window's first day, as `2026-01-31`; empty for `all`.
    pub starts: String,
}

/// How a member of a board stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Units sold.
    pub units: i64,
    /// The greatest event time of any change to it: who reached a score first stands before.
    pub reached: Timestamp,
}

/// All boards, as far as the log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boards {
    /// The next offset of each topic and partition that is not in them yet.
    pub positions: BTreeMap<(String, i32), i64>,
    /// Every member with a score, by board.
    pub scores: BTreeMap<BoardKey, BTreeMap<String, Score>>,
    /// Revenue in minor units, by store and currency.
    pub revenue: BTreeMap<(String, String), i64>,
}
