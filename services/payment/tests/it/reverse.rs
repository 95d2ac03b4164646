use brewline_payment_domain::{Command, Effect, RefusalReason};

use crate::card_processor::Mode;
use crate::shop::{AMOUNT, Books, Shop, an_order, authorise, effect, is_unknown, refusal};

#[tokio::test]
async fn a_reversal_of_an_unknown_authorisation_leaves_nothing_open() {
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
        let outcome = shop.settle(order, Command::Reverse).await;
        assert_eq!(effect(&outcome), Some(Effect::Voided), "{mode:?}");
        assert_eq!(
            shop.processor.kinds(order),
            ["authorise", "void"],
            "{mode:?}"
        );
        assert_eq!(shop.books(order).await, Books::default(), "{mode:?}");
    }
}

#[tokio::test]
async fn an_authorisation_that_lands_after_the_reversal_was_asked_for_is_undone() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.processor
        .misbehave("authorise", &[Mode::Late, Mode::Hang]);
    assert!(is_unknown(&shop.authorise(order).await));
    assert!(is_unknown(&shop.reverse(order).await));
    shop.processor.land();
    assert_eq!(shop.processor.open(order), 1);
    let outcome = shop.settle(order, Command::Reverse).await;
    assert_eq!(effect(&outcome), Some(Effect::Voided));
    assert_eq!(
        (shop.processor.open(order), shop.processor.net(order)),
        (0, 0)
    );
}

#[tokio::test]
async fn a_reversal_of_a_declined_card_has_nothing_to_undo() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.run(order, authorise("tok_declined", AMOUNT)).await;
    assert_eq!(effect(&shop.reverse(order).await), Some(Effect::Nothing));
    assert_eq!(shop.processor.requests(), 1);
}

#[tokio::test]
async fn what_was_taken_is_given_back_once_however_often_it_is_asked_for() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.authorise(order).await;
    shop.capture(order).await;
    shop.processor.misbehave("refund", &[Mode::DoneThenHang]);
    assert!(is_unknown(&shop.reverse(order).await));
    for _ in 0..2 {
        assert_eq!(effect(&shop.reverse(order).await), Some(Effect::Refunded));
    }
    assert_eq!(
        shop.processor.kinds(order),
        ["authorise", "capture", "refund"]
    );
    assert_eq!(shop.processor.net(order), 0);
    let books = Books {
        revenue: -AMOUNT,
        refunds: AMOUNT,
        ..Books::default()
    };
    assert_eq!(shop.books(order).await, books);
    let told: Vec<String> = shop
        .events(order)
        .await
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(
        told,
        ["PaymentAuthorised", "PaymentCaptured", "PaymentRefunded"]
    );
}

#[tokio::test]
async fn a_capture_in_flight_is_made_known_before_it_is_undone() {
    let shop = Shop::open().await;
    for mode in [Mode::Hang, Mode::DoneThenHang] {
        let order = an_order();
        shop.authorise(order).await;
        shop.processor.misbehave("capture", &[mode]);
        assert!(is_unknown(&shop.capture(order).await));
        let outcome = shop.settle(order, Command::Reverse).await;
        assert_eq!(effect(&outcome), Some(Effect::Refunded), "{mode:?}");
        assert_eq!(shop.processor.net(order), 0, "{mode:?}");
    }
}

#[tokio::test]
async fn nothing_happens_to_reversed_money() {
    let shop = Shop::open().await;
    let (never, held) = (an_order(), an_order());
    shop.authorise(held).await;
    assert_eq!(effect(&shop.reverse(never).await), Some(Effect::Nothing));
    assert_eq!(effect(&shop.reverse(held).await), Some(Effect::Voided));
    for order in [never, held] {
        for outcome in [shop.authorise(order).await, shop.capture(order).await] {
            assert_eq!(refusal(&outcome), Some(RefusalReason::Reversed));
        }
        assert_eq!(shop.processor.open(order), 0);
    }
    assert_eq!(shop.processor.kinds(never), Vec::<String>::new());
}

#[tokio::test]
async fn a_reversal_that_races_everything_else_leaves_nothing() {
    let shop = Shop::open().await;
    let other = shop.another();
    for _ in 0..15 {
        let order = an_order();
        shop.processor.misbehave("capture", &[Mode::Error]);
        tokio::join!(
            shop.authorise(order),
            other.run(order, Command::Capture),
            other.run(order, Command::Reverse),
            other.run(order, authorise("tok_ok", AMOUNT)),
        );
        tokio::join!(shop.capture(order), other.run(order, Command::Reverse));
        shop.settle(order, Command::Reverse).await;
        assert_eq!(
            (shop.processor.open(order), shop.processor.net(order)),
            (0, 0)
        );
        let books = shop.books(order).await;
        assert_eq!((books.held, books.receivable), (0, 0));
        let told = shop.events(order).await;
        let versions: Vec<i64> = told.into_iter().map(|it| it.0).collect();
        assert!((1..).zip(&versions).all(|(n, it)| n == *it), "{versions:?}");
    }
}
