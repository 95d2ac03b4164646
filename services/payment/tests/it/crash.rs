use brewline_payment::app::Payer;
use brewline_payment_domain::{Command, Effect};
use brewline_test_support::eventually;

use crate::card_processor::Mode;
use crate::shop::{AMOUNT, Books, Shop, an_order, authorise, effect};

/// The service dies while its request to the card processor is open.
async fn die_in_flight(shop: &mut Shop, order: brewline_kernel::OrderId, command: Command) {
    let before = shop.processor.requests();
    let (operations, processor) = (shop.operations(), shop.processor.clone());
    let call = operations.run(order, command, Payer::default(), None);
    let death = async {
        eventually("the request is in flight", async || {
            processor.requests() > before
        })
        .await;
        shop.crash();
    };
    let (outcome, ()) = tokio::join!(call, death);
    assert!(outcome.is_err(), "a dead service answered");
}

#[tokio::test]
async fn a_death_between_intent_and_outcome_is_resolved_by_the_next_call() {
    let mut shop = Shop::open().await;
    for mode in [Mode::Hang, Mode::DoneThenHang] {
        let order = an_order();
        shop.processor.misbehave("authorise", &[mode]);
        die_in_flight(&mut shop, order, authorise("tok_ok", AMOUNT)).await;
        assert_eq!(
            effect(&shop.authorise(order).await),
            Some(Effect::Authorised)
        );
        shop.processor.misbehave("capture", &[mode]);
        die_in_flight(&mut shop, order, Command::Capture).await;
        assert_eq!(effect(&shop.capture(order).await), Some(Effect::Captured));
        shop.processor.misbehave("refund", &[mode]);
        die_in_flight(&mut shop, order, Command::Reverse).await;
        assert_eq!(effect(&shop.reverse(order).await), Some(Effect::Refunded));
        assert_eq!(
            shop.processor.kinds(order),
            ["authorise", "capture", "refund"],
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn an_order_whose_service_died_can_be_reversed_at_once() {
    let mut shop = Shop::open().await;
    for mode in [Mode::Hang, Mode::DoneThenHang] {
        let order = an_order();
        shop.processor.misbehave("authorise", &[mode]);
        die_in_flight(&mut shop, order, authorise("tok_ok", AMOUNT)).await;
        let outcome = shop.settle(order, Command::Reverse).await;
        assert_eq!(effect(&outcome), Some(Effect::Voided), "{mode:?}");
        assert_eq!(shop.processor.open(order), 0, "{mode:?}");
        assert_eq!(shop.books(order).await, Books::default(), "{mode:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_what_was_begun() {
    let (shop, order) = (Shop::open().await, an_order());
    let operations = shop.operations();
    let call = operations.run(order, authorise("tok_ok", AMOUNT), Payer::default(), None);
    // Polled until the command is in the queue, then dropped, as when a client disconnects.
    let gone = tokio::time::timeout(std::time::Duration::ZERO, call).await;
    assert!(gone.is_err(), "it was answered at once");
    eventually("the authorisation is recorded", async || {
        shop.events(order).await.len() == 1
    })
    .await;
}
