//! What one decision hands to the next: recommendations, written changes, since when evidence is
//! insufficient, and what it supported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::Seen;
use crate::normalize::store_scale_event;
use crate::policy::{MetricSpec, Policy};
use crate::support::Support;

/// What one decision hands to the next. Unknown fields are skipped: the first records have one more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Proposals of late, for the stabilization windows; `None` before the first decision.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Raises that were written, for the rate policies.
    pub scale_up_events: Vec<ScaleEvent>,
    /// Lowerings that were written, for the rate policies.
    pub scale_down_events: Vec<ScaleEvent>,
    /// By metric, when its evidence became insufficient (milliseconds since the epoch).
    pub insufficient_since_ms: BTreeMap<String, i64>,
    /// By metric with a gap in its samples, since when its window has been filling again (milliseconds since
    /// the epoch); `None` while the gap lasts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refilling_since_ms: BTreeMap<String, Option<i64>>,
    /// What sufficient evidence has asked for lately; `None` before the first decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<Support>,
}

/// One remembered proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What was proposed, before stabilization and limits.
    pub replicas: i32,
}

/// One written change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleEvent {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// By how many replicas, without sign.
    pub change: i32,
    /// Older than the longest period, so its slot may be used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
}

impl History {
    /// Remembers a change that was written to the target, for the rate policies. A write that failed is not
    /// reported, so it uses up no rate. Without behaviour there are no rates, and nothing is kept.
    pub fn record_written(&mut self, policy: &Policy, now_ms: i64, from: i32, to: i32) {
        let Some(behavior) = &policy.behavior else { return };
        let behavior = behavior.with_defaults();
        let (events, rules) = if to > from {
            (&mut self.scale_up_events, behavior.scale_up)
        } else {
            (&mut self.scale_down_events, behavior.scale_down)
        };
        let change = i64::from(to).abs_diff(i64::from(from)).min(i32::MAX as u64) as i32;
        store_scale_event(events, &rules.unwrap_or_default(), now_ms, change);
    }

    /// How long the metric's range window still holds the end of a gap, in milliseconds. A gap's end is the
    /// first decision without one, since samples may have come back just before it.
    pub(crate) fn refill(&mut self, metric: &MetricSpec, now_ms: i64, seen: Seen) -> Option<i64> {
        let window_ms = metric.evidence.window_ms;
        if window_ms <= 0 {
            self.refilling_since_ms.remove(&metric.name);
            return None;
        }
        if seen == Seen::Gap {
            self.refilling_since_ms.insert(metric.name.clone(), None);
            return None;
        }
        let since_ms = self.refilling_since_ms.get_mut(&metric.name)?;
        if since_ms.is_none() && seen == Seen::Nothing {
            return None;
        }
        let passed_ms = now_ms.saturating_sub(*since_ms.get_or_insert(now_ms));
        if passed_ms >= window_ms {
            self.refilling_since_ms.remove(&metric.name);
            return None;
        }
        Some(window_ms.saturating_sub(passed_ms))
    }

    /// Moves what is dated after `now_ms` to `now_ms`. After a clock was set back, such entries would hold
    /// replicas until the old time comes round again; dropping them instead could lower at once.
    pub(crate) fn clamp_to(&mut self, now_ms: i64) {
        for rec in self.recommendations.iter_mut().flatten() {
            rec.at_ms = rec.at_ms.min(now_ms);
        }
        for event in self.scale_up_events.iter_mut().chain(&mut self.scale_down_events) {
            event.at_ms = event.at_ms.min(now_ms);
        }
        let refilling_since_ms = self.refilling_since_ms.values_mut().flatten();
        for since_ms in self.insufficient_since_ms.values_mut().chain(refilling_since_ms) {
            *since_ms = (*since_ms).min(now_ms);
        }
    }

    /// Forgets recommendations that cannot matter again: older than the longest window, or outlived by a
    /// newer one that is at least as high and a newer one that is at least as low. Loses nothing, since
    /// windows look only at the highest and the lowest and always end now; keeps records small however short
    /// the interval and however long the window.
    pub(crate) fn compact(&mut self, now_ms: i64, longest_window_ms: i64) {
        let Some(recommendations) = &mut self.recommendations else { return };
        let cutoff = now_ms.saturating_sub(longest_window_ms);
        recommendations.sort_by_key(|rec| rec.at_ms);
        let (mut highest, mut lowest) = (None, None);
        let mut kept: Vec<_> = recommendations
            .iter()
            .rev()
            .filter(|rec| {
                let is_highest = highest.is_none_or(|highest| rec.replicas > highest);
                let is_lowest = lowest.is_none_or(|lowest| rec.replicas < lowest);
                if is_highest {
                    highest = Some(rec.replicas);
                }
                if is_lowest {
                    lowest = Some(rec.replicas);
                }
                rec.at_ms >= cutoff && (is_highest || is_lowest)
            })
            .copied()
            .collect();
        kept.reverse();
        *recommendations = kept;
    }
}

#[cfg(test)]
mod tests;
