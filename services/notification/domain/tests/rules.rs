//! The rules of `notification`, as tables.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::net::IpAddr;
use std::time::Duration;

use brewline_kernel::{OrderId, Timestamp};
use brewline_notification_domain::{
    CALL_ATTEMPTS_MAX, CallAnswer, CallNext, Channel, HOOK_TYPES, Kind, MAIL_TRIED_FOR, MailAnswer,
    Next, READY_LATE, Turn, Wishes, after_call, after_mail, hook_type, judge, message, message_id,
    refusal, signed,
};
use proptest::prelude::*;

const ORDER: &str = "01939d2c-7a00-7000-8000-0000000000ab";

fn order() -> OrderId {
    ORDER.parse().unwrap()
}

#[test]
fn four_events_of_an_order_are_told_and_the_others_are_not() {
    for (event, kind) in [
        ("OrderPlaced", None),
        ("OrderConfirmed", Some(Kind::Confirmed)),
        ("OrderRejected", Some(Kind::Rejected)),
        ("OrderCancellationRequested", None),
        ("OrderCancelled", Some(Kind::Cancelled)),
        ("OrderPreparationStarted", None),
        ("OrderReady", Some(Kind::Ready)),
        ("OrderCollected", None),
    ] {
        assert_eq!(Kind::of_event(&format!("brewline.order.v1.{event}")), kind);
    }
}

#[test]
fn names_survive_a_round_trip() {
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
    }
    for channel in Channel::ALL {
        assert_eq!(Channel::named(channel.name()), Some(channel));
    }
    assert_eq!(Kind::named("other"), None);
}

#[test]
fn who_said_nothing_is_told_everything_and_who_said_no_is_told_nothing() {
    let silent = Wishes::default();
    let no_channel = Wishes::new(Vec::new(), Kind::ALL.to_vec());
    let only_ready = Wishes::new(Channel::ALL.to_vec(), vec![Kind::Ready]);
    for kind in Kind::ALL {
        assert!(silent.include(kind, Channel::Email));
        assert!(!no_channel.include(kind, Channel::Email));
        assert_eq!(
            only_ready.include(kind, Channel::Email),
            kind == Kind::Ready
        );
    }
}

#[test]
fn a_message_that_lost_its_point_is_not_sent() {
    let happened = Timestamp::from_millis(1_795_219_200_000);
    let at = |age: Duration| happened.plus(age);
    let second = Duration::from_secs(1);
    let turn = |kind, age| judge(kind, happened, true, at(age));
    assert_eq!(turn(Kind::Ready, READY_LATE), Turn::Send);
    assert!(matches!(
        turn(Kind::Ready, READY_LATE + second),
        Turn::Expire(_)
    ));
    assert_eq!(turn(Kind::Confirmed, READY_LATE + second), Turn::Send);
    assert!(matches!(
        turn(Kind::Confirmed, MAIL_TRIED_FOR + second),
        Turn::GiveUp(_)
    ));
    let erased = judge(Kind::Confirmed, happened, false, happened);
    assert!(matches!(erased, Turn::Expire(_)));
}

#[test]
fn a_mail_is_repeated_until_it_is_taken_or_refused() {
    let not_now = || MailAnswer::NotNow("busy".to_owned());
    assert_eq!(after_mail(MailAnswer::Taken, 1, 0), Next::Sent);
    let never = after_mail(MailAnswer::Never("no such box".to_owned()), 1, 0);
    assert!(matches!(never, Next::Failed { .. }));
    for (attempt, longest_ms) in [(1, 500), (2, 1_000), (5, 8_000), (60, 300_000)] {
        let Next::Again { after, .. } = after_mail(not_now(), attempt, u64::MAX) else {
            panic!("a passing trouble ends nothing");
        };
        assert!(after <= Duration::from_millis(longest_ms), "{attempt}");
    }
}

#[test]
fn a_mail_has_one_name_and_speaks_the_customers_language() {
    assert_eq!(
        message_id(order(), Kind::Ready),
        format!("<{ORDER}.ready@brewline>")
    );
    let english = message(Kind::Ready, order(), "Ana", "en", "");
    assert_eq!(english.subject, "Your order is ready (0000ab)");
    assert!(english.body.starts_with("Hello Ana,\n"));
    let portuguese = message(Kind::Ready, order(), "Ana", "pt-PT", "");
    assert!(portuguese.subject.starts_with("Pedido pronto"));
    let unknown = message(Kind::Ready, order(), "Ana", "xx", "why");
    assert_eq!(unknown.subject, english.subject);
    assert!(unknown.body.contains("\nwhy\n"));
}

fn status(status: u16) -> CallAnswer {
    CallAnswer::Status {
        status,
        retry_after: None,
    }
}

#[test]
fn only_2xx_delivers_410_disables_and_a_redirect_is_a_failure() {
    for code in [200, 204, 299] {
        assert_eq!(after_call(status(code), 1, 0), CallNext::Delivered);
    }
    assert_eq!(after_call(status(410), 1, 0), CallNext::Disable);
    for code in [301, 302, 307, 400, 404, 429, 500, 503] {
        let next = after_call(status(code), 1, 0);
        assert!(matches!(next, CallNext::Again { .. }), "{code}");
        let last = after_call(status(code), CALL_ATTEMPTS_MAX, 0);
        assert!(matches!(last, CallNext::Failed { .. }), "{code}");
    }
}

#[test]
fn retry_after_is_honoured_up_to_a_day() {
    let asked = |retry_after| CallAnswer::Status {
        status: 503,
        retry_after: Some(Duration::from_secs(retry_after)),
    };
    for (asks_s, waits_s) in [(120, 120), (10_000_000, 86_400)] {
        let CallNext::Again { after, .. } = after_call(asked(asks_s), 1, 0) else {
            panic!("it is called again");
        };
        assert_eq!(after, Duration::from_secs(waits_s));
    }
}

#[test]
fn types_and_the_signed_text_are_those_of_the_documents() {
    assert_eq!(HOOK_TYPES.len(), 6);
    let placed = hook_type("brewline.order.v1.OrderPlaced");
    assert_eq!(placed, Some("order.placed"));
    assert_eq!(hook_type("brewline.order.v1.OrderPreparationStarted"), None);
    assert_eq!(signed("msg_1", 1_614_265_330, "{}"), "msg_1.1614265330.{}");
}

#[test]
fn only_public_addresses_are_called() {
    for public in [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        let address: IpAddr = public.parse().unwrap();
        assert_eq!(refusal(address), None, "{public}");
    }
    for other in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::",
        "3fff::1",
        "100::1",
        "4000::1",
    ] {
        let address: IpAddr = other.parse().unwrap();
        assert!(refusal(address).is_some(), "{other} would be called");
    }
}

proptest! {
    #[test]
    fn an_ipv4_address_is_judged_the_same_when_ipv6_hides_it(bits: u32) {
        let plain = std::net::Ipv4Addr::from(bits);
        let hidden = plain.to_ipv6_mapped();
        prop_assert_eq!(refusal(plain.into()).is_some(), refusal(hidden.into()).is_some());
    }

    #[test]
    fn waits_grow_to_a_bound_and_never_beyond_it(attempt in 1..10_u32, random: u64) {
        let next = after_call(CallAnswer::None("hung up".to_owned()), attempt, random);
        let CallNext::Again { after, .. } = next else { return Ok(()); };
        prop_assert!(after <= Duration::from_secs(72_000));
    }
}
