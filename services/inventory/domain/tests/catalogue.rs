//! What may be said about stores and products, and which changes are allowed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use brewline_inventory_domain::{
    CatalogueRejection, FieldFault, Item, ProductDetails, ProductKind, StoreDetails,
};
use brewline_kernel::Money;

fn lisbon() -> StoreDetails {
    StoreDetails::new("Lisbon", "EUR", "Europe/Lisbon").unwrap()
}

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn cortado(prices: Vec<Money>) -> Result<ProductDetails, Vec<FieldFault>> {
    ProductDetails::new("Cortado", ProductKind::Drink, "espresso", "", prices)
}

fn fields(faults: &[FieldFault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.field).collect()
}

#[test]
fn a_first_put_creates_version_1() {
    let store = Item::put(None, lisbon()).unwrap().unwrap();
    assert_eq!((store.version, store.retired), (1, false));
}

#[test]
fn an_unchanged_put_changes_nothing() {
    let store = Item::put(None, lisbon()).unwrap().unwrap();
    assert_eq!(Item::put(Some(&store), lisbon()), Ok(None));
}

#[test]
fn a_changed_put_counts_on() {
    let store = Item::put(None, lisbon()).unwrap().unwrap();
    let renamed = StoreDetails::new("Lisboa", "EUR", "Europe/Lisbon").unwrap();
    let changed = Item::put(Some(&store), renamed).unwrap().unwrap();
    assert_eq!((changed.version, changed.details.name()), (2, "Lisboa"));
}

#[test]
fn the_currency_of_a_store_is_for_ever() {
    let store = Item::put(None, lisbon()).unwrap().unwrap();
    let other = StoreDetails::new("Lisbon", "NOK", "Europe/Lisbon").unwrap();
    assert_eq!(
        Item::put(Some(&store), other),
        Err(CatalogueRejection::CurrencyFixed)
    );
}

#[test]
fn a_retired_id_is_never_used_again() {
    let store = Item::put(None, lisbon()).unwrap().unwrap();
    let retired = Item::retire(Some(&store)).unwrap().unwrap();
    assert_eq!((retired.version, retired.retired), (2, true));
    assert_eq!(Item::retire(Some(&retired)), Ok(None));
    assert_eq!(
        Item::put(Some(&retired), lisbon()),
        Err(CatalogueRejection::Retired)
    );
    assert_eq!(
        Item::in_use(Some(&retired)),
        Err(CatalogueRejection::Retired)
    );
    assert_eq!(
        Item::<StoreDetails>::retire(None),
        Err(CatalogueRejection::Unknown)
    );
}

#[test]
fn the_order_of_prices_says_nothing() {
    let nok = Money::new(4_500, "NOK".parse().unwrap());
    let item = Item::put(None, cortado(vec![nok, euros(280)]).unwrap())
        .unwrap()
        .unwrap();
    let turned = cortado(vec![euros(280), nok]).unwrap();
    assert_eq!(Item::put(Some(&item), turned), Ok(None));
}

#[test]
fn all_faults_of_a_store_are_told_together() {
    let faults = StoreDetails::new("", "eur", "").unwrap_err();
    assert_eq!(fields(&faults), ["name", "timeZone", "currency"]);
    for wrong in [&"x".repeat(201), " Lisbon", "Lis\nbon"] {
        let faults = StoreDetails::new(wrong, "EUR", "Europe/Lisbon").unwrap_err();
        assert_eq!(fields(&faults), ["name"], "{wrong}");
    }
    assert!(StoreDetails::new(&"é".repeat(200), "EUR", "Europe/Lisbon").is_ok());
}

#[test]
fn prices_are_positive_and_one_a_currency() {
    let long = vec![euros(1); 51];
    for wrong in [
        vec![],
        vec![euros(0)],
        vec![euros(-1)],
        vec![euros(1), euros(2)],
        long,
    ] {
        let faults = cortado(wrong.clone()).unwrap_err();
        assert_eq!(fields(&faults), ["prices"], "{wrong:?}");
    }
}

#[test]
fn drinks_are_brewed_and_food_is_not() {
    let put = |kind, method| ProductDetails::new("X", kind, method, "", vec![euros(1)]);
    assert!(put(ProductKind::Drink, "v60").is_ok());
    assert!(put(ProductKind::Food, "").is_ok());
    assert_eq!(
        fields(&put(ProductKind::Drink, "").unwrap_err()),
        ["method"]
    );
    assert_eq!(
        fields(&put(ProductKind::Food, "v60").unwrap_err()),
        ["method"]
    );
}
