//! What a policy's status carries from one leader to the next: the decision's history, and what it was true of.
//!
//! ```text
//!  leader A  decide ─► history ─► status.memory ──┐ at most a second old after a change of replicas,
//!                                                 │ a refresh old otherwise
//!  leader B                                       └─► history, as if it had decided itself
//! ```
//!
//! What happened after the status was written is not in it, so
//! - replicas that differ from those in memory are a change that used up rate, whoever made it;
//! - if the status is older than an evaluation or two, the replicas found count as a recommendation and as asked for,
//!   as at first sight: nothing is lowered for one window. Rates and clocks of fallbacks go on all the same.

use autoscaler_api::StatusMemory;
use autoscaler_core::{History, Policy, Recommendation, ScaleEvent};

/// The form that is written and read.
pub const VERSION: i64 = 1;
/// Most entries of each list.
const ENTRIES_MAX: usize = 32;
/// Longest history that is written or read, in bytes.
const BYTES_MAX: usize = 16 << 10;
/// A status older than this says nothing about since when evidence is insufficient.
const FORGET_MS: i64 = 600_000;

/// Goes into the status.
#[must_use]
pub fn store(history: &History, replicas: i32, now_ms: i64) -> Option<StatusMemory> {
    let mut history = history.clone();
    fit(&mut history);
    let text = serde_json::to_string(&history).ok().filter(|text| text.len() <= BYTES_MAX)?;
    Some(StatusMemory { version: VERSION, at_ms: now_ms, replicas, history: text })
}

/// Comes out of the status another leader wrote; `None`: first sight.
#[must_use]
pub fn restore(memory: &StatusMemory, now_ms: i64, interval_ms: u64) -> Option<History> {
    if memory.version != VERSION || memory.history.len() > BYTES_MAX {
        return None;
    }
    let mut history: History = serde_json::from_str(&memory.history).ok()?;
    fit(&mut history);
    let age_ms = now_ms.saturating_sub(memory.at_ms);
    let unseen_ms = i64::try_from(interval_ms.saturating_mul(2)).unwrap_or(i64::MAX).max(2_000);
    if age_ms > unseen_ms {
        // What was recommended and asked for since is not known.
        history.recommendations = None;
        history.support = None;
    }
    if age_ms > FORGET_MS {
        history.insufficient_since_ms.clear();
    }
    Some(history)
}

/// Takes into account what happened since: `replicas` are there now.
pub fn catch_up(history: &mut History, policy: &Policy, remembered: i32, replicas: i32, now_ms: i64) {
    if remembered != replicas {
        history.record_written(policy, now_ms, remembered, replicas);
    }
}

/// Keeps lists short, on the safe side: what is put together counts for longer, never for less.
fn fit(history: &mut History) {
    for events in [&mut history.scale_up_events, &mut history.scale_down_events] {
        events.retain(|e| !e.outdated);
        events.sort_by_key(|e| e.at_ms);
        while events.len() > ENTRIES_MAX {
            put_together(events);
        }
    }
    if let Some(recommendations) = &mut history.recommendations {
        recommendations.sort_by_key(|r| r.at_ms);
        let cut = recommendations.len().saturating_sub(ENTRIES_MAX);
        let old: Vec<Recommendation> = recommendations.drain(..cut).collect();
        if let Some(last) = old.last() {
            let replicas = old.iter().map(|r| r.replicas);
            let bounds = [replicas.clone().max(), replicas.min()].into_iter().flatten();
            let kept = bounds.map(|replicas| Recommendation { at_ms: last.at_ms, replicas });
            recommendations.splice(0..0, kept);
        }
    }
    if let Some(support) = &mut history.support {
        // Oldest first, each lower than the one before: the first of those left out holds longest.
        let cut = support.asked.len().saturating_sub(ENTRIES_MAX);
        let highest = support.asked.iter().take(cut + 1).map(|a| a.replicas).max();
        support.asked.drain(..cut);
        if let (Some(first), Some(highest)) = (support.asked.first_mut(), highest) {
            first.replicas = highest;
        }
    }
}

