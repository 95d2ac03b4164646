//! Checkouts on a real database, against a payment service that misbehaves on order.

use std::time::Duration;

use brewline_order::app::checkout::Settings;
use brewline_test_support::eventually;

use crate::checkout_desk::Desk;
use crate::checkout_payments::Mood;

const SOLD: [&str; 4] = ["reserving", "authorising", "completing", "completed"];

#[tokio::test]
async fn an_order_goes_all_the_way() {
    let desk = Desk::open().await;
    desk.run();
    let order = desk.place().await;
    assert_eq!(desk.token(order).await, "tok_ok_1");
    desk.stock(order, "StockReserved").await;
    eventually("the capture is known", async || {
        desk.payment_status(order).await == "captured"
    })
    .await;
    desk.stock(order, "StockCommitted").await;
    assert_eq!(desk.reaches(order, "completed").await, SOLD);
    assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderConfirmed"]);
    assert_eq!(desk.payments.called(order), ["authorise", "capture"]);
    assert_eq!(desk.token(order).await, "", "the card is forgotten");
}

#[tokio::test]
async fn short_stock_rejects_at_once() {
    let desk = Desk::open().await;
    let order = desk.place().await;
    desk.stock(order, "StockRejected").await;
    let states = desk.reaches(order, "undone").await;
    assert_eq!(states, ["reserving", "unwinding", "undone"]);
    assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderRejected"]);
    assert_eq!(desk.rejection(order).await, "out-of-stock");
}

#[tokio::test]
async fn a_declined_card_rejects_and_reverses() {
    let desk = Desk::open().await;
    desk.run();
    desk.payments.will("authorise", &[Mood::Decline]);
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    desk.reaches(order, "unwinding").await;
    desk.stock(order, "StockReleased").await;
    let states = desk.reaches(order, "undone").await;
    assert_eq!(states, ["reserving", "authorising", "unwinding", "undone"]);
    assert_eq!(desk.rejection(order).await, "payment-declined");
    assert_eq!(desk.payments.called(order), ["authorise", "reverse"]);
    assert_eq!(desk.payment_status(order).await, "none");
}

#[tokio::test]
async fn an_unknown_authorisation_is_asked_for_until_it_is_known() {
    let desk = Desk::open().await;
    desk.run();
    let moods = [Mood::DoneUnknown, Mood::Unknown, Mood::Fail];
    desk.payments.will("authorise", &moods);
    desk.payments.will("capture", &moods);
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    desk.reaches(order, "completing").await;
    desk.stock(order, "StockCommitted").await;
    assert_eq!(desk.reaches(order, "completed").await, SOLD);
    assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderConfirmed"]);
}

#[tokio::test]
async fn cancelling_while_the_authorisation_is_away_gives_the_money_back() {
    let desk = Desk::open().await;
    let order = desk.place().await;
    // Nothing runs yet: the call is recorded and waits.
    desk.stock(order, "StockReserved").await;
    desk.cancel(order).await;
    desk.run();
    desk.stock(order, "StockReleased").await;
    let states = desk.reaches(order, "undone").await;
    assert_eq!(states, ["reserving", "authorising", "unwinding", "undone"]);
    assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderCancelled"]);
    eventually("no money is held", async || {
        !desk.payments.holds_money(order)
    })
    .await;
}

#[tokio::test]
async fn cancelling_a_sold_order_refunds_it() {
    let desk = Desk::open().await;
    desk.run();
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    desk.reaches(order, "completing").await;
    desk.stock(order, "StockCommitted").await;
    desk.reaches(order, "completed").await;
    desk.cancel(order).await;
    desk.barista_withdraws(order).await;
    desk.stock(order, "StockReturned").await;
    desk.reaches(order, "undone").await;
    assert_eq!(desk.payment_status(order).await, "refunded");
    let told = [
        "OrderPlaced",
        "OrderConfirmed",
        "OrderCancellationRequested",
        "OrderCancelled",
    ];
    assert_eq!(desk.told(order).await, told);
}

