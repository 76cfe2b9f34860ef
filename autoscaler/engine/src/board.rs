//! A policy's status as this process keeps it: what it says, and when it is worth a write.
//!
//! Invariants:
//! - at once for what matters, but at most once a second; for numbers that drift once in a refresh;
//! - decisions that were written are kept apart, so that noise pushes none of them out;
//! - every text and list has a bound, whatever a querier or a user wrote.

use autoscaler_api::status::MAX_DECISIONS;
use autoscaler_api::{DecisionSummary, OriginalReplicas, RingStatus, ScalingPolicyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::hash::Digest;
use crate::text::{CAUSE_MAX, clip};
use crate::time::timestamp;

/// Shortest time between two writes of one status.
const GAP_MS: u64 = 1_000;
/// Two decisions that take turns are told again after this long.
const FLAPPING_MS: i64 = 60_000;
/// Most members of a ring in a status.
const MEMBERS_MAX: usize = 256;

/// What a policy's status says.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub conditions: Vec<Condition>,
    pub observed_generation: Option<i64>,
    pub current: Option<i32>,
    pub desired: Option<i32>,
    pub last_scale_time: Option<Time>,
    pub ring: Option<RingStatus>,
    /// What the target had when it was taken over.
    pub original: Option<OriginalReplicas>,
    decisions: Vec<DecisionSummary>,
    scales: Vec<DecisionSummary>,
    /// What mattered in the status that was last written.
    written: Option<u64>,
    /// The same of one that is on its way.
    sent: Option<u64>,
    tried_ms: Option<u64>,
}

/// When a status is worth a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Something that matters changed: from then on.
    Matters(u64),
    /// Numbers drift: from then on.
    Drifts(u64),
}

impl Board {
    /// Goes on from a status that another leader wrote.
    pub(crate) fn new(status: ScalingPolicyStatus) -> Self {
        let bounded = |mut list: Vec<DecisionSummary>| {
            list.truncate(MAX_DECISIONS);
            list
        };
        Self {
            conditions: status.conditions,
            observed_generation: status.observed_generation,
            current: status.current_replicas,
            desired: status.desired_replicas,
            last_scale_time: status.last_scale_time,
            ring: status.ring,
            original: status.original,
            decisions: bounded(status.last_decisions),
            scales: bounded(status.last_scales),
            ..Self::default()
        }
    }

    /// Whether a decision says something that the last ones did not: another number, or limited by something else.
    /// What takes turns with the one before is no news for a while.
    pub(crate) fn is_news(&self, to: i32, limits: &[String], now_ms: i64) -> bool {
        let same = |d: &DecisionSummary| d.to == to && kinds(&d.limits).eq(kinds(limits));
        let recent = |d: &DecisionSummary| now_ms.saturating_sub(d.time.0.as_millisecond()) < FLAPPING_MS;
        match self.decisions.as_slice() {
            [] => true,
            [last, ..] if same(last) => false,
            [last, before, ..] => !(same(before) && recent(last) && recent(before)),
            [_] => true,
        }
    }

    /// Puts a decision in front.
    pub(crate) fn decided(&mut self, mut decision: DecisionSummary) {
        decision.cause = clip(&decision.cause, CAUSE_MAX);
        self.decisions.insert(0, decision);
        self.decisions.truncate(MAX_DECISIONS);
    }

    /// The policy acts for this target from now on; remembers what it had, unless that is known or was changed before it
    /// could be.
    pub(crate) fn take_over(&mut self, target: OriginalReplicas) {
        let is_same = |known: &OriginalReplicas| {
            (&known.kind, &known.name, &known.uid) == (&target.kind, &target.name, &target.uid)
        };
        let unknown = match &self.original {
            Some(known) => !is_same(known),
            // Of a version that did not remember it.
            None => self.last_scale_time.is_none(),
        };
        if unknown {
            self.original = Some(target);
        }
    }

    /// A decision was written.
    pub(crate) fn scaled(&mut self, mut decision: DecisionSummary) {
        decision.written = true;
        self.last_scale_time = Some(decision.time.clone());
        self.current = Some(decision.to);
        match self.decisions.iter_mut().find(|d| d.digest == decision.digest) {
            Some(same) => same.written = true,
            None => self.decided(decision.clone()),
        }
        decision.cause = clip(&decision.cause, CAUSE_MAX);
        self.scales.insert(0, decision);
        self.scales.truncate(MAX_DECISIONS);
    }

    /// Nothing is decided any more: what was known of metrics and wishes no longer holds.
    pub(crate) fn forget_decision(&mut self) {
        self.desired = None;
    }

    /// What matters, in one number; `more` adds what is kept elsewhere.
    fn material(&self, more: impl FnOnce(&mut Digest)) -> u64 {
        let mut digest = Digest::default();
        for c in &self.conditions {
            for text in [&c.type_, &c.status, &c.reason] {
                digest.part(text.as_bytes());
            }
        }
        digest.number(self.observed_generation.unwrap_or(-1));
        digest.number(self.current.map_or(-1, i64::from));
        digest.number(self.desired.map_or(-1, i64::from));
        digest.number(self.last_scale_time.as_ref().map_or(0, |t| t.0.as_millisecond()));
        for decision in self.decisions.first().into_iter().chain(self.scales.first()) {
            digest.part(decision.digest.as_bytes());
            digest.number(i64::from(decision.written));
        }
        if let Some(ring) = &self.ring {
            digest.number(ring.version);
        }
        if let Some(original) = &self.original {
            digest.part(original.uid.as_bytes());
            digest.number(original.replicas.into());
        }
        more(&mut digest);
        digest.end()
    }

