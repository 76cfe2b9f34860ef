//! What one decision hands to the next: recommendations, written changes, ready replicas, what evidence supported,
//! and of each metric whose samples are expected and until when they were vouched for.

use autoscaler_hpa::behavior::Behavior;
use autoscaler_hpa::{rates, state as hpa};
use serde::{Deserialize, Serialize};

use crate::coverage::Coverage;
use crate::name::Name;
use crate::observation::WindowStart;
use crate::past::{Recommendation, ScaleEvent};
use crate::policy::{Compatibility, MetricSpec, Policy};
use crate::readiness::Readiness;
use crate::support::Support;

/// How far a sample may be ahead of the evaluation before its cluster's clock counts as wrong, in
/// milliseconds. Beyond it, a frozen cluster would look fresh for as long as its clock is ahead.
pub const MAX_AHEAD_MS: i64 = 1_000;

/// What one decision hands to the next. Whoever decides may change, as long as this is handed on; what is lost of
/// it holds for a window and no longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// Proposals of late, for the stabilization windows; `None` before the first decision.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Time spent holding for want of evidence, in milliseconds: it makes no recommendation older.
    #[serde(skip_serializing_if = "is_zero")]
    pub held_ms: i64,
    /// When was decided last, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_ms: Option<i64>,
    /// Raises that were written, for the rate policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scale_up_events: Vec<ScaleEvent>,
    /// Lowerings that were written, for the rate policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scale_down_events: Vec<ScaleEvent>,
    /// How many replicas were ready when.
    #[serde(skip_serializing_if = "is_unseen")]
    pub ready: Readiness,
    /// What sufficient evidence has asked for lately; `None` before the first decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support: Option<Support>,
    /// Since when sufficient evidence shows nothing active, on the clock of [`Support::clock_ms`]; what it lacks for want
    /// of evidence, that clock lacks too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_from_ms: Option<i64>,
    /// The replicas are zero because the policy was paused at zero, and not because somebody switched scaling off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// Since when the formula may not lower, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula_since_ms: Option<i64>,
    /// One entry a metric, in the policy's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricHistory>,
}

/// What is remembered of one metric's evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MetricHistory {
    /// The metric's name.
    pub name: Name,
    /// The query's revision; another one has other samples.
    #[serde(skip_serializing_if = "is_none")]
    pub revision: u64,
    /// Since when it may not lower, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insufficient_since_ms: Option<i64>,
    /// Since when its evidence is missing, in milliseconds since the epoch: the fallback's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_since_ms: Option<i64>,
    /// The time that the next query's settled value is for, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_ms: Option<i64>,
    /// Who answered, or must.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<KnownCluster>,
    /// The selectors, by bit, whose series carried the target's pods.
    #[serde(skip_serializing_if = "is_none")]
    pub pods_seen: u64,
    /// For which times it cannot be vouched that samples were there.
    #[serde(skip_serializing_if = "is_watched")]
    pub coverage: Coverage,
    /// Where the window of the last sound answer began, with [`KnownCluster::series`] there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<KnownStart>,
    /// Who answered could not be handed on, so nobody knows who is missing until the policy names its clusters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clusters_lost: bool,
}

/// Where series were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownStart {
    /// Where.
    pub at: WindowStart,
    /// How many replicas were ready there, at most; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_nobody_ready")]
    pub ready: i32,
    /// An answer since then had fewer where its window began: the next one is to count here again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubted: bool,
    /// Since when series are lost that were counted before, in milliseconds since the epoch: as many are still expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_since_ms: Option<i64>,
}

/// A cluster that answered once, or that the policy names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownCluster {
    /// The cluster label's value.
    pub name: Name,
    /// When it last answered, in milliseconds since the epoch.
    pub seen_ms: i64,
    /// For how long answers had others and not it, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_ms: i64,
    /// How many of its series have samples at [`MetricHistory::start`], of each selector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<u32>,
    /// Until when each of its series had samples at the last sound tick, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest_ms: Option<i64>,
    /// How its newest sample moves on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
    /// When some of its pods were seen last whose series stopped without a staleness marker, in milliseconds since the
    /// epoch, until a window after that has as many series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<i64>,
}

/// How a cluster's newest sample moves on, beside our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Course {
    /// The newest sample that came, in milliseconds since the epoch.
    pub newest_ms: i64,
    /// How old it was when it was first seen, in milliseconds.
    pub lag_ms: i64,
    /// The shortest step that it took, in milliseconds: a scrape, or an evaluation, whichever takes longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<i64>,
}

