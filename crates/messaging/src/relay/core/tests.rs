//! The core against a small model of a database, a broker and a crash-prone holder.

use super::*;

const LIMITS: Limits = Limits {
    batch_rows: 4,
    unacked_rows_max: 6,
    gaps_max: 3,
};

fn row(position: i64, key: u64) -> Row<i64> {
    Row {
        position,
        key,
        record: position,
    }
}

fn read(core: &mut Core<i64>, rows: Vec<Row<i64>>, xmin: i64) -> Vec<Send<i64>> {
    let read = core.next_read().unwrap();
    core.rows(&read, rows, xmin)
}

fn records(sends: &[Send<i64>]) -> Vec<i64> {
    sends.iter().map(|send| send.record).collect()
}

#[test]
fn a_row_after_a_gap_is_sent_at_once_and_the_watermark_waits() {
    let mut core = Core::new(LIMITS, 0);
    let sends = read(&mut core, vec![row(1, 1), row(3, 3)], 10);
    assert_eq!(records(&sends), [1, 3]);
    for send in sends {
        assert_eq!(core.acked(send.ticket), None);
    }
    assert_eq!(core.mark().watermark, 1);
    assert_eq!(core.next_read().unwrap().gaps, [(2, 2)]);
}

#[test]
fn a_late_commit_is_sent_and_releases_the_watermark() {
    let mut core = Core::new(LIMITS, 0);
    let late = read(&mut core, vec![row(2, 2)], 10);
    core.acked(late[0].ticket);
    let sends = read(&mut core, vec![row(1, 1)], 10);
    core.acked(sends[0].ticket);
    assert_eq!(core.mark().watermark, 2);
}

#[test]
fn a_gap_is_dead_only_above_a_bound_taken_after_it_was_noticed() {
    let mut core = Core::new(LIMITS, 0);
    let early = core.mark();
    let sends = read(&mut core, vec![row(2, 2)], 10);
    core.acked(sends[0].ticket);
    // This mark's transaction began before the gap was noticed: its id proves nothing.
    core.marked(early, 9);
    read(&mut core, vec![], 100);
    assert_eq!(core.mark().watermark, 0);

    let mark = core.next_mark().unwrap();
    core.marked(mark, 12);
    read(&mut core, vec![], 12);
    assert_eq!(core.mark().watermark, 0, "the bound itself may be running");
    read(&mut core, vec![], 13);
    assert_eq!(core.mark().watermark, 2);
}

#[test]
fn a_full_read_proves_nothing_about_what_lies_above_it() {
    let mut core = Core::new(LIMITS, 0);
    for send in read(&mut core, vec![row(2, 2), row(4, 4)], 10) {
        core.acked(send.ticket);
    }
    let mark = core.next_mark().unwrap();
    core.marked(mark, 12);
    let request = Read {
        limit: 1,
        ..core.next_read().unwrap()
    };
    // One row asked for, one row shown: gap 3 was not looked at.
    let sends = core.rows(&request, vec![row(1, 1)], 99);
    core.acked(sends[0].ticket);
    assert_eq!(core.mark().watermark, 2);
}

#[test]
fn a_key_has_one_record_in_flight() {
    let mut core = Core::new(LIMITS, 0);
    let sends = read(&mut core, vec![row(1, 7), row(2, 7), row(3, 8)], 10);
    assert_eq!(records(&sends), [1, 3]);
    let next = core.acked(sends[0].ticket).unwrap();
    assert_eq!(next.record, 2);
    assert_eq!(core.acked(next.ticket), None);
}

#[test]
fn a_failed_delivery_starts_again_from_the_mark_and_old_tickets_mean_nothing() {
    let mut core = Core::new(LIMITS, 0);
    let sends = read(&mut core, vec![row(1, 1), row(2, 2), row(3, 3)], 10);
    core.acked(sends[0].ticket);
    core.marked(core.mark(), 11);
    assert!(core.failed(sends[1].ticket));
    assert!(!core.failed(sends[2].ticket), "one reset is enough");
    assert_eq!(core.acked(sends[2].ticket), None);
    assert_eq!(core.mark().watermark, 1);
    let again = read(&mut core, vec![row(2, 2), row(3, 3)], 12);
    assert_eq!(records(&again), [2, 3]);
}

#[test]
fn what_is_unacknowledged_is_bounded() {
    let mut core = Core::new(LIMITS, 0);
    read(&mut core, (1..=4).map(|n| row(n, 1)).collect(), 10);
    assert_eq!(core.next_read().unwrap().limit, 2);
    read(&mut core, (5..=6).map(|n| row(n, 1)).collect(), 10);
    assert_eq!(core.next_read(), None);
}

#[test]
fn with_too_many_gaps_only_gaps_are_read() {
    let mut core = Core::new(LIMITS, 0);
    read(&mut core, vec![row(2, 2), row(4, 4), row(6, 6)], 10);
    assert_eq!(core.next_read().unwrap().after, i64::MAX);
    assert_eq!(core.next_read().unwrap().gaps, [(1, 1), (3, 3), (5, 5)]);
}

mod model;
