use std::fmt;
use std::str::FromStr;

/// A board that ranks by units sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Customers by drinks.
    CoffeeLovers,
    /// Where beans come from: every line that says so counts.
    Origins,
    /// How drinks are brewed: every line that says so counts.
    Methods,
    /// Food alone.
    Foods,
    /// Every product.
    Products,
}

/// There is no board of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boards are `coffee-lovers`, `origins`, `methods`, `foods`, `products`")]
pub struct UnknownBoard;

// === impl Board ===

impl Board {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::CoffeeLovers,
        Self::Origins,
        Self::Methods,
        Self::Foods,
        Self::Products,
    ];

    /// Its name, as in paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoffeeLovers => "coffee-lovers",
            Self::Origins => "origins",
            Self::Methods => "methods",
            Self::Foods => "foods",
            Self::Products => "products",
        }
    }
}

impl FromStr for Board {
    type Err = UnknownBoard;

    fn from_str(text: &str) -> Result<Self, UnknownBoard> {
        let found = Self::ALL.into_iter().find(|board| board.name() == text);
        found.ok_or(UnknownBoard)
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
