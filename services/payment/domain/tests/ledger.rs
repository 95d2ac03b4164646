//! The books balance, posting by posting and order by order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use brewline_kernel::Money;
use brewline_payment_domain::{Event, Posting};

fn euro(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn book(events: &[Event]) -> Posting {
    events
        .iter()
        .filter_map(|event| Posting::of(event, euro(350)))
        .fold(Posting::default(), |sum, posting| Posting {
            held: sum.held + posting.held,
            pending: sum.pending + posting.pending,
            receivable: sum.receivable + posting.receivable,
            revenue: sum.revenue + posting.revenue,
            refunds: sum.refunds + posting.refunds,
        })
}

#[test]
fn every_posting_sums_to_zero() {
    for event in [
        Event::Authorised,
        Event::Captured,
        Event::Voided,
        Event::Refunded,
    ] {
        let posting = Posting::of(&event, euro(350)).unwrap();
        assert_eq!(posting.sum(), 0, "{event:?}");
        assert_ne!(posting, Posting::default(), "{event:?}");
    }
}

#[test]
fn a_declined_card_moves_no_money() {
    let code = "insufficient".to_owned();
    assert_eq!(Posting::of(&Event::Declined { code }, euro(350)), None);
}

#[test]
fn a_sale_is_owed_by_the_processor_and_nothing_stays_held() {
    let books = book(&[Event::Authorised, Event::Captured]);
    assert_eq!((books.receivable, books.revenue), (350, -350));
    assert_eq!((books.held, books.pending, books.refunds), (0, 0, 0));
}

#[test]
fn an_undone_order_leaves_nothing_owed_and_nothing_held() {
    let voided = book(&[Event::Authorised, Event::Voided]);
    assert_eq!(voided, Posting::default());
    let refunded = book(&[Event::Authorised, Event::Captured, Event::Refunded]);
    assert_eq!((refunded.held, refunded.receivable), (0, 0));
    assert_eq!(refunded.revenue + refunded.refunds, 0);
}
