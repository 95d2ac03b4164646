//! Pricing: what is sold where, for how much, and what is refused field by field.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use brewline_kernel::{Money, ProductId};
use brewline_order_domain::order::ProductKind;
use brewline_order_domain::pricing::{
    FieldFault, Priced, ProductEntry, RequestedLine, StoreEntry, price,
};
use proptest::prelude::*;

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, currency.parse().unwrap())
}

fn store(currency: &str) -> StoreEntry {
    StoreEntry {
        currency: currency.parse().unwrap(),
        retired: false,
    }
}

fn catalogue() -> BTreeMap<ProductId, ProductEntry> {
    let entry = |id: &str, prices: Vec<Money>, retired| ProductEntry {
        product_id: id.parse().unwrap(),
        name: id.to_owned(),
        kind: ProductKind::Drink,
        method: "espresso".to_owned(),
        origin: String::new(),
        prices,
        retired,
    };
    [
        entry("cortado", vec![money(350, "EUR"), money(45, "NOK")], false),
        entry("free", vec![money(0, "EUR")], false),
        entry("gold", vec![money(i64::MAX / 2, "EUR")], false),
        entry("gone", vec![money(100, "EUR")], true),
    ]
    .into_iter()
    .map(|entry| (entry.product_id.clone(), entry))
    .collect()
}

fn line(product: &str, quantity: i64) -> RequestedLine {
    RequestedLine {
        product_id: product.parse().unwrap(),
        quantity,
    }
}

fn priced(store: Option<&StoreEntry>, lines: &[RequestedLine]) -> Result<Priced, Vec<FieldFault>> {
    let catalogue = catalogue();
    price(store, lines, |id| catalogue.get(id))
}

fn faults(store: Option<&StoreEntry>, lines: &[RequestedLine]) -> Vec<String> {
    priced(store, lines)
        .unwrap_err()
        .into_iter()
        .map(|fault| fault.field)
        .collect()
}

#[test]
fn lines_are_priced_in_the_currency_of_the_store() {
    let lines = [line("cortado", 2), line("cortado", 1)];
    assert_eq!(
        priced(Some(&store("EUR")), &lines).unwrap().total,
        money(1_050, "EUR")
    );
    assert_eq!(
        priced(Some(&store("NOK")), &lines).unwrap().total,
        money(135, "NOK")
    );
}

#[test]
fn every_fault_is_named_with_its_field() {
    let lines = [line("cortado", 0), line("nothing", 100), line("gone", 1)];
    let expected = [
        "lines[0].quantity",
        "lines[1].quantity",
        "lines[1].productId",
        "lines[2].productId",
    ];
    assert_eq!(faults(Some(&store("EUR")), &lines), expected);
}

#[test]
fn an_unknown_or_retired_store_is_refused() {
    assert_eq!(faults(None, &[line("cortado", 1)]), ["storeId"]);
    let retired = StoreEntry {
        retired: true,
        ..store("EUR")
    };
    assert_eq!(faults(Some(&retired), &[line("cortado", 1)]), ["storeId"]);
}

#[test]
fn a_product_without_a_price_in_the_currency_is_refused() {
    assert_eq!(
        faults(Some(&store("JPY")), &[line("cortado", 1)]),
        ["lines[0].productId"]
    );
}

#[test]
fn an_order_has_one_to_fifty_lines() {
    let lines = |count| vec![line("cortado", 1); count];
    for (count, right) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(
            priced(Some(&store("EUR")), &lines(count)).is_ok(),
            right,
            "{count} lines"
        );
    }
}

#[test]
fn totals_are_positive_and_fit() {
    assert_eq!(faults(Some(&store("EUR")), &[line("free", 9)]), ["lines"]);
    assert_eq!(faults(Some(&store("EUR")), &[line("gold", 3)]), ["lines"]);
    assert_eq!(
        faults(Some(&store("EUR")), &[line("gold", 2), line("gold", 1)]),
        ["lines"]
    );
}

proptest! {
    #[test]
    fn any_request_is_priced_or_refused_with_a_reason(
        wanted in prop::collection::vec((0_usize..5, -2_i64..102), 0..60)
    ) {
        let names = ["cortado", "free", "gold", "gone", "nothing"];
        let lines: Vec<_> = wanted.iter().map(|(name, count)| line(names[*name], *count)).collect();
        match priced(Some(&store("EUR")), &lines) {
            Ok(priced) => {
                let sum: i64 = priced.lines.iter().map(|l| l.unit_price.minor * l.quantity).sum();
                prop_assert_eq!(priced.total.minor, sum);
                prop_assert!(sum > 0 && priced.lines.len() == lines.len());
            }
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
