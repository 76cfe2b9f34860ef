//! What sufficient evidence has asked for lately, by the clock of its samples.
//!
//! ```text
//!  samples    ──────────┐ gap            ┌───────────────────────────
//!  window        [──────────]        [──────────]      [──────────]
//!  clock      ─────────►│ no new samples  │ begins in the gap │─────►
//! ```
//!
//! An ask is as young as the samples are that came since: not while none come, nor while the window begins in a
//! gap, when nothing can be learned. Replicas fall only to the highest ask of the last [`Support::span_ms`]: as
//! long as a gap may hide in a blind span, and one decision.

use serde::{Deserialize, Serialize};

/// Two looks that are further apart than so many decisions are not looks at one course of things.
const APART: i64 = 3;
/// Evaluations that take so many intervals are slow; beyond that nobody looked.
const SLOWEST: i64 = 10;

/// What was asked for lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Support {
    /// The clock, in milliseconds of samples that lowerings may lean on.
    pub clock_ms: i64,
    /// The time of the last value that could lower, in milliseconds since the epoch.
    pub reached_ms: Option<i64>,
    /// For how much longer than the clock went decisions were made on sufficient evidence, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credit_ms: i64,
    /// How far back asks count, in milliseconds of the clock.
    pub span_ms: i64,
    /// When there was a value that could lower last, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ms: Option<i64>,
    /// How far decisions are apart at most, as it was lately, in milliseconds: a slow answer makes them rarer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pace_ms: i64,
    /// Oldest first, each lower than the one before: others can no longer matter. The last one is in force.
    pub asked: Vec<Ask>,
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
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

/// How far the clock goes, and how far back asks count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// When it is, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    /// How long ago the last decision was, in milliseconds.
    pub(crate) since_ms: i64,
    /// The time of the value that may lower; `None`: none may at this tick.
    pub(crate) reached_ms: Option<i64>,
    /// The window begins in a gap.
    pub(crate) in_gap: bool,
    /// Time between decisions; 0 if unknown.
    pub(crate) interval_ms: i64,
    /// How far back asks count.
    pub(crate) span_ms: i64,
}

impl Support {
    /// Nothing is known but the replicas that were found.
    pub(crate) fn first_sight(replicas: i32) -> Self {
        Self { asked: vec![Ask { until_ms: 0, replicas }], ..Self::default() }
    }

    /// Advances the clock to the time of a value that may lower. At a tick without one nothing is learned, and
    /// nothing grows old. Says whether nobody looked for so long before that what was is no whole with what is.
    pub(crate) fn advance(&mut self, step: Step) -> bool {
        let Some(reached_ms) = step.reached_ms else { return false };
        let is_apart = self.is_apart(step);
        let before_ms = self.reached_ms.unwrap_or(reached_ms);
        let passed_ms = reached_ms.saturating_sub(before_ms).max(0);
        // At most an interval a decision: what was not looked at makes no ask older.
        let passed_ms = if step.interval_ms > 0 {
            self.credit_ms = self.credit_ms.saturating_add(step.interval_ms);
            passed_ms.min(self.credit_ms)
        } else {
            passed_ms
        };
        self.credit_ms = self.credit_ms.saturating_sub(passed_ms).max(0);
        let passed_ms = if step.in_gap { 0 } else { passed_ms };
        self.clock_ms = self.clock_ms.saturating_add(passed_ms);
        self.reached_ms = Some(reached_ms.max(before_ms));
        for ask in &mut self.asked {
            ask.until_ms = ask.until_ms.min(self.clock_ms);
        }
        // While nobody looked, a true ask may have come and gone between two gaps: what was asked for before and what
        // is asked for now make no whole.
        if is_apart {
            self.asked.truncate(1);
        }
        if let Some(in_force) = self.asked.last_mut() {
            in_force.until_ms = self.clock_ms;
        }
        // What was asked for while the window began in a span may be low; the span counts on while that is young.
        self.span_ms = step.span_ms.max(self.span_ms.saturating_sub(passed_ms));
        let cutoff_ms = self.clock_ms.saturating_sub(self.span_ms);
        self.asked.retain(|ask| ask.until_ms > cutoff_ms);
        is_apart
    }

    /// Whether this look and the last one are not at one course of things: decisions between them had no evidence, or
    /// there were none for longer than evaluations have taken lately.
    fn is_apart(&mut self, step: Step) -> bool {
        let usual_ms = step.interval_ms.max(self.pace_ms).saturating_mul(APART);
        let is_apart = step.interval_ms > 0
            && self.seen_ms.is_some_and(|at_ms| step.now_ms.saturating_sub(at_ms) > usual_ms);
        self.seen_ms = Some(step.now_ms);
        // A pause is no pace; and what was slow once is forgotten by and by.
        let slow_ms = step.since_ms.min(step.interval_ms.saturating_mul(SLOWEST));
        self.pace_ms = slow_ms.max(self.pace_ms.saturating_sub(self.pace_ms / 8)).max(0);
        is_apart
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

    /// How long until nothing above `replicas` was asked for within the span, in milliseconds of the clock.
    pub(crate) fn left_ms(&self, replicas: i32) -> i64 {
        let above = self.asked.iter().filter(|ask| ask.replicas > replicas).map(|ask| ask.until_ms).max();
        let until_ms = above.map_or(self.clock_ms, |until_ms| until_ms.saturating_add(self.span_ms));
        until_ms.saturating_sub(self.clock_ms).max(0)
    }

    pub(crate) fn clamp_to(&mut self, now_ms: i64) {
        self.reached_ms = self.reached_ms.map(|reached_ms| reached_ms.min(now_ms));
        self.seen_ms = self.seen_ms.map(|seen_ms| seen_ms.min(now_ms));
    }
}
