//! What comes out: the replicas, and why, as data. Words are made of it when somebody asks.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::limit::{Limit, LimitKind};
use crate::policy::Problem;
use crate::verdict::Verdict;

mod cause;
mod codes;
mod conditions;

pub use conditions::{Condition, ConditionType};
pub(crate) use conditions::{doubt_sentence, measured};

/// What to do, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// What the target should have.
    pub desired_replicas: i32,
    /// What to write to `/scale`: `Some` only if active and different from what is there.
    pub write: Option<i32>,
    /// What decided.
    pub cause: Cause,
    /// What kept the result from being the plain maximum of the proposals, in the order applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// One per metric, in the policy's order.
    pub metrics: Vec<Verdict>,
    /// What the formula said, if the policy has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<Verdict>,
    /// For the next decision. After a successful write call [`History::record_written`] on it.
    pub history: History,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Cause {
    /// The policy contradicts itself.
    Invalid(Problem),
    /// The policy is paused.
    Paused,
    /// The target has zero replicas and `minReplicas` is not zero: somebody switched scaling off.
    Disabled,
    /// There were more replicas than `maxReplicas`.
    AboveMaximum,
    /// There were fewer replicas than `minReplicas`.
    BelowMinimum,
    /// Held: no metric may be counted, or one without sufficient evidence forbids lowering.
    InsufficientEvidence,
    /// With `compatibility: HPA`: metrics say nothing, or one failed and the others would lower.
    MetricsFailed,
    /// A metric asked for the most.
    Metric {
        /// Its index in the policy.
        index: usize,
        /// What it asked for.
        replicas: i32,
    },
    /// The formula asked for the most.
    Formula {
        /// What it asked for.
        replicas: i32,
    },
    /// Nothing was active for the whole cool-down, so nothing is needed.
    Idle,
}

/// What a decision wishes for, before anybody else has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Another number of replicas.
    Change(i32),
    /// Just what is there: an earlier wish is taken back.
    Keep,
    /// It cannot be said: an earlier wish neither stands nor falls.
    Hold,
}

impl Decision {
    /// What is wished for, of `current` replicas.
    #[must_use]
    pub fn wish(&self, current: i32) -> Wish {
        match self.cause {
            Cause::Invalid(_) | Cause::Disabled | Cause::InsufficientEvidence | Cause::MetricsFailed => {
                Wish::Hold
            }
            _ if self.desired_replicas != current => Wish::Change(self.desired_replicas),
            Cause::Metric { .. } | Cause::Formula { .. } | Cause::Idle => Wish::Keep,
            Cause::Paused | Cause::AboveMaximum | Cause::BelowMinimum => Wish::Hold,
        }
    }

    /// The metrics' verdicts, and the formula's after them.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.metrics.iter().chain(&self.formula)
    }

    /// The highest of what was counted, and the first that it came from.
    #[must_use]
    pub fn highest(&self) -> Option<(i32, &Verdict)> {
        let counted = self.verdicts().filter_map(|verdict| Some((verdict.counted?, verdict)));
        counted.reduce(|highest, next| if next.0 > highest.0 { next } else { highest })
    }

    /// The limit by windows and support, and the last one by rates, bounds and pauses.
    fn steps(&self) -> (Option<&Limit>, Option<&Limit>) {
        let is_window = |limit: &&Limit| {
            matches!(
                limit.kind,
                LimitKind::ScaleUpStabilized | LimitKind::ScaleDownStabilized | LimitKind::EvidenceTooShort
            )
        };
        (self.limits.iter().find(is_window), self.limits.iter().rfind(|limit| !is_window(limit)))
    }
}
