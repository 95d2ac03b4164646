use std::time::Duration;

use brewline_config::Environment;
use brewline_kernel::Clock as _;
use brewline_payment::Config;
use brewline_payment::app::{Payer, forget_once};
use brewline_payment::inbound::Payments;
use brewline_payment_domain::{Command, Effect, Outcome, RefusalReason};
use brewline_proto::payment::v1 as proto;
use brewline_proto::payment::v1::payment_service_server::PaymentService as _;
use brewline_test_support::eventually;
use futures_util::future::join_all;
use tonic::Request;

use crate::card_processor::Mode;
use crate::shop::{AMOUNT, Books, Shop, an_order, authorise, effect, is_unknown, refusal};

/// Few of everything, so that a test is short.
const RULES: &str = "card-testing=card declined<=500 3/600; card-velocity=card asked 5/60; \
                     customer-testing=customer declined<=500 4/600; \
                     customer-velocity=customer asked 8/60";

/// The rule that refused, as its detail says it.
fn rule(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Refused {
            reason: RefusalReason::Risk,
            detail,
        } => detail.strip_prefix("risk rule ")?.split(':').next(),
        Outcome::Refused { .. }
        | Outcome::Done { .. }
        | Outcome::Declined { .. }
        | Outcome::Unknown { .. } => None,
    }
}

fn is_declined(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Declined { .. })
}

