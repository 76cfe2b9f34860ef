//! Conditions: upstream's words where upstream has them, each with a cure where something is wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cause, Decision};
use crate::doubt::Doubt;
use crate::input::Input;
use crate::limit::LimitKind;
use crate::number::{Float, seconds, short};
use crate::policy::{Compatibility, MetricKind, Target};
use crate::reasons;
use crate::replicas::{average_milli, to_milli};
use crate::upstream::sync;
use crate::verdict::Verdict;

/// One status condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Which condition.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// `True` or `False`.
    pub status: bool,
    /// One word, from [`crate::reasons`].
    pub reason: String,
    /// Cause and cure.
    pub message: String,
}

/// Which condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// Whether replicas can be read and written, and whether a window holds them.
    AbleToScale,
    /// Whether the metrics give a number at all.
    ScalingActive,
    /// Whether bounds or rates cut the result.
    ScalingLimited,
    /// Whether the evidence would have been good enough to lower on.
    EvidenceSufficient,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Condition {
    fn new(kind: ConditionType, status: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, status, reason: reason.to_owned(), message: message.into() }
    }

    fn limited(by: Option<LimitKind>) -> Self {
        let (reason, message) = match by {
            None => (reasons::DESIRED_WITHIN_RANGE, "the desired count is within the acceptable range"),
            Some(kind) => (kind.reason(), kind.message()),
        };
        Self::new(ConditionType::ScalingLimited, by.is_some(), reason, message)
    }

    fn inactive(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ConditionType::ScalingActive, false, reason, message)
    }
}

impl Decision {
    /// HPA's conditions and `EvidenceSufficient`, as they stand before the write.
    #[must_use]
    pub fn conditions(&self, input: &Input) -> Vec<Condition> {
        let got_scale = || {
            let message = "the target's current scale was read";
            Condition::new(ConditionType::AbleToScale, true, reasons::SUCCEEDED_GET_SCALE, message)
        };
        let mut conditions = match &self.cause {
            Cause::Invalid(_) | Cause::Paused => vec![
                got_scale(),
                Condition::inactive(self.cause_code(input), self.cause(input)),
                Condition::limited(None),
            ],
            _ if input.policy.compatibility == Compatibility::Hpa => of_upstream(input),
            Cause::Disabled => vec![
                got_scale(),
                Condition::inactive(self.cause_code(input), self.cause(input)),
                Condition::limited(None),
            ],
            Cause::AboveMaximum => vec![got_scale(), Condition::limited(Some(LimitKind::TooManyReplicas))],
            Cause::BelowMinimum => vec![got_scale(), Condition::limited(Some(LimitKind::TooFewReplicas))],
            Cause::InsufficientEvidence | Cause::MetricsFailed => vec![
                got_scale(),
                self.active(input),
                Condition::limited(Some(LimitKind::InsufficientEvidence)),
            ],
            Cause::Metric { .. } | Cause::Formula { .. } | Cause::Idle => {
                vec![self.able(), self.active(input), Condition::limited(self.steps().1.map(|l| l.kind))]
            }
        };
        conditions.push(self.evidence());
        conditions
    }

    /// Whether a window holds.
    fn able(&self) -> Condition {
        let (reason, message) = match self.steps().0 {
            None => (reasons::READY_FOR_NEW_SCALE, "recommended size matches current size".to_owned()),
            Some(limit) => {
                let wait =
                    limit.wait.map(|wait| format!(", for another {}: {}", seconds(wait.left_ms), wait.why));
                (limit.kind.reason(), format!("{}{}", limit.kind.message(), wait.unwrap_or_default()))
            }
        };
        Condition::new(ConditionType::AbleToScale, true, reason, message)
    }

