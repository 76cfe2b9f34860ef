//! How long sufficient evidence has supported a lowering.
//!
//! ```text
//!  samples    ──────────┐ cut            ┌───────── back
//!  value      ──────────╲________________╱╌╌╌╌╌╌╌╌╌           low until the range window is full again
//!  evidence   sufficient…│…maxAge…│insufficient│refilling│sufficient
//!  clock      ───────────────────►│ stands still         │───►
//! ```
//!
//! A cut is noticed only when the newest sample is older than `maxAge`; until then the value falls on evidence
//! that looks sufficient, and a cut shorter than that is never noticed. Such a lie lasts at most `maxAge`, one
//! decision and the query's range window. So replicas fall only to what was asked for throughout that span,
//! counted on a clock that runs while evidence is sufficient: a gap cannot outlast what was asked before it.

use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// What was asked for lately, by a clock that runs only on sufficient evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Support {
    /// The clock, in milliseconds of sufficient evidence.
    pub clock_ms: i64,
    /// The decision before, in milliseconds since the epoch.
    pub decided_ms: Option<i64>,
    /// Oldest first, each lower than the one before: others can no longer matter. The last one is in force.
    pub asked: Vec<Ask>,
}

/// Replicas that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// Until when it was in force, on [`Support::clock_ms`]'s clock.
    pub until_ms: i64,
    /// How many.
    pub replicas: i32,
}

impl Support {
    /// Nothing is known but the replicas that were found.
    pub(crate) fn first_sight(replicas: i32) -> Self {
        Self { asked: vec![Ask { until_ms: 0, replicas }], ..Self::default() }
    }

    /// Advances the clock if at `now_ms` every metric's evidence is sufficient or its static fallback in
    /// force, by at most one interval: what a stalled controller did not see supports nothing.
    pub(crate) fn advance(&mut self, policy: &Policy, now_ms: i64, may_lower: bool) {
        let before_ms = self.decided_ms.replace(now_ms).unwrap_or(now_ms);
        if may_lower {
            let most_ms = if policy.interval_ms > 0 { policy.interval_ms } else { i64::MAX };
            let passed_ms = now_ms.saturating_sub(before_ms).clamp(0, most_ms);
            self.clock_ms = self.clock_ms.saturating_add(passed_ms);
        }
        for ask in &mut self.asked {
            ask.until_ms = ask.until_ms.min(self.clock_ms);
        }
        if let Some(in_force) = self.asked.last_mut() {
            in_force.until_ms = self.clock_ms;
        }
        let cutoff_ms = self.clock_ms.saturating_sub(policy.support_ms());
        self.asked.retain(|ask| ask.until_ms > cutoff_ms);
    }

    /// Remembers that `replicas` are asked for now.
    pub(crate) fn ask(&mut self, replicas: i32) {
        self.asked.retain(|ask| ask.replicas > replicas);
        self.asked.push(Ask { until_ms: self.clock_ms, replicas });
    }

    /// The highest of what was asked for within the span.
    pub(crate) fn highest(&self) -> Option<i32> {
        self.asked.iter().map(|ask| ask.replicas).max()
    }
}

impl Policy {
    /// How long sufficient evidence must have supported a lowering, in milliseconds: the longest that a cut
    /// can stay in a value without being noticed. Zero if no metric has an age or a window.
    #[must_use]
    pub fn support_ms(&self) -> i64 {
        let longest_lie = |evidence: &crate::policy::EvidenceSpec| {
            evidence.max_age_ms.max(0).saturating_add(evidence.window_ms.max(0))
        };
        match self.metrics.iter().map(|metric| longest_lie(&metric.evidence)).max() {
            None | Some(0) => 0,
            Some(longest_ms) => longest_ms.saturating_add(self.interval_ms.max(0)),
        }
    }
}
