//! What one decision hands to the next: recommendations, written changes, and since when evidence is
//! insufficient.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::normalize::store_scale_event;
use crate::policy::Policy;

/// What one decision hands to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// Proposals of late, for the stabilization windows; `None` before the first decision.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Raises that were written, for the rate policies.
    pub scale_up_events: Vec<ScaleEvent>,
    /// Lowerings that were written, for the rate policies.
    pub scale_down_events: Vec<ScaleEvent>,
    /// By metric, when its evidence became insufficient (milliseconds since the epoch).
    pub insufficient_since_ms: BTreeMap<String, i64>,
    /// The last gap in the evidence, until lowering has waited it out.
    pub gap: Option<Gap>,
}

/// A time without sufficient evidence, for any metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    /// First decision without, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Last decision without, in milliseconds since the epoch.
    pub to_ms: i64,
}

impl Gap {
    /// Whether lowering has to wait: for as long as evidence was away, at most one window. The first values
    /// after a gap are often low, rates over a window that is only beginning to fill; but a single failed
    /// query must not cost a whole window each time, or a busy querier would keep replicas up for ever.
    #[must_use]
    pub fn is_recent(self, now_ms: i64, window_ms: i64) -> bool {
        let away_ms = self.to_ms.saturating_sub(self.from_ms);
        now_ms.saturating_sub(self.to_ms) <= away_ms.min(window_ms)
    }
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

    /// Begins, prolongs or closes the gap in the evidence.
    pub(crate) fn update_gap(&mut self, now_ms: i64, window_ms: i64, is_sufficient: bool) {
        if !is_sufficient {
            self.gap.get_or_insert(Gap { from_ms: now_ms, to_ms: now_ms }).to_ms = now_ms;
        } else if self.gap.is_some_and(|gap| !gap.is_recent(now_ms, window_ms)) {
            self.gap = None;
        }
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
        if let Some(gap) = &mut self.gap {
            gap.to_ms = gap.to_ms.min(now_ms);
        }
        for since_ms in self.insufficient_since_ms.values_mut() {
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
