use std::collections::BTreeMap;

use brewline_kernel::ProductId;

/// How many of one product a single order can hold: 50 lines of 99 each, all of one product.
const QUANTITY_MAX: i64 = 50 * 99;

/// What an order wants, product by product: lines of the same product are summed, so that each
/// product is looked at once and its whole want is held or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<ProductId, i64>);

/// Why lines are no lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLines {
    /// An order without lines holds nothing.
    #[error("an order has at least one line")]
    Empty,
    /// A line with nothing in it, or with more than any order may ask for.
    #[error("{quantity} is no quantity of {product}")]
    Quantity {
        /// The product.
        product: ProductId,
        /// What was asked for, in this line or in sum.
        quantity: i64,
    },
}

// === impl Lines ===

impl Lines {
    /// Sums the lines by product.
    ///
    /// # Errors
    /// When there is no line, or one has no sensible quantity.
    pub fn new(lines: impl IntoIterator<Item = (ProductId, i64)>) -> Result<Self, InvalidLines> {
        let mut sums = BTreeMap::<ProductId, i64>::new();
        for (product, quantity) in lines {
            let sum = sums.get(&product).copied().unwrap_or(0);
            // Both are at most QUANTITY_MAX when they are added, so the sum fits.
            let sum = if (1..=QUANTITY_MAX).contains(&quantity) {
                sum + quantity
            } else {
                return Err(InvalidLines::Quantity { product, quantity });
            };
            if sum > QUANTITY_MAX {
                let quantity = sum;
                return Err(InvalidLines::Quantity { product, quantity });
            }
            sums.insert(product, sum);
        }
        if sums.is_empty() {
            return Err(InvalidLines::Empty);
        }
        Ok(Self(sums))
    }

    /// No lines: what an order held that ended before it was reserved.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// True when nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each product once, in the order of ids, with how many of it.
    pub fn iter(&self) -> impl Iterator<Item = (&ProductId, i64)> {
        self.0
            .iter()
            .map(|(product, quantity)| (product, *quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(product: &str, quantity: i64) -> (ProductId, i64) {
        (product.parse().unwrap(), quantity)
    }

    #[test]
    fn lines_of_the_same_product_are_summed() {
        let lines = Lines::new([
            line("flat-white", 2),
            line("croissant", 1),
            line("flat-white", 3),
        ]);
        let sums: Vec<_> = lines
            .unwrap()
            .iter()
            .map(|(p, q)| (p.to_string(), q))
            .collect();
        assert_eq!(sums, [("croissant".into(), 1), ("flat-white".into(), 5)]);
    }

    #[test]
    fn quantities_that_make_no_sense_are_refused() {
        assert_eq!(Lines::new([]), Err(InvalidLines::Empty));
        for wrong in [0, -1, QUANTITY_MAX + 1, i64::MAX, i64::MIN] {
            assert!(
                Lines::new([line("espresso", wrong)]).is_err(),
                "{wrong} was taken"
            );
        }
        let twice = [line("espresso", QUANTITY_MAX), line("espresso", 1)];
        assert!(
            Lines::new(twice).is_err(),
            "a sum beyond the limit was taken"
        );
    }
}
