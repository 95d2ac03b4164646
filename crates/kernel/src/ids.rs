use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest id people may choose for a store, product or customer, in characters.
const SLUG_CHARS_MAX: usize = 64;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a slug.
    #[error("an id has 1 to 64 characters of a-z, 0-9 and `-`, and begins with a letter or digit")]
    Slug,
    /// Not a UUID.
    #[error("an order id is a UUID")]
    Uuid,
}

/// An order: a UUID of version 7, so that ids sort by the time of placing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(Uuid);

// === impl OrderId ===

impl OrderId {
    /// From a UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl FromStr for OrderId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::Uuid)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_slug(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId::Slug) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if is_slug(&text) { Ok(Self(text)) } else { Err(InvalidId::Slug) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

slugs! {
    /// A store, such as `store-lisbon`.
    StoreId;
    /// A product, such as `cortado`.
    ProductId;
    /// A customer: a UUID unless chosen by hand, such as `customer-demo`.
    CustomerId;
}

fn is_slug(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= SLUG_CHARS_MAX
        && text.bytes().next().is_some_and(allowed)
        && text.bytes().all(|c| allowed(c) || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_short_and_plain() {
        for right in ["store-lisbon", "v60-ethiopia", "7"] {
            assert!(right.parse::<ProductId>().is_ok(), "{right} was refused");
        }
        let long = "x".repeat(65);
        for wrong in ["", "-x", "Store", "a b", "a/b", "ä", "'; drop table", &long] {
            assert_eq!(
                wrong.parse::<ProductId>(),
                Err(InvalidId::Slug),
                "{wrong} was taken"
            );
        }
    }
}
