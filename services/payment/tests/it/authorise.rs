use std::time::Duration;

use brewline_payment_domain::{Command, Effect, Outcome, RefusalReason};
use futures_util::future::join_all;

use crate::card_processor::Mode;
use crate::shop::{
    AMOUNT, Books, KEY_LIFETIME_S, Shop, an_order, authorise, effect, is_unknown, refusal,
};

#[tokio::test]
async fn a_sold_order_is_authorised_and_captured_once() {
    let (shop, order) = (Shop::open().await, an_order());
    for _ in 0..2 {
        assert_eq!(
            effect(&shop.authorise(order).await),
            Some(Effect::Authorised)
        );
    }
    for _ in 0..2 {
        assert_eq!(effect(&shop.capture(order).await), Some(Effect::Captured));
    }
    assert_eq!(shop.processor.kinds(order), ["authorise", "capture"]);
    assert_eq!(shop.processor.requests(), 2, "a known outcome asks nothing");
    let told = shop.events(order).await;
    let expected = [
        (1, "PaymentAuthorised".to_owned()),
        (2, "PaymentCaptured".to_owned()),
    ];
    assert_eq!(told, expected);
    let books = Books {
        receivable: AMOUNT,
        revenue: -AMOUNT,
        ..Books::default()
    };
    assert_eq!(shop.books(order).await, books);
}

#[tokio::test]
async fn a_declined_card_is_declined_for_good() {
    let (shop, order) = (Shop::open().await, an_order());
    for _ in 0..2 {
        let outcome = shop.run(order, authorise("tok_declined", AMOUNT)).await;
        let code = "card-declined".to_owned();
        assert_eq!(outcome, Outcome::Declined { code });
    }
    assert_eq!(
        shop.events(order).await,
        [(1, "PaymentDeclined".to_owned())]
    );
    assert_eq!(shop.books(order).await, Books::default());
    assert_eq!(shop.processor.requests(), 1);
}

#[tokio::test]
async fn an_unknown_authorisation_is_asked_again_and_charges_once() {
    let shop = Shop::open().await;
    for mode in [
        Mode::Error,
        Mode::Hang,
        Mode::DoneThenHang,
        Mode::DoneThenReset,
    ] {
        let order = an_order();
        shop.processor.misbehave("authorise", &[mode]);
        assert!(is_unknown(&shop.authorise(order).await), "{mode:?}");
        assert_eq!(
            effect(&shop.authorise(order).await),
            Some(Effect::Authorised),
            "{mode:?}"
        );
        assert_eq!(shop.processor.kinds(order), ["authorise"], "{mode:?}");
    }
}

#[tokio::test]
async fn an_unknown_capture_is_asked_again_and_takes_once() {
    let shop = Shop::open().await;
    for mode in [
        Mode::Error,
        Mode::Hang,
        Mode::DoneThenHang,
        Mode::DoneThenReset,
    ] {
        let order = an_order();
        shop.authorise(order).await;
        shop.processor.misbehave("capture", &[mode]);
        assert!(is_unknown(&shop.capture(order).await), "{mode:?}");
        assert_eq!(
            effect(&shop.capture(order).await),
            Some(Effect::Captured),
            "{mode:?}"
        );
        assert_eq!(shop.processor.net(order), AMOUNT, "{mode:?}");
        assert_eq!(shop.books(order).await.receivable, AMOUNT, "{mode:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_processor_forgot_does_not_charge_twice() {
    let (shop, order) = (Shop::open().await, an_order());
    let long = Duration::from_secs(KEY_LIFETIME_S + 1);
    shop.processor.misbehave("authorise", &[Mode::DoneThenHang]);
    assert!(is_unknown(&shop.authorise(order).await));
    shop.clock.advance(long);
    assert_eq!(
        effect(&shop.authorise(order).await),
        Some(Effect::Authorised)
    );
    shop.processor.misbehave("capture", &[Mode::DoneThenHang]);
    assert!(is_unknown(&shop.capture(order).await));
    shop.clock.advance(long);
    assert_eq!(effect(&shop.capture(order).await), Some(Effect::Captured));
    shop.processor.misbehave("refund", &[Mode::DoneThenHang]);
    assert!(is_unknown(&shop.reverse(order).await));
    shop.clock.advance(long);
    assert_eq!(effect(&shop.reverse(order).await), Some(Effect::Refunded));
    assert_eq!(
        shop.processor.kinds(order),
        ["authorise", "capture", "refund"]
    );
}

#[tokio::test]
async fn a_request_that_never_arrived_is_made_again_after_the_keys_lifetime() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.processor.misbehave("authorise", &[Mode::Hang]);
    assert!(is_unknown(&shop.authorise(order).await));
    shop.clock.advance(Duration::from_secs(KEY_LIFETIME_S + 1));
    let found_nothing = shop.authorise(order).await;
    assert!(is_unknown(&found_nothing), "{found_nothing:?}");
    assert_eq!(
        effect(&shop.authorise(order).await),
        Some(Effect::Authorised)
    );
    assert_eq!(shop.processor.kinds(order), ["authorise"]);
}

#[tokio::test]
async fn another_amount_or_card_is_refused_and_asks_nothing() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.authorise(order).await;
    for other in [
        authorise("tok_ok", AMOUNT + 1),
        authorise("tok_other", AMOUNT),
    ] {
        let outcome = shop.run(order, other).await;
        assert_eq!(refusal(&outcome), Some(RefusalReason::Mismatch));
    }
    assert_eq!(shop.processor.requests(), 1);
}

#[tokio::test]
async fn the_card_is_stored_only_while_its_outcome_is_unknown() {
    let (shop, order) = (Shop::open().await, an_order());
    let token = async || -> Option<String> {
        let connection = shop.db.pool().get().await.unwrap();
        let sql = "select token from payment where order_id = $1";
        connection
            .query_one(sql, &[&order.as_uuid()])
            .await
            .unwrap()
            .get(0)
    };
    shop.processor.misbehave("authorise", &[Mode::Error]);
    shop.authorise(order).await;
    assert_eq!(token().await.as_deref(), Some("tok_ok"));
    shop.authorise(order).await;
    assert_eq!(token().await, None);
}

#[tokio::test]
async fn many_calls_at_once_for_one_order_charge_once() {
    let (shop, order) = (Shop::open().await, an_order());
    let other = shop.another();
    let (here, there) = (
        (0..20).map(|_| shop.authorise(order)),
        (0..20).map(|_| other.run(order, authorise("tok_ok", AMOUNT))),
    );
    let (here, there) = tokio::join!(join_all(here), join_all(there));
    for outcome in here.iter().chain(&there) {
        assert_eq!(effect(outcome), Some(Effect::Authorised), "{outcome:?}");
    }
    let captures = (0..20).map(|_| other.run(order, Command::Capture));
    for outcome in join_all(captures).await {
        assert_eq!(effect(&outcome), Some(Effect::Captured), "{outcome:?}");
    }
    assert_eq!(shop.processor.kinds(order), ["authorise", "capture"]);
    let versions: Vec<i64> = shop
        .events(order)
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(versions, [1, 2]);
}