/// Adds the change whose neighbour is nearest to that neighbour, which is the later one.
fn put_together(events: &mut Vec<ScaleEvent>) {
    let gap = |pair: &[ScaleEvent]| match pair {
        [a, b] => b.at_ms.saturating_sub(a.at_ms),
        _ => i64::MAX,
    };
    let Some(at) = events.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair)).map(|(i, _)| i) else {
        return;
    };
    let earlier = events.remove(at);
    if let Some(later) = events.get_mut(at) {
        later.change = later.change.saturating_add(earlier.change);
    }
}

#[cfg(test)]
mod tests {
    use autoscaler_core::{Ask, Support};
    use proptest::prelude::*;

    use super::*;

    fn history(events: &[(i64, i32)]) -> History {
        let event = |&(at_ms, change): &(i64, i32)| ScaleEvent { at_ms, change, outdated: false };
        History { scale_down_events: events.iter().map(event).collect(), ..History::default() }
    }

    #[test]
    fn a_fresh_memory_is_whole_and_an_old_one_begins_its_windows_anew() {
        let mut before = history(&[(1_000, 2)]);
        before.recommendations = Some(vec![Recommendation { at_ms: 900, replicas: 7 }]);
        before.support =
            Some(Support { clock_ms: 5, decided_ms: Some(9), asked: vec![Ask { until_ms: 5, replicas: 7 }] });
        before.insufficient_since_ms.insert("m".into(), 500);
        let stored = store(&before, 5, 2_000).unwrap();
        assert_eq!(restore(&stored, 3_000, 1_000), Some(before.clone()));
        let later = restore(&stored, 9_000, 1_000).unwrap();
        assert_eq!((later.recommendations, later.support), (None, None));
        assert_eq!(later.scale_down_events, before.scale_down_events);
        assert_eq!(later.insufficient_since_ms, before.insufficient_since_ms);
        assert!(restore(&stored, 3_000_000, 1_000).unwrap().insufficient_since_ms.is_empty());
    }

    #[test]
    fn what_is_no_memory_is_first_sight() {
        let stored = store(&history(&[]), 5, 0).unwrap();
        for broken in [
            StatusMemory { version: 2, ..stored.clone() },
            StatusMemory { history: "{".into(), ..stored.clone() },
            StatusMemory { history: " ".repeat(1 << 20), ..stored.clone() },
        ] {
            assert_eq!(restore(&broken, 0, 1_000), None);
        }
    }

    proptest! {
        /// However many changes there were, none counts for less time or for less than it did.
        #[test]
        fn what_is_put_together_uses_up_no_less_rate(
            events in prop::collection::vec((0_i64..1_800_000, 1_i32..9), 0..400),
            period in 1_i64..1_800_000,
        ) {
            let now = 1_800_000;
            let within = |h: &History| -> i64 {
                let recent = h.scale_down_events.iter().filter(|e| e.at_ms > now - period);
                recent.map(|e| i64::from(e.change)).sum()
            };
            let before = history(&events);
            let after = restore(&store(&before, 1, now).unwrap(), now, 1_000).unwrap();
            prop_assert!(after.scale_down_events.len() <= ENTRIES_MAX);
            prop_assert!(within(&after) >= within(&before));
        }

        #[test]
        fn no_window_forgets_its_highest_or_lowest(
            replicas in prop::collection::vec(0_i32..1_000, 1..400), window in 1_i64..400,
        ) {
            let now = replicas.len() as i64;
            let all: Vec<Recommendation> =
                (0..).zip(&replicas).map(|(at_ms, r)| Recommendation { at_ms, replicas: *r }).collect();
            let before = History { recommendations: Some(all), ..History::default() };
            let after = restore(&store(&before, 1, now).unwrap(), now, 1_000).unwrap();
            let bounds = |h: &History| {
                let recent = h.recommendations.iter().flatten().filter(|r| r.at_ms > now - window);
                (recent.clone().map(|r| r.replicas).max(), recent.map(|r| r.replicas).min())
            };
            let ((high, low), (higher, lower)) = (bounds(&before), bounds(&after));
            prop_assert!(higher >= high && (low.is_none() || lower <= low));
        }
    }
}