impl Course {
    /// A sample came that is newer; gives by how much the samples' clock went ahead of ours, beyond a step. Samples that
    /// catch up after a lag do so too.
    pub(crate) fn go_on(&mut self, newest_ms: i64, now_ms: i64) -> i64 {
        let taken_ms = newest_ms.saturating_sub(self.newest_ms);
        if taken_ms <= 0 {
            return 0;
        }
        let lag_ms = now_ms.saturating_sub(newest_ms);
        let ahead_ms = self.lag_ms.saturating_sub(lag_ms);
        let step_ms = self.step_ms.map_or(taken_ms, |step_ms| step_ms.min(taken_ms));
        *self = Self { newest_ms, lag_ms, step_ms: Some(step_ms) };
        ahead_ms.saturating_sub(step_ms)
    }
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}

fn is_nobody_ready(replicas: &i32) -> bool {
    *replicas == 0
}

fn is_none(bits: &u64) -> bool {
    *bits == 0
}

fn is_unseen(ready: &Readiness) -> bool {
    ready.changes().is_empty()
}

fn is_watched(coverage: &Coverage) -> bool {
    coverage.spans().is_empty()
}

impl KnownCluster {
    /// One that is seen, or expected, for the first time.
    #[must_use]
    pub fn new(name: Name, seen_ms: i64) -> Self {
        Self {
            name,
            seen_ms,
            missing_ms: 0,
            series: Vec::new(),
            slowest_ms: None,
            course: None,
            silent_ms: None,
        }
    }
}

impl MetricHistory {
    /// Nothing of its samples was watched; who answered stays expected, and as many series of it.
    pub fn unwatch(&mut self) {
        self.coverage = Coverage::default();
        for cluster in &mut self.clusters {
            cluster.slowest_ms = None;
        }
    }

    /// Nothing is known of `spec`'s samples yet.
    #[must_use]
    pub fn new(spec: &MetricSpec) -> Self {
        Self { name: spec.name.clone(), revision: spec.revision, ..Self::default() }
    }
}

impl History {
    /// The time that the next query of `metric` should ask the settled value for, in milliseconds since the epoch;
    /// `None` if there is none yet, or no samples that move on.
    #[must_use]
    pub fn settled_ms(&self, metric: &str) -> Option<i64> {
        self.metrics.iter().find(|known| known.name == *metric)?.settled_ms
    }

    /// Where the next query of `metric`, at `now_ms`, should count series: where its window begins, and once more where
    /// the last one did if there is a doubt about it. Nowhere for a query that reads only the newest samples.
    #[must_use]
    pub fn starts(&self, policy: &Policy, metric: &str, now_ms: i64) -> Vec<WindowStart> {
        let Some(spec) = policy.metrics.iter().find(|spec| spec.name == *metric) else { return Vec::new() };
        let known = self.metrics.iter().find(|known| known.name == *metric);
        let end_ms = known.and_then(|known| known.settled_ms).unwrap_or(now_ms);
        let Some(window) = spec.evidence.window(end_ms) else { return Vec::new() };
        // A gap in somebody else's samples that is no longer costs nothing: asks count for as long, and a decision. Scrapes
        // are no further apart.
        let hidden_ms = known.map_or(0, |known| known.coverage.longest_hidden_ms());
        let back_ms = hidden_ms.max(policy.interval_ms).max(1);
        let again = known.and_then(|known| known.start).filter(|start| start.is_doubted);
        let now = WindowStart { at_ms: window.start_ms, back_ms };
        std::iter::once(now).chain(again.map(|start| start.at).filter(|at| *at != now)).collect()
    }

    /// Remembers a change that was written to the target, for the rate policies. A write that failed is not
    /// reported, so it uses up no rate.
    pub fn record_written(&mut self, policy: &Policy, now_ms: i64, from: i32, to: i32) {
        if policy.compatibility == Compatibility::Hpa {
            let mut state = self.state();
            let behavior = policy.behavior.as_ref().map(Behavior::complete);
            rates::written(&mut state, behavior, from, to, now_ms);
            self.take_state(state);
            return;
        }
        // Without behaviour one raise counts for as long as the API's default policies look back.
        let default = Behavior::default();
        let behavior = policy.behavior.as_ref().unwrap_or(&default).complete();
        let (events, rules) = if to > from {
            (&mut self.scale_up_events, behavior.up)
        } else {
            (&mut self.scale_down_events, behavior.down)
        };
        let change = i64::from(to).abs_diff(i64::from(from)).min(i32::MAX as u64) as i32;
        rates::remember(events, change, rules, now_ms);
    }

    /// What upstream's controller remembers.
    pub(crate) fn state(&self) -> hpa::State {
        let recommendations = self.recommendations.as_ref();
        hpa::State {
            recommendations: recommendations.map(|all| all.iter().copied().map(Into::into).collect()),
            scale_up_events: self.scale_up_events.clone(),
            scale_down_events: self.scale_down_events.clone(),
        }
    }

