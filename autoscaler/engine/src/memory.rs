//! What a policy's status carries from one leader to the next: of the decision's history what stays true, whatever
//! happened since.
//!
//! ```text
//!  leader A  decide ─► history ─► status.memory ──┐ at most a second old after a change that matters,
//!                                                 │ a refresh old otherwise
//!  leader B                                       └─► history, but for what B did not see ─► decide
//! ```
//!
//! What happened after the status was written is not in it, and nothing may be lowered that this could hide. So
//! - **rates** go on; replicas that differ from those in memory are a change that used up rate, whoever made it;
//! - **who answered** stays expected, and each cluster's samples are vouched for up to where they were: what nobody
//!   watched since is a blind span like any other.
//!   Where they are too many or too long to be written down, nothing is lowered before the policy names them;
//! - **what was asked for** is not taken over: the replicas found count as asked for, as at first sight. So do they as
//!   a recommendation, unless the status is of the latest evaluation that there can have been;
//! - **fallbacks' clocks** go on, but for those that may lower: their evidence may have been back for a moment;
//! - **ready replicas** are counted anew, so that a ratio, which multiplies them, waits for its window as at first
//!   sight.

use autoscaler_api::StatusMemory;
use autoscaler_core::{History, Policy, Recommendation, ScaleEvent, Target};

use kept::Kept;

mod kept;

/// The form that is written, and read.
pub const VERSION: i64 = 3;
/// A form that is read: the history as it is.
const VERSION_PLAIN: i64 = 2;
/// Most entries of each list.
const ENTRIES_MAX: usize = 32;
/// Longest history that is written or read, in bytes.
const BYTES_MAX: usize = 32 << 10;
/// A status older than this says nothing about since when evidence is missing.
const FORGET_MS: i64 = 600_000;

/// Goes into the status.
#[must_use]
pub fn store(history: &History, replicas: i32, now_ms: i64) -> Option<StatusMemory> {
    let mut kept = History {
        recommendations: history.recommendations.clone(),
        held_ms: history.held_ms,
        decided_ms: history.decided_ms,
        scale_up_events: history.scale_up_events.clone(),
        scale_down_events: history.scale_down_events.clone(),
        parked: history.parked,
        metrics: history.metrics.clone(),
        ..History::default()
    };
    fit(&mut kept);
    let written = |kept: &History| {
        let text = serde_json::to_string(&Kept::new(kept.clone(), now_ms)?).ok()?;
        Some(text).filter(|text| text.len() <= BYTES_MAX)
    };
    let mut text = written(&kept);
    // Less is known of the samples then, and more has to be waited for; and then not even who answered.
    for leave_out in [unwatch_all, forget_who_answered] {
        if text.is_none() {
            leave_out(&mut kept, now_ms);
            text = written(&kept);
        }
    }
    let text = text?;
    Some(StatusMemory { version: VERSION, at_ms: now_ms, replicas, history: text })
}

/// Comes out of the status another leader wrote; `None`: first sight.
#[must_use]
pub fn restore(memory: &StatusMemory, policy: &Policy, now_ms: i64) -> Option<History> {
    if memory.history.len() > BYTES_MAX {
        return None;
    }
    let read: History = match memory.version {
        VERSION => serde_json::from_str::<Kept>(&memory.history).ok()?.history(memory.at_ms)?,
        VERSION_PLAIN => serde_json::from_str(&memory.history).ok()?,
        _ => return None,
    };
    let mut history = History { ready: Default::default(), support: None, ..read };
    fit(&mut history);
    let age_ms = now_ms.saturating_sub(memory.at_ms);
    // A clock that was set back does not make a status young.
    let is_latest = (0..policy.interval_ms).contains(&age_ms);
    if !is_latest {
        (history.recommendations, history.held_ms, history.decided_ms) = (None, 0, None);
        // Somebody may have asked for replicas meanwhile.
        history.idle_from_ms = None;
    }
    for known in &mut history.metrics {
        let spec = policy.metrics.iter().find(|spec| spec.name == known.name);
        let may_lower = spec.and_then(|spec| spec.fallback.as_ref()).is_some_and(|f| f.behavior.may_lower());
        if age_ms > FORGET_MS || (may_lower && !is_latest) {
            known.missing_since_ms = None;
        }
        if age_ms > FORGET_MS {
            known.insufficient_since_ms = None;
        }
        if spec.is_none_or(|spec| matches!(spec.target, Target::Value { .. })) {
            known.unwatch();
        }
    }
    Some(history)
}

/// Takes into account what happened since: `replicas` are there now.
pub fn catch_up(history: &mut History, policy: &Policy, remembered: i32, replicas: i32, now_ms: i64) {
    if remembered != replicas {
        history.record_written(policy, now_ms, remembered, replicas);
        // Whoever made the change knew of more than the status tells.
        (history.recommendations, history.held_ms) = (None, 0);
    }
}

/// Nothing of the metrics' samples was watched; who answered stays expected, and is told alike.
fn unwatch_all(kept: &mut History, now_ms: i64) {
    for known in &mut kept.metrics {
        known.unwatch();
        known.clusters.iter_mut().for_each(|cluster| cluster.seen_ms = now_ms);
    }
}

/// Nobody is to lower before the policy names the clusters that are too many, or too long, to be told.
fn forget_who_answered(kept: &mut History, _: i64) {
    for known in &mut kept.metrics {
        known.clusters_lost |= !known.clusters.is_empty();
        known.clusters.clear();
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
    let Some(recommendations) = &mut history.recommendations else { return };
    recommendations.sort_by_key(|r| r.at_ms);
    let cut = recommendations.len().saturating_sub(ENTRIES_MAX);
    let old: Vec<Recommendation> = recommendations.drain(..cut).collect();
    if let Some(last) = old.last() {
        let replicas = old.iter().map(|r| r.replicas);
        let bounds = [replicas.clone().max(), replicas.min()].into_iter().flatten();
        let kept = bounds.map(|replicas| Recommendation { replicas, ..*last });
        recommendations.splice(0..0, kept);
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
mod tests;