    /// When it is worth a write next.
    pub(crate) fn due(&self, refresh_ms: u64, more: impl FnOnce(&mut Digest)) -> Due {
        let since = |ms: u64| self.tried_ms.map_or(0, |tried| tried.saturating_add(ms));
        if self.written == Some(self.material(more)) {
            Due::Drifts(since(refresh_ms.max(GAP_MS)))
        } else {
            Due::Matters(since(GAP_MS))
        }
    }

    /// The status, to be written now; metrics and memory are the caller's.
    pub(crate) fn render(&mut self, now_ms: u64, more: impl FnOnce(&mut Digest)) -> ScalingPolicyStatus {
        self.sent = Some(self.material(more));
        self.tried_ms = Some(now_ms);
        self.show()
    }

    /// The status as it stands.
    pub(crate) fn show(&self) -> ScalingPolicyStatus {
        let ring = self.ring.clone().map(|mut ring| {
            ring.members.truncate(MEMBERS_MAX);
            ring
        });
        ScalingPolicyStatus {
            observed_generation: self.observed_generation,
            current_replicas: self.current,
            desired_replicas: self.desired,
            last_scale_time: self.last_scale_time.clone(),
            conditions: self.conditions.clone(),
            last_decisions: self.decisions.clone(),
            last_scales: self.scales.clone(),
            ring,
            original: self.original.clone(),
            ..ScalingPolicyStatus::default()
        }
    }

    /// The write of what was rendered last ended.
    pub(crate) fn ended(&mut self, done: bool) {
        let sent = self.sent.take();
        if done {
            self.written = sent;
        }
    }
}

/// A decision in short.
pub(crate) fn summary(
    (from, to): (i32, i32),
    cause: String,
    limits: &[String],
    digest: String,
    now_ms: i64,
) -> DecisionSummary {
    let limits = limits.iter().map(|l| clip(l, 128)).collect();
    DecisionSummary { time: Time(timestamp(now_ms)), from, to, written: false, cause, limits, digest }
}

/// The kinds of limits; what they changed drifts with every sample and is no news.
fn kinds(limits: &[String]) -> impl Iterator<Item = &str> {
    limits.iter().map(|l| l.split(' ').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(to: i32, at_ms: i64) -> DecisionSummary {
        summary((1, to), String::new(), &[], format!("{to} {at_ms}"), at_ms)
    }

    #[test]
    fn another_number_or_another_kind_of_limit_is_news_and_drift_is_not() {
        let mut board = Board::default();
        assert!(board.is_news(3, &[], 0), "the first");
        board.decided(decision(3, 0));
        assert!(!board.is_news(3, &[], 1_000));
        assert!(board.is_news(4, &[], 1_000));
        let limited = |n| vec![format!("ScaleDownLimit {n}→3")];
        assert!(board.is_news(3, &limited(5), 1_000));
        board.decided(summary((1, 3), String::new(), &limited(5), "d".into(), 1_000));
        assert!(!board.is_news(3, &limited(6), 2_000));
    }

    #[test]
    fn two_decisions_that_take_turns_are_told_once_a_minute() {
        let mut board = Board::default();
        let mut told = 0;
        for second in 0..300_i64 {
            let to = 7 + i32::from(second % 2 == 0);
            if board.is_news(to, &[], second * 1_000) {
                board.decided(decision(to, second * 1_000));
                told += 1;
            }
        }
        assert!((4..=12).contains(&told), "{told}");
    }

    #[test]
    fn what_was_written_is_not_pushed_out_by_what_was_not() {
        let mut board = Board::default();
        board.scaled(decision(5, 0));
        for n in 0..100 {
            board.decided(decision(n, i64::from(n)));
        }
        let status = board.show();
        assert_eq!((status.last_decisions.len(), status.last_scales.len()), (MAX_DECISIONS, 1));
        assert_eq!((status.last_scales[0].to, status.last_scales[0].written), (5, true));
    }

    #[test]
    fn what_matters_is_due_within_a_second_and_drift_once_in_a_refresh() {
        let mut board = Board::default();
        assert_eq!(board.due(5_000, |_| {}), Due::Matters(0));
        board.render(100, |_| {});
        assert_eq!(board.due(5_000, |_| {}), Due::Matters(1_100), "nobody knows whether it was written");
        board.ended(true);
        assert_eq!(board.due(5_000, |_| {}), Due::Drifts(5_100));
        board.desired = Some(4);
        assert_eq!(board.due(5_000, |_| {}), Due::Matters(1_100));
        board.render(1_100, |_| {});
        board.ended(false);
        assert_eq!(board.due(5_000, |_| {}), Due::Matters(2_100), "tried again");
    }
}
