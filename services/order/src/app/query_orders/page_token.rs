//! Where a page begins: the last order of the page before, bound to the list by a check sum, so that a
//! token that was altered, cut short or taken to another list is told from a good one.

use brewline_kernel::OrderId;
use brewline_order_domain::order::OrderStatus;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::outbound::order_view::Filter;

/// Hexadecimal digits of the order's id, and of the check sum behind it.
const ID_CHARS: usize = 32;
const SUM_BYTES: usize = 4;

/// The token of the page after `last`.
pub(super) fn write(last: OrderId, filter: &Filter) -> String {
    let id = last.as_uuid();
    format!("{}{}", id.simple(), sum(id, filter))
}

/// The id that all orders of the page are below; none when the token is not this list's.
pub(super) fn read(token: &str, filter: &Filter) -> Option<Uuid> {
    if token.is_empty() {
        return Some(Uuid::max());
    }
    let (id, given) = token.split_at_checked(ID_CHARS)?;
    let id = Uuid::try_parse(id).ok()?;
    (given == sum(id, filter)).then_some(id)
}

fn sum(id: Uuid, filter: &Filter) -> String {
    let customer = filter.customer_id.as_ref().map_or("", |id| id.as_str());
    let store = filter.store_id.as_ref().map_or("", |id| id.as_str());
    let status = filter.status.map_or("", OrderStatus::as_str);
    let digest = Sha256::new()
        .chain_update(id.as_bytes())
        .chain_update(format!("{customer}/{store}/{status}"))
        .finalize();
    digest
        .iter()
        .take(SUM_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_store(store: &str) -> Filter {
        Filter {
            store_id: Some(store.parse().unwrap()),
            ..Filter::default()
        }
    }

    #[test]
    fn a_token_leads_back_to_its_order() {
        let (id, filter) = (Uuid::from_u128(7), of_store("store-lisbon"));
        let token = write(OrderId::new(id), &filter);
        assert_eq!(read(&token, &filter), Some(id));
        assert_eq!(read("", &filter), Some(Uuid::max()));
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = write(OrderId::new(Uuid::from_u128(7)), &of_store("store-lisbon"));
        assert_eq!(read(&token, &of_store("store-oslo")), None);
        assert_eq!(read(&token, &Filter::default()), None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = write(OrderId::new(Uuid::from_u128(7)), &Filter::default());
        let cut = good.get(..39).unwrap();
        let upper = good.to_uppercase() + "X";
        for wrong in [
            "x",
            "ä".repeat(20).as_str(),
            cut,
            &upper,
            "'; drop table orders",
        ] {
            assert_eq!(read(wrong, &Filter::default()), None, "{wrong} was taken");
        }
    }
}
