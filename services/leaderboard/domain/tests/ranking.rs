//! A ranking against a list that is sorted anew after every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::Ranking;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Change {
    member: u8,
    delta: i64,
    at: i64,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0..60_u8, -4..8_i64, 0..40_i64);
    prop::collection::vec(
        change.prop_map(|(member, delta, at)| Change { member, delta, at }),
        0..400,
    )
}

/// Score descending, then who reached it first, then id.
fn sorted(changes: &[Change]) -> Vec<(String, i64, i64)> {
    let mut members: BTreeMap<u8, (i64, i64)> = BTreeMap::new();
    for change in changes {
        let (score, reached) = members.entry(change.member).or_insert((0, i64::MIN));
        *score += change.delta;
        *reached = (*reached).max(change.at);
    }
    let mut list: Vec<_> = members
        .into_iter()
        .filter(|(_, (score, _))| *score > 0)
        .map(|(member, (score, reached))| (name(member), score, reached))
        .collect();
    list.sort_by(|a, b| (-a.1, a.2, &a.0).cmp(&(-b.1, b.2, &b.0)));
    list
}

fn name(member: u8) -> String {
    format!("member-{member:03}")
}

fn ranked(changes: &[Change]) -> Ranking {
    let mut ranking = Ranking::default();
    for change in changes {
        let member: Arc<str> = name(change.member).into();
        ranking.add(&member, change.delta, Timestamp::from_micros(change.at));
    }
    ranking
}

proptest! {
    #[test]
    fn a_ranking_is_a_sorted_list(changes in changes(), from in 0..50_usize, limit in 0..20_usize) {
        let (ranking, list) = (ranked(&changes), sorted(&changes));
        prop_assert_eq!(ranking.len(), list.len());
        for (place, (member, score, _)) in list.iter().enumerate() {
            prop_assert_eq!(ranking.rank(member), Some(place));
            prop_assert_eq!(ranking.standing(member).map(|standing| standing.score), Some(*score));
        }
        let page: Vec<_> = ranking
            .page(from, limit)
            .map(|(place, member, standing)| (place, member.to_string(), standing.score))
            .collect();
        let wanted: Vec<_> = list
            .iter()
            .enumerate()
            .skip(from)
            .take(limit)
            .map(|(place, (member, score, _))| (place, member.clone(), *score))
            .collect();
        prop_assert_eq!(page, wanted);
        prop_assert_eq!(ranking.rank("nobody"), None);
    }

    #[test]
    fn changes_may_come_in_any_order(changes in changes()) {
        let mut other = changes.clone();
        other.reverse();
        let list = |ranking: &Ranking| -> Vec<String> {
            ranking.ranked().map(|(member, _)| member.to_string()).collect()
        };
        prop_assert_eq!(list(&ranked(&changes)), list(&ranked(&other)));
    }
}
