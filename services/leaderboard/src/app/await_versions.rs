//! Reads after writes: the boards must hold what the caller has seen elsewhere.

use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{Held, Topic};
use brewline_proto::order::v1::ConsistencyToken;
use tokio::time::Instant;
use uuid::Uuid;

use super::live::Live;
use crate::inbound::records::Topics;

/// Waits until the boards hold all tokens, at most for `wait`. A subject that was left out answers at once.
/// The waiter registers before it looks, so that a batch in between wakes it.
pub async fn wait(
    live: &Live,
    topics: &Topics,
    tokens: &[ConsistencyToken],
    wait: Duration,
) -> Held {
    let deadline = Instant::now() + wait;
    let mut changes = live.changes();
    loop {
        changes.mark_unchanged();
        let held = held(live, topics, tokens);
        if held != Held::Behind || Instant::now() >= deadline {
            return held;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return held },
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

fn held(live: &Live, topics: &Topics, tokens: &[ConsistencyToken]) -> Held {
    let state = live.read();
    let holds = |token: &ConsistencyToken| match topics.of(&token.topic) {
        // Boards are not made of it: nothing to wait for.
        None => Held::Yes,
        Some(topic) => {
            let began = (topic == Topic::Orders)
                .then(|| began(&token.subject))
                .flatten();
            state
                .fold
                .holds(topic, &token.subject, token.version, began)
        }
    };
    let all: Vec<Held> = tokens.iter().map(holds).collect();
    if all.contains(&Held::Parked) {
        Held::Parked
    } else if all.contains(&Held::Behind) {
        Held::Behind
    } else {
        Held::Yes
    }
}

/// When an order was placed: its id tells.
fn began(order: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::try_parse(order).ok()?.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    let micros = i64::from(nanos) / 1_000;
    Some(Timestamp::from_micros(
        seconds.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}
