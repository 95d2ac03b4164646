//! Misbehaviour on order: what is struck, how often, by which seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use brewline_sandbox_domain::{Behaviour, Behaviours, Kind, Misbehaviour, Share};

fn told(misbehaviour: Misbehaviour, share: &str, seed: u64, count: Option<u32>) -> Behaviours {
    let mut behaviours = Behaviours::default();
    let share = share.parse().unwrap();
    behaviours.set(
        Kind::Authorise,
        Some(Behaviour::new(misbehaviour, share, seed, count)),
    );
    behaviours
}

fn strikes(behaviours: &mut Behaviours, requests: usize) -> Vec<bool> {
    (0..requests)
        .map(|_| behaviours.judge(Kind::Authorise).is_some())
        .collect()
}

#[test]
fn nobody_misbehaves_untold() {
    let mut behaviours = told(Misbehaviour::Hang, "1", 0, None);
    assert_eq!(behaviours.judge(Kind::Capture), None);
    assert_eq!(behaviours.judge(Kind::Authorise), Some(Misbehaviour::Hang));
    behaviours.set(Kind::Authorise, None);
    assert_eq!(behaviours.judge(Kind::Authorise), None);
}

#[test]
fn a_count_is_used_up() {
    let mut behaviours = told(Misbehaviour::Hang, "1", 0, Some(2));
    assert_eq!(strikes(&mut behaviours, 4), [true, true, false, false]);
}

#[test]
fn a_share_is_about_right_and_follows_from_its_seed() {
    let run = |seed| strikes(&mut told(Misbehaviour::Decline, "0.3", seed, None), 10_000);
    let struck = run(7).into_iter().filter(|struck| *struck).count();
    assert!((2_800..3_200).contains(&struck), "{struck}");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    assert!(!strikes(&mut told(Misbehaviour::Hang, "0", 1, None), 100).contains(&true));
}

#[test]
fn shares_are_numbers_from_0_to_1() {
    for right in ["0", "1", "0.5", "1.0", "0.000001"] {
        assert!(right.parse::<Share>().is_ok(), "{right} was refused");
    }
    for wrong in [
        "",
        "2",
        "1.000001",
        "-1",
        "0.0000001",
        "1e-3",
        "x",
        ".5",
        "99999999999",
    ] {
        assert!(wrong.parse::<Share>().is_err(), "{wrong} was taken");
    }
}

#[test]
fn statuses_are_those_of_errors() {
    for (status, fits) in [(399, false), (400, true), (599, true), (600, false)] {
        assert_eq!(Misbehaviour::error(status).is_ok(), fits, "{status}");
    }
}

#[test]
fn the_door_closes_only_when_everybody_is_refused() {
    let refuse = Misbehaviour::RefuseConnection;
    assert!(told(refuse, "1", 0, None).closed());
    assert!(!told(refuse, "0.5", 0, None).closed());
    assert!(!told(refuse, "1", 0, Some(3)).closed());
    assert!(!told(Misbehaviour::Hang, "1", 0, None).closed());
}