    /// Whether the metrics give a number: upstream's rule that one failed metric blocks lowering included.
    fn active(&self, input: &Input) -> Condition {
        let failed = self.metrics.iter().find(|verdict| verdict.failed());
        let highest = self.highest();
        let would_lower = highest.is_none_or(|(replicas, _)| replicas < input.scale.spec_replicas);
        let mut judged = self.metrics.iter().zip(&input.policy.metrics);
        let is_blocked = judged.any(|(verdict, spec)| verdict.blocks_lowering(spec));
        match (failed, highest.map(|(_, verdict)| verdict)) {
            (Some(failed), None) => {
                Condition::inactive(self.failure_reason(input), doubt_sentence(failed, false))
            }
            (Some(failed), Some(_)) if would_lower && is_blocked => {
                Condition::inactive(self.failure_reason(input), doubt_sentence(failed, false))
            }
            (_, None) => {
                let insufficient = self.verdicts().find(|verdict| verdict.own_doubts().next().is_some());
                let message = insufficient.map(|verdict| self.sentence(verdict)).unwrap_or_default();
                Condition::inactive(reasons::INSUFFICIENT_EVIDENCE, message)
            }
            (_, Some(metric)) => {
                let message = format!("a replica count was calculated from metric {}", metric.name);
                Condition::new(ConditionType::ScalingActive, true, reasons::VALID_METRIC_FOUND, message)
            }
        }
    }

    /// What speaks against one of the verdicts.
    fn sentence(&self, verdict: &Verdict) -> String {
        doubt_sentence(verdict, self.formula.as_ref().is_some_and(|formula| std::ptr::eq(formula, verdict)))
    }

    /// Whether every metric could have lowered.
    fn evidence(&self) -> Condition {
        let insufficient = self.verdicts().filter(|verdict| verdict.own_doubts().next().is_some());
        let sentences: Vec<_> = insufficient.map(|verdict| self.sentence(verdict)).collect();
        let message = if self.evidence_code() == reasons::EVIDENCE_NOT_JUDGED {
            "compatibility: HPA takes values as they are; leave it out to have them judged".to_owned()
        } else if sentences.is_empty() {
            "every metric is fresh, complete and one finite number".to_owned()
        } else {
            sentences.join("; ")
        };
        let kind = ConditionType::EvidenceSufficient;
        Condition::new(kind, sentences.is_empty(), self.evidence_code(), message)
    }
}

/// Conditions as upstream sets them.
fn of_upstream(input: &Input) -> Vec<Condition> {
    let (pending, _) = sync(input);
    let condition = |condition: &autoscaler_hpa::Condition| Condition {
        kind: match condition.kind {
            autoscaler_hpa::ConditionType::AbleToScale => ConditionType::AbleToScale,
            autoscaler_hpa::ConditionType::ScalingActive => ConditionType::ScalingActive,
            autoscaler_hpa::ConditionType::ScalingLimited => ConditionType::ScalingLimited,
        },
        status: condition.status == autoscaler_hpa::ConditionStatus::True,
        reason: condition.reason.clone().into_owned(),
        message: condition.message.clone().into_owned(),
    };
    pending.conditions().iter().map(condition).collect()
}

/// All that speaks against one metric, and the first cure.
pub(crate) fn doubt_sentence(verdict: &Verdict, is_formula: bool) -> String {
    let doubts = verdict.evidence.doubts();
    let causes: Vec<_> = doubts.iter().map(ToString::to_string).collect();
    let cure = doubts.first().map_or("", Doubt::cure);
    let title = if is_formula { "the formula".to_owned() } else { format!("metric {}", verdict.name) };
    format!("{title}: {}; {cure}", causes.join(", "))
}

/// The value beside its target, in the target's own terms, in few digits: the verdict has all of them.
pub(crate) fn measured(kind: &MetricKind, target: Target, verdict: &Verdict, input: &Input) -> String {
    let Some(value) = verdict.value.map(Float::get) else { return "no value".to_owned() };
    let (text, wanted) = (short(value), thousandths(target.milli()));
    match target {
        Target::None => text,
        Target::Utilization { .. } => format!("{text} % of requests against {wanted} %"),
        Target::AverageValue { .. } if kind.is_by_pod() => format!("{text} a pod against {wanted}"),
        // Upstream shows an average as such.
        Target::AverageValue { .. } if input.policy.compatibility == Compatibility::Hpa => {
            format!("{text} a replica against {wanted}")
        }
        Target::Value { .. } => format!("{text} against {wanted}"),
        Target::AverageValue { .. } if input.scale.status_replicas > 0 && value.is_finite() => {
            let average = average_milli(to_milli(value), input.scale.status_replicas);
            format!("{text} ({} a replica against {wanted})", thousandths(average))
        }
        Target::AverageValue { .. } => format!("{text} against {wanted} a replica"),
    }
}

fn thousandths(milli: i64) -> String {
    short(milli as f64 / 1000.0)
}
