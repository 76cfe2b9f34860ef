//! The form of what is kept: every cluster's name once, and of each metric who answered it, by number.
//!
//! ```text
//!  {"history": …metrics without clusters…, "clusters": ["east", "west"], "groups": [[[0,12,150,0,[4]],[1,9,…]]], "of": [0, 0]}
//!                                                         └ seen and slowest sample: milliseconds before the status
//! ```

use std::collections::BTreeMap;

use autoscaler_core::{History, KnownCluster, Name};
use serde::{Deserialize, Serialize};

/// Most clusters of all metrics together: what is read says of few bytes that they are many.
const MEMBERS_MAX: usize = 16 << 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Kept {
    /// But for its metrics' clusters.
    history: History,
    /// Every cluster's name.
    clusters: Vec<Name>,
    /// Who answered; metrics that the same ones answered alike share a group.
    groups: Vec<Vec<Member>>,
    /// One a metric: its group.
    of: Vec<usize>,
}

/// A cluster of a metric: its place among the names; how long before the status it answered, and each of its series had
/// samples; for how long it was missing; how many series it has of each selector; how long before the status some
/// were silent; see [`KnownCluster`], whose course is begun anew.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Member(
    usize,
    i64,
    Option<i64>,
    i64,
    Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<i64>,
);

impl Kept {
    /// `None`: they are too many.
    pub(super) fn new(mut history: History, at_ms: i64) -> Option<Self> {
        let mut numbers: BTreeMap<Name, usize> = BTreeMap::new();
        let mut known_groups: BTreeMap<Vec<Member>, usize> = BTreeMap::new();
        let mut members_left = MEMBERS_MAX;
        let (mut clusters, mut groups, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for metric in &mut history.metrics {
            members_left = members_left.checked_sub(metric.clusters.len())?;
            let member = |cluster: KnownCluster| {
                let number = *numbers.entry(cluster.name.clone()).or_insert_with(|| {
                    clusters.push(cluster.name.clone());
                    clusters.len() - 1
                });
                let before = |ms: i64| at_ms.saturating_sub(ms);
                let KnownCluster { seen_ms, missing_ms, series, slowest_ms, silent_ms, .. } = cluster;
                Member(
                    number,
                    before(seen_ms),
                    slowest_ms.map(before),
                    missing_ms,
                    series,
                    silent_ms.map(before),
                )
            };
            let group: Vec<Member> = std::mem::take(&mut metric.clusters).into_iter().map(member).collect();
            of.push(*known_groups.entry(group.clone()).or_insert_with(|| {
                groups.push(group);
                groups.len() - 1
            }));
        }
        Some(Self { history, clusters, groups, of })
    }

    /// `None`: it is not what was written.
    pub(super) fn history(self, at_ms: i64) -> Option<History> {
        let Self { mut history, clusters, groups, of } = self;
        if of.len() != history.metrics.len() {
            return None;
        }
        let mut members_left = MEMBERS_MAX;
        for (metric, group) in history.metrics.iter_mut().zip(of) {
            let group = groups.get(group)?;
            members_left = members_left.checked_sub(group.len())?;
            let known = |Member(number, seen, slowest, missing_ms, series, silent): &Member| {
                let before = |ms: i64| at_ms.saturating_sub(ms);
                let name = clusters.get(*number)?.clone();
                Some(KnownCluster {
                    missing_ms: *missing_ms,
                    series: series.clone(),
                    slowest_ms: slowest.map(before),
                    silent_ms: silent.map(before),
                    ..KnownCluster::new(name, before(*seen))
                })
            };
            metric.clusters = group.iter().map(known).collect::<Option<_>>()?;
        }
        Some(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process of before wrote, which knew of no silent pods.
    #[test]
    fn a_member_without_its_newest_field_is_read() {
        let old: Member = serde_json::from_str("[0,1,null,2,[3]]").unwrap();
        assert!(old == Member(0, 1, None, 2, vec![3], None));
        assert_eq!(serde_json::to_string(&old).unwrap(), "[0,1,null,2,[3]]");
    }
}
