//! A decision as it was recorded, and when it was taken.

use super::explain::Written;
use super::subject::PolicyId;
use crate::record::{self, Metric};

/// A step is seen after the decision that made it was taken; a watch may also be quicker than the controller's clock.
const SEEN_S: (f64, f64) = (1.0, 5.0);

/// Of a decision without a time of its own one knows when its policy's status told it, which is later.
const TOLD_S: (f64, f64) = (6.0, 1.0);

/// A decision as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) from: i32,
    pub(crate) to: i32,
    /// None where the record does not say.
    pub(crate) written: Option<bool>,
    pub(crate) reason: String,
    pub(crate) limits: Vec<String>,
    pub(crate) digest: String,
    pub(crate) record: String,
    pub(crate) metrics: Vec<Metric>,
    /// When the step that it made was seen.
    pub(crate) seen_s: Option<f64>,
}

/// What may have made a step, in a record that does not say what its policies scale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Guess {
    pub(crate) policy: String,
    pub(crate) reason: String,
}

impl Decided {
    /// Whether it changed what is wanted.
    pub(crate) fn changes(&self) -> bool {
        self.from != self.to && (self.written == Some(true) || self.seen_s.is_some())
    }
}

/// A recorded decision, and when it was.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) policy: PolicyId,
    /// By its own clock where that can be read, else when it was told.
    pub(super) at_s: f64,
    /// Whether it is by its own clock.
    pub(super) exact: bool,
    pub(super) decided: Decided,
}

impl Taken {
    pub(super) fn new(d: record::Decision, told_s: f64, own_s: Option<f64>) -> Self {
        // It cannot have been told before it was taken: such a clock is another's.
        let own_s = own_s.filter(|s| *s <= told_s + SEEN_S.1);
        Self {
            policy: PolicyId::new(&d.cluster, &d.namespace, &d.policy, (&d.target_kind, &d.target_name)),
            at_s: super::time(own_s.unwrap_or(told_s)),
            exact: own_s.is_some(),
            decided: Decided {
                from: d.from.unwrap_or_default(),
                to: d.to.unwrap_or_default(),
                written: d.written,
                reason: d.reason,
                limits: d.limits,
                digest: d.digest,
                record: d.record,
                metrics: d.metrics,
                seen_s: None,
            },
        }
    }

    /// What a step may be of.
    pub(super) fn written(&self, index: usize) -> Option<Written> {
        let (before, after) = if self.exact { SEEN_S } else { TOLD_S };
        // What is not said to be unwritten may have been.
        (self.decided.written != Some(false)).then_some(Written {
            index,
            from: self.decided.from,
            to: self.decided.to,
            at_s: self.at_s,
            earliest_s: self.at_s - before,
            latest_s: self.at_s + after,
        })
    }
}