async fn tallies(shop: &Shop) -> i64 {
    let connection = shop.db.pool().get().await.unwrap();
    let sql = "select count(*) from risk_tally";
    connection.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_card_that_is_tested_is_refused_before_the_processor_is_asked() {
    let shop = Shop::with_rules(RULES).await;
    for customer in ["a", "b", "c"] {
        let outcome = shop.pay(an_order(), "tok_declined_1", customer).await;
        assert!(is_declined(&outcome), "{outcome:?}");
    }
    let order = an_order();
    let refused = shop.pay(order, "tok_declined_1", "d").await;
    assert_eq!(rule(&refused), Some("card-testing"), "{refused:?}");
    assert_eq!(shop.processor.requests(), 3);
    assert_eq!(
        shop.events(order).await,
        [],
        "no money moved, nothing is told"
    );
    let other = shop.pay(an_order(), "tok_ok_2", "d").await;
    assert_eq!(effect(&other), Some(Effect::Authorised), "another card");
}

#[tokio::test]
async fn somebody_who_goes_through_many_cards_is_refused() {
    let shop = Shop::with_rules(RULES).await;
    for card in 0..4 {
        let token = format!("tok_declined_{card}");
        assert!(is_declined(&shop.pay(an_order(), &token, "eve").await));
    }
    let refused = shop.pay(an_order(), "tok_ok_9", "eve").await;
    assert_eq!(rule(&refused), Some("customer-testing"));
    let other = shop.pay(an_order(), "tok_ok_9", "bob").await;
    assert_eq!(effect(&other), Some(Effect::Authorised), "another customer");
}

#[tokio::test]
async fn a_shared_demo_card_is_nobodys_but_its_customers_are_somebody() {
    let shop = Shop::with_rules(RULES).await;
    for customer in 0..12 {
        let customer = format!("customer-{customer}");
        let outcome = shop.pay(an_order(), "tok_ok", &customer).await;
        assert_eq!(effect(&outcome), Some(Effect::Authorised));
    }
    for _ in 0..8 {
        let outcome = shop.pay(an_order(), "tok_ok", "busy").await;
        assert_eq!(effect(&outcome), Some(Effect::Authorised));
    }
    let refused = shop.pay(an_order(), "tok_ok", "busy").await;
    assert_eq!(rule(&refused), Some("customer-velocity"));
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_and_is_counted_once() {
    let mut shop = Shop::with_rules(RULES).await;
    let orders: Vec<_> = (0..5).map(|_| an_order()).collect();
    for _ in 0..3 {
        for order in &orders {
            let outcome = shop.pay(*order, "tok_ok_1", "a").await;
            assert_eq!(effect(&outcome), Some(Effect::Authorised));
        }
    }
    let order = an_order();
    let refused = shop.pay(order, "tok_ok_1", "a").await;
    assert_eq!(rule(&refused), Some("card-velocity"));
    shop.crash();
    shop.clock.advance(Duration::from_secs(3_600));
    assert_eq!(shop.pay(order, "tok_ok_1", "a").await, refused, "later");
    assert_eq!(
        shop.run(order, authorise("tok_ok_1", AMOUNT)).await,
        refused
    );
    let other = shop.run(order, authorise("tok_ok_2", AMOUNT)).await;
    assert_eq!(refusal(&other), Some(RefusalReason::Mismatch));
    let later = shop.pay(an_order(), "tok_ok_1", "a").await;
    assert_eq!(
        effect(&later),
        Some(Effect::Authorised),
        "the window is over"
    );
}

#[tokio::test]
async fn what_was_refused_can_be_undone() {
    let shop = Shop::with_rules("one=customer asked 1/60").await;
    shop.pay(an_order(), "tok_ok", "a").await;
    let order = an_order();
    assert_eq!(rule(&shop.pay(order, "tok_ok", "a").await), Some("one"));
    let undone = shop.reverse(order).await;
    assert_eq!(effect(&undone), Some(Effect::Nothing));
    let late = shop.pay(order, "tok_ok", "a").await;
    assert_eq!(refusal(&late), Some(RefusalReason::Reversed));
    assert_eq!(shop.processor.requests(), 1);
    assert_eq!(shop.books(order).await, Books::default());
}

#[tokio::test]
async fn counts_outlive_the_service() {
    let mut shop = Shop::with_rules(RULES).await;
    for _ in 0..3 {
        shop.pay(an_order(), "tok_declined_1", "a").await;
        shop.crash();
    }
    let refused = shop.pay(an_order(), "tok_declined_1", "a").await;
    assert_eq!(rule(&refused), Some("card-testing"));
}

#[tokio::test]
async fn a_decline_that_is_known_late_is_counted() {
    let shop = Shop::with_rules("one=card declined 1/60").await;
    let order = an_order();
    shop.processor
        .misbehave("authorise", &[Mode::DoneThenReset]);
    assert!(is_unknown(&shop.pay(order, "tok_declined_1", "a").await));
    let meanwhile = shop.pay(an_order(), "tok_ok_2", "a").await;
    assert_eq!(effect(&meanwhile), Some(Effect::Authorised));
    assert!(is_declined(&shop.pay(order, "tok_declined_1", "a").await));
    let refused = shop.pay(an_order(), "tok_declined_1", "a").await;
    assert_eq!(rule(&refused), Some("one"));
}

#[tokio::test]
async fn a_decline_that_only_the_undo_brings_to_light_is_counted() {
    let shop = Shop::with_rules("one=card declined 1/60").await;
    let order = an_order();
    shop.processor
        .misbehave("authorise", &[Mode::DoneThenReset]);
    assert!(is_unknown(&shop.pay(order, "tok_declined_1", "a").await));
    let undone = shop.settle(order, Command::Reverse).await;
    assert_eq!(effect(&undone), Some(Effect::Nothing));
    let refused = shop.pay(an_order(), "tok_declined_1", "b").await;
    assert_eq!(rule(&refused), Some("one"));
}

/// How many the rule has counted, of all cards and customers.
async fn counted(shop: &Shop) -> i64 {
    let connection = shop.db.pool().get().await.unwrap();
    let sql = "select coalesce(sum((slice->>2)::bigint), 0)::bigint
                 from risk_tally, jsonb_each(counts) as rule, jsonb_array_elements(rule.value) as slice";
    connection.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_authorisation_repeated_after_a_death_is_neither_judged_nor_counted_again() {
    let mut shop = Shop::with_rules("one=card asked 1/60").await;
    let order = an_order();
    shop.processor.misbehave("authorise", &[Mode::Hang]);
    let (operations, processor) = (shop.operations(), shop.processor.clone());
    let payer = Payer::of("tok_ok_1", "a");
    let call = operations.run(order, authorise("tok_ok_1", AMOUNT), payer, None);
    // The intent is on record, and nobody has answered.
    let death = async {
        eventually("the request is in flight", async || {
            processor.requests() > 0
        })
        .await;
        shop.crash();
    };
    let (outcome, ()) = tokio::join!(call, death);
    assert!(outcome.is_err(), "a dead service answered");
    assert_eq!(counted(&shop).await, 1);
    let again = shop.pay(order, "tok_ok_1", "a").await;
    assert_eq!(effect(&again), Some(Effect::Authorised), "{again:?}");
    assert_eq!(counted(&shop).await, 1, "it is one authorisation");
}

#[tokio::test]
async fn two_services_with_one_card_at_once_let_no_more_through_than_one() {
    let shop = Shop::with_rules(RULES).await;
    let other = shop.another();
    let (here, there) = (
        (0..40).map(|_| shop.pay(an_order(), "tok_ok_1", "")),
        (0..40).map(|_| other.pay(an_order(), "tok_ok_1", "")),
    );
    let (here, there) = tokio::join!(join_all(here), join_all(there));
    let all: Vec<_> = here.into_iter().chain(there).collect();
    let held = all.iter().filter(|it| effect(it).is_some()).count();
    let refused = all
        .iter()
        .filter(|it| rule(it) == Some("card-velocity"))
        .count();
    assert_eq!((held, refused), (5, 75));
}

#[tokio::test]
async fn cards_in_different_order_at_two_services_do_not_block_each_other() {
    let shop = Shop::with_rules(RULES).await;
    let other = shop.another();
    let (forth, back) = (0..100, (0..100).rev());
    let pay = async |service: Option<&Shop>, card: i32| {
        let (order, token) = (an_order(), format!("tok_ok_{card}"));
        // As a saga does: of two hundred requests at once, some take longer than they may.
        for _ in 0..10 {
            let outcome = match service {
                Some(shop) => shop.pay(order, &token, "").await,
                None => other.pay(order, &token, "").await,
            };
            if !is_unknown(&outcome) {
                return outcome;
            }
        }
        panic!("the payment of card {card} stays unknown");
    };
    let (here, there) = tokio::join!(
        join_all(forth.map(|card| pay(Some(&shop), card))),
        join_all(back.map(|card| pay(None, card)))
    );
    for outcome in here.iter().chain(&there) {
        assert_eq!(effect(outcome), Some(Effect::Authorised), "{outcome:?}");
    }
}

#[tokio::test]
async fn tallies_go_when_nothing_in_them_counts() {
    let shop = Shop::with_rules(RULES).await;
    for card in 0..10 {
        shop.pay(an_order(), &format!("tok_ok_{card}"), "").await;
    }
    assert_eq!(tallies(&shop).await, 10);
    let dropped = async || forget_once(shop.db.pool(), shop.clock.now()).await.unwrap();
    assert_eq!(dropped().await, 0, "they still count");
    shop.clock.advance(Duration::from_secs(600));
    assert_eq!(dropped().await, 10);
    assert_eq!(tallies(&shop).await, 0);
}

#[tokio::test]
async fn the_rule_is_shown_with_the_payment() {
    let shop = Shop::with_rules("one=customer asked 1/60").await;
    let (first, second) = (an_order(), an_order());
    shop.pay(first, "tok_ok", "a").await;
    shop.pay(second, "tok_ok", "a").await;
    let payments = Payments::new(shop.operations());
    for (order, rule, state) in [(first, "", "done"), (second, "one", "refused")] {
        let order_id = order.to_string();
        let request = Request::new(proto::GetPaymentRequest { order_id });
        let answer = payments.get_payment(request).await.unwrap().into_inner();
        let operation = &answer.operations[0];
        assert_eq!(
            (operation.risk_rule.as_str(), operation.state.as_str()),
            (rule, state)
        );
        let whole = operation.detail == "risk rule one: 1 asked for within 60 s";
        assert_eq!(whole, state == "refused", "{}", operation.detail);
    }
}

#[tokio::test]
async fn who_is_refused_learns_neither_the_rule_nor_its_limits() {
    let shop = Shop::with_rules("one=customer asked 1/60").await;
    let payments = Payments::new(shop.operations());
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = proto::AuthoriseRequest {
            order_id: an_order().to_string(),
            amount: Some(brewline_proto::money::v1::Money {
                amount_minor: AMOUNT,
                currency: "EUR".to_owned(),
            }),
            token: "tok_ok".to_owned(),
            customer_id: "a".to_owned(),
            ..proto::AuthoriseRequest::default()
        };
        let answer = payments.authorise(Request::new(request)).await.unwrap();
        answers.push(answer.into_inner().outcome.unwrap().result.unwrap());
    }
    let Some(proto::outcome::Result::Refused(refused)) = answers.pop() else {
        panic!("it was not refused");
    };
    assert_eq!(refused.reason(), proto::RefusalReason::Risk);
    assert_eq!(refused.detail, "a risk rule refuses the payment");
}

#[test]
fn a_table_that_cannot_be_read_is_a_fault_at_start() {
    let mut env = Environment::from_pairs([("BREWLINE_PAYMENT_RISK_RULES", "card asked 3")]);
    let config = Config::read(&mut env);
    let faults = env.finish(config).unwrap_err().to_string();
    assert!(faults.contains("`card asked 3` is no rule"), "{faults}");
}

#[test]
fn the_rules_by_default_can_be_read() {
    let mut env = Environment::from_pairs([
        (
            "BREWLINE_POSTGRES_URL",
            "postgres://payment@localhost/payment",
        ),
        ("BREWLINE_KAFKA_BROKERS", "127.0.0.1:1"),
        ("BREWLINE_PROCESSOR_URL", "http://127.0.0.1:1"),
    ]);
    let config = Config::read(&mut env);
    let rules = env.finish(config).unwrap().rules;
    for subject in brewline_payment_domain::Subject::ALL {
        assert!(rules.concern(subject), "{subject:?}");
    }
}