#[tokio::test]
async fn stock_that_answers_after_its_deadline_changes_nothing() {
    let mut settings = Settings::default();
    settings.policy.reserve = Duration::from_millis(50);
    settings.timers.interval = Duration::from_millis(10);
    let desk = Desk::with(settings).await;
    desk.run();
    let order = desk.place().await;
    desk.reaches(order, "unwinding").await;
    desk.stock(order, "StockReserved").await;
    desk.stock(order, "StockReleased").await;
    desk.reaches(order, "undone").await;
    assert_eq!(desk.rejection(order).await, "timed-out");
    assert_eq!(desk.payments.called(order), [""; 0]);
}

#[tokio::test]
async fn an_authorisation_not_known_in_time_rejects_and_reverses() {
    let mut settings = Settings::default();
    settings.policy.authorise = Duration::from_millis(300);
    settings.timers.interval = Duration::from_millis(10);
    let desk = Desk::with(settings).await;
    desk.payments.will("authorise", &[Mood::DoneUnknown]);
    desk.payments.will("authorise", &[Mood::Unknown; 200]);
    desk.run();
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    desk.reaches(order, "unwinding").await;
    desk.stock(order, "StockReleased").await;
    desk.reaches(order, "undone").await;
    assert_eq!(desk.rejection(order).await, "payment-unavailable");
    assert_eq!(desk.payment_status(order).await, "voided");
    assert!(!desk.payments.holds_money(order));
}

#[tokio::test]
async fn a_process_that_dies_before_its_call_is_finished_by_another_ones_timer() {
    let mut settings = Settings {
        call_timeout: Duration::from_millis(100),
        ..Settings::default()
    };
    settings.timers.interval = Duration::from_millis(10);
    let desk = Desk::with(settings).await;
    let order = desk.place().await;
    desk.stock_then_crash(order, "StockReserved").await;
    assert_eq!(desk.payments.called(order), [""; 0], "the call was lost");
    desk.run_another();
    desk.reaches(order, "completing").await;
    desk.stock(order, "StockCommitted").await;
    assert_eq!(desk.reaches(order, "completed").await, SOLD);
}

#[tokio::test]
async fn two_executors_on_one_saga_sell_it_once() {
    // A lost answer falls due at once, so that timers and calls overtake each other all the time.
    let mut settings = Settings {
        call_timeout: Duration::from_millis(1),
        ..Settings::default()
    };
    settings.timers.interval = Duration::from_millis(1);
    let desk = Desk::with(settings).await;
    desk.run();
    desk.run_another();
    let mut orders = Vec::new();
    for _ in 0..20 {
        let order = desk.place().await;
        desk.stock(order, "StockReserved").await;
        orders.push(order);
    }
    for order in orders {
        desk.reaches(order, "completing").await;
        desk.stock(order, "StockCommitted").await;
        assert_eq!(desk.reaches(order, "completed").await, SOLD);
        assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderConfirmed"]);
    }
}

#[tokio::test]
async fn a_refused_capture_parks_and_the_order_stays_sold() {
    let desk = Desk::open().await;
    desk.run();
    desk.payments.will("capture", &[Mood::Refuse]);
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    desk.reaches(order, "parked").await;
    desk.stock(order, "StockCommitted").await;
    let (saga, _) = desk.saga(order).await;
    assert_eq!(saga.parked_reason.as_deref(), Some("capture-refused"));
    assert_eq!(desk.told(order).await, ["OrderPlaced", "OrderConfirmed"]);
}

#[tokio::test]
async fn repeated_and_foreign_events_move_nothing() {
    let desk = Desk::open().await;
    let order = desk.place().await;
    desk.stock(order, "StockReserved").await;
    let before = desk.saga(order).await;
    for name in [
        "StockReserved",
        "StockRejected",
        "StockAdjusted",
        "SomethingNew",
    ] {
        desk.stock(order, name).await;
    }
    assert_eq!(desk.saga(order).await, before);
}