    /// Remembers the same instead of what was remembered.
    pub(crate) fn take_state(&mut self, state: hpa::State) {
        self.recommendations = state.recommendations.map(|all| all.into_iter().map(Into::into).collect());
        self.scale_up_events = state.scale_up_events;
        self.scale_down_events = state.scale_down_events;
    }

    /// One entry a metric of `policy`, in its order; what is known of others is forgotten.
    pub(crate) fn align_with(&mut self, policy: &Policy) {
        let is_same = |(known, spec): (&MetricHistory, &MetricSpec)| {
            known.name == spec.name && known.revision == spec.revision
        };
        if self.metrics.len() == policy.metrics.len() && self.metrics.iter().zip(&policy.metrics).all(is_same)
        {
            return;
        }
        let mut before = std::mem::take(&mut self.metrics);
        let aligned = policy.metrics.iter().map(|spec| {
            let mut found = before.iter_mut().find(|known| known.name == spec.name);
            match found.as_mut() {
                Some(known) if known.revision == spec.revision => std::mem::take(*known),
                // Another query, but the evidence is missing for as long; and who was cut off when it was changed is no
                // less missing for it.
                Some(known) => MetricHistory {
                    insufficient_since_ms: known.insufficient_since_ms,
                    missing_since_ms: known.missing_since_ms,
                    clusters: known
                        .clusters
                        .drain(..)
                        .map(|c| KnownCluster::new(c.name, c.seen_ms))
                        .collect(),
                    clusters_lost: known.clusters_lost,
                    ..MetricHistory::new(spec)
                },
                None => MetricHistory::new(spec),
            }
        });
        self.metrics = aligned.collect();
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
        self.ready.clamp_to(now_ms);
        self.decided_ms = self.decided_ms.map(|at_ms| at_ms.min(now_ms));
        self.formula_since_ms = self.formula_since_ms.map(|at_ms| at_ms.min(now_ms));
        for known in &mut self.metrics {
            for since_ms in [&mut known.insufficient_since_ms, &mut known.missing_since_ms] {
                *since_ms = since_ms.map(|since_ms| since_ms.min(now_ms));
            }
            let newest_ms = now_ms.saturating_add(MAX_AHEAD_MS);
            for cluster in &mut known.clusters {
                cluster.seen_ms = cluster.seen_ms.min(now_ms);
                cluster.silent_ms = cluster.silent_ms.map(|at_ms| at_ms.min(now_ms));
                cluster.slowest_ms = cluster.slowest_ms.map(|at_ms| at_ms.min(newest_ms));
            }
            known.coverage.clamp_to(newest_ms);
            // No window begins after now.
            known.start = known.start.filter(|start| start.at.at_ms <= newest_ms);
            if let Some(start) = &mut known.start {
                start.lost_since_ms = start.lost_since_ms.map(|since_ms| since_ms.min(now_ms));
            }
        }
        if let Some(support) = &mut self.support {
            support.clamp_to(now_ms.saturating_add(MAX_AHEAD_MS));
        }
    }

    /// A proposal of now.
    pub(crate) fn recommendation(&self, now_ms: i64, replicas: i32) -> Recommendation {
        Recommendation { at_ms: now_ms, replicas, held_ms: self.held_ms }
    }

    /// Forgets recommendations that cannot matter again: older than the longest window, or outlived by a
    /// newer one that is at least as high and a newer one that is at least as low. Loses nothing, since
    /// windows look only at the highest and the lowest and always end now; keeps records small however short
    /// the interval and however long the window.
    pub(crate) fn compact(&mut self, now_ms: i64, longest_window_ms: i64) {
        let held_ms = self.held_ms;
        let Some(recommendations) = &mut self.recommendations else { return };
        let cutoff = now_ms.saturating_sub(longest_window_ms);
        if !recommendations.is_sorted_by_key(|rec| rec.at_ms) {
            recommendations.sort_by_key(|rec| rec.at_ms);
        }
        let (mut highest, mut lowest) = (None, None);
        // From the newest to the oldest.
        let mut kept = recommendations.len();
        for index in (0..recommendations.len()).rev() {
            let Some(rec) = recommendations.get(index).copied() else { continue };
            let is_highest = highest.is_none_or(|highest| rec.replicas > highest);
            let is_lowest = lowest.is_none_or(|lowest| rec.replicas < lowest);
            if is_highest {
                highest = Some(rec.replicas);
            }
            if is_lowest {
                lowest = Some(rec.replicas);
            }
            if rec.counted_ms(held_ms) >= cutoff && (is_highest || is_lowest) {
                kept -= 1;
                recommendations.swap(kept, index);
            }
        }
        recommendations.drain(..kept);
    }
}

#[cfg(test)]
mod tests;
