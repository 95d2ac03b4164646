//! The core against a small model of a log, a position table and owners that crash and linger.

use super::*;

const LIMITS: Limits = Limits {
    batch_records_max: 8,
    batch_bytes_max: 1_000,
    attempts_max: 3,
    deaths_max: 2,
    claim_again_after: Duration::from_secs(3),
    paused_for: Duration::from_secs(30),
    backoff: match Backoff::new(Duration::from_millis(50), Duration::from_secs(5)) {
        Ok(backoff) => backoff,
        Err(_) => panic!("valid"),
    },
};
const START: Duration = Duration::ZERO;

fn place(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn item(offset: i64) -> Item<i64> {
    Item {
        offset,
        bytes: 10,
        record: offset,
    }
}

/// A core that owns partitions 0 and 1 from offset 0, past its cautious start.
fn grown() -> Core<i64> {
    let mut core = Core::new(LIMITS);
    core.claimed(place(0), 1, 0);
    core.claimed(place(1), 1, 0);
    core.size = LIMITS.batch_records_max;
    core
}

fn apply(core: &mut Core<i64>, now: Duration) -> Batch<i64> {
    match core.next(now) {
        Task::Apply(batch) => batch,
        other @ (Task::Claim(_) | Task::Wait(_)) => panic!("expected a batch, got {other:?}"),
    }
}

fn offsets(batch: &Batch<i64>) -> Vec<i64> {
    batch.items.iter().map(|item| item.offset).collect()
}

#[test]
fn a_batch_spans_partitions_and_moves_each_position() {
    let mut core = grown();
    for offset in [0, 1, 5] {
        core.fetched(&place(0), item(offset));
    }
    core.fetched(&place(1), item(0));
    let batch = apply(&mut core, START);
    assert_eq!(offsets(&batch), [0, 1, 5, 0]);
    let moves: Vec<_> = batch
        .moves
        .iter()
        .map(|m| (m.place.partition, m.first, m.next))
        .collect();
    assert_eq!(moves, [(0, 0, 6), (1, 0, 1)]);
    core.committed(&batch);
    assert_eq!(core.next(START), Task::Wait(None));
}

#[test]
fn a_busy_partition_does_not_starve_the_other() {
    let mut core = grown();
    for offset in 0..20 {
        core.fetched(&place(0), item(offset));
    }
    core.fetched(&place(1), item(0));
    let first = apply(&mut core, START);
    assert_eq!(first.moves.len(), 1);
    core.committed(&first);
    let second = apply(&mut core, START);
    assert_eq!(second.moves[0].place, place(1));
}

#[test]
fn bytes_bound_a_batch_and_a_large_record_goes_alone() {
    let mut core = grown();
    for (offset, bytes) in [(0, 600), (1, 600), (2, 5_000), (3, 1)] {
        core.fetched(
            &place(0),
            Item {
                offset,
                bytes,
                record: offset,
            },
        );
    }
    for expected in [vec![0], vec![1], vec![2], vec![3]] {
        let batch = apply(&mut core, START);
        assert_eq!(offsets(&batch), expected);
        core.committed(&batch);
    }
}

#[test]
fn a_failing_batch_is_halved_until_the_record_stands_alone_and_is_counted() {
    let mut core = grown();
    for offset in 0..8 {
        core.fetched(&place(0), item(offset));
    }
    for (size, doubt) in [
        (8, Doubt::None),
        (4, Doubt::None),
        (2, Doubt::None),
        (1, Doubt::Count),
    ] {
        let batch = apply(&mut core, START);
        assert_eq!((batch.items.len(), batch.doubt), (size, doubt));
        core.poisoned(batch);
    }
    let alone = apply(&mut core, START);
    assert_eq!((offsets(&alone), alone.doubt), (vec![0], Doubt::Count));
    core.committed(&alone);
    assert_eq!(offsets(&apply(&mut core, START)), [1, 2]);
}

#[test]
fn an_outage_waits_and_counts_nothing() {
    let mut core = Core::new(LIMITS);
    core.claimed(place(0), 1, 0);
    core.fetched(&place(0), item(0));
    let batch = apply(&mut core, START);
    assert_eq!(batch.doubt, Doubt::Count);
    core.counted(&batch);
    core.unreachable(Some(batch), START, 40_000_000);
    assert_eq!(
        core.next(START),
        Task::Wait(Some(Duration::from_millis(40)))
    );
    let again = apply(&mut core, Duration::from_millis(40));
    assert_eq!((again.items.len(), again.doubt), (1, Doubt::Counted));
}

#[test]
fn a_record_has_three_attempts_and_may_kill_once() {
    let core = grown();
    assert_eq!(core.chance(3, 1), Chance::Try);
    assert_eq!(core.chance(4, 0), Chance::Exhausted);
    assert_eq!(core.chance(1, 2), Chance::Deadly);
}

#[test]
fn a_refused_partition_is_claimed_again_later_and_the_other_goes_on() {
    let mut core = grown();
    core.fetched(&place(0), item(0));
    core.fetched(&place(1), item(0));
    let batch = apply(&mut core, START);
    core.refused(batch, &[(place(0), 2, 0), (place(1), 1, 0)], START);
    let other = apply(&mut core, START);
    assert_eq!(other.moves[0].place, place(1));
    core.committed(&other);
    assert_eq!(core.next(START), Task::Wait(Some(LIMITS.claim_again_after)));
    assert_eq!(
        core.next(LIMITS.claim_again_after),
        Task::Claim(vec![place(0)])
    );
    core.claimed(place(0), 3, 1);
    core.fetched(&place(0), item(1));
    let batch = apply(&mut core, LIMITS.claim_again_after);
    assert_eq!((batch.moves[0].epoch, offsets(&batch)), (3, vec![1]));
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_applied_again() {
    let mut core = grown();
    core.fetched(&place(0), item(0));
    core.fetched(&place(0), item(1));
    let batch = apply(&mut core, START);
    core.refused(batch, &[(place(0), 1, 2)], START);
    assert_eq!(core.next(START), Task::Wait(None));
}

#[test]
fn a_released_partition_forgets_what_was_fetched() {
    let mut core = grown();
    core.fetched(&place(0), item(0));
    core.released(&[place(0)]);
    core.fetched(&place(0), item(1));
    assert_eq!(core.next(START), Task::Wait(None));
}

#[test]
fn a_paused_partition_waits_and_takes_no_room() {
    let mut core = grown();
    for offset in 0..16 {
        core.fetched(&place(0), item(offset));
    }
    assert!(!core.has_room());
    let batch = apply(&mut core, START);
    core.paused(batch, &[place(0)], START);
    assert!(core.has_room());
    assert_eq!(core.next(START), Task::Wait(Some(LIMITS.paused_for)));
    assert_eq!(offsets(&apply(&mut core, LIMITS.paused_for))[0], 0);
}

mod model;
