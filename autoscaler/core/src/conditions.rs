//! Conditions and causes: upstream's words where upstream has them, each with a cure where something is
//! wrong.

use crate::decision::{Condition, ConditionType, Limit, LimitKind, Verdict};
use crate::input::Input;
use crate::number::{Float, short};
use crate::policy::{MetricSpec, Target};
use crate::proposals::Proposals;
use crate::reasons;
use crate::replicas::{average_milli, to_milli};

fn condition(kind: ConditionType, status: bool, reason: &str, message: impl Into<String>) -> Condition {
    Condition { kind, status, reason: reason.to_owned(), message: message.into() }
}

/// The target could be read, and nothing more is known.
pub(crate) fn got_scale() -> Condition {
    let message = "the target's current scale was read";
    condition(ConditionType::AbleToScale, true, reasons::SUCCEEDED_GET_SCALE, message)
}

/// Whether a window holds.
pub(crate) fn able(stabilized: Option<LimitKind>) -> Condition {
    let (reason, message) = match stabilized {
        Some(kind) => (kind.reason(), kind.message()),
        None => (reasons::READY_FOR_NEW_SCALE, "recommended size matches current size"),
    };
    condition(ConditionType::AbleToScale, true, reason, message)
}

/// The metrics are not what decides.
pub(crate) fn inactive(reason: &str, message: &str) -> Condition {
    condition(ConditionType::ScalingActive, false, reason, message)
}

/// Whether the metrics give a number: upstream's rule that one failed metric blocks lowering included.
pub(crate) fn active_or_failed(proposals: &Proposals, would_lower: bool) -> Condition {
    let failed = proposals.verdicts.iter().find(|verdict| verdict.proposal.is_none());
    match (failed, &proposals.highest) {
        (Some(failed), None) => inactive(reasons::FAILED_GET_EXTERNAL_METRIC, &doubt_sentence(failed)),
        (Some(failed), Some(_)) if would_lower && proposals.blocked => {
            inactive(reasons::FAILED_GET_EXTERNAL_METRIC, &doubt_sentence(failed))
        }
        (_, None) => inactive(reasons::INSUFFICIENT_EVIDENCE, &first_doubt(&proposals.verdicts)),
        (_, Some((_, metric))) => condition(
            ConditionType::ScalingActive,
            true,
            reasons::VALID_METRIC_FOUND,
            format!("a replica count was calculated from metric {metric}"),
        ),
    }
}

/// Whether bounds, rates or missing evidence cut the result.
pub(crate) fn limited(kind: Option<LimitKind>) -> Condition {
    let (status, reason, message) = match kind {
        None => (false, reasons::DESIRED_WITHIN_RANGE, "the desired count is within the acceptable range"),
        Some(kind) => (true, kind.reason(), kind.message()),
    };
    condition(ConditionType::ScalingLimited, status, reason, message)
}

impl LimitKind {
    /// The condition reason.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::InsufficientEvidence => reasons::INSUFFICIENT_EVIDENCE,
            Self::ScaleUpStabilized => reasons::SCALE_UP_STABILIZED,
            Self::ScaleDownStabilized | Self::EvidenceTooShort => reasons::SCALE_DOWN_STABILIZED,
            Self::ScaleUpLimit => reasons::SCALE_UP_LIMIT,
            Self::ScaleDownLimit => reasons::SCALE_DOWN_LIMIT,
            Self::TooManyReplicas => reasons::TOO_MANY_REPLICAS,
            Self::TooFewReplicas => reasons::TOO_FEW_REPLICAS,
        }
    }

    /// Upstream's sentence for it.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::InsufficientEvidence => "replicas are not lowered on insufficient evidence",
            Self::EvidenceTooShort => {
                "sufficient evidence has not asked for fewer for as long as a gap in it could go unnoticed"
            }
            Self::ScaleUpStabilized => {
                "recent recommendations were lower than current one, applying the lowest recent recommendation"
            }
            Self::ScaleDownStabilized => {
                "recent recommendations were higher than current one, applying the highest recent recommendation"
            }
            Self::ScaleUpLimit => {
                "the desired replica count is increasing faster than the maximum scale rate"
            }
            Self::ScaleDownLimit => {
                "the desired replica count is decreasing faster than the maximum scale rate"
            }
            Self::TooManyReplicas => "the desired replica count is more than the maximum replica count",
            Self::TooFewReplicas => "the desired replica count is less than the minimum replica count",
        }
    }
}

/// Whether every metric could have lowered.
pub(crate) fn evidence(verdicts: &[Verdict]) -> Condition {
    let kind = ConditionType::EvidenceSufficient;
    match verdicts.iter().find_map(|verdict| verdict.evidence.doubts().first()) {
        None => condition(
            kind,
            true,
            reasons::EVIDENCE_COMPLETE,
            "every metric is fresh, complete and one finite number",
        ),
        Some(doubt) => {
            let sentences: Vec<_> =
                verdicts.iter().filter(|v| v.evidence.is_insufficient()).map(doubt_sentence).collect();
            condition(kind, false, doubt.reason(), sentences.join("; "))
        }
    }
}

/// All that speaks against one metric, and the first cure.
pub(crate) fn doubt_sentence(verdict: &Verdict) -> String {
    let doubts = verdict.evidence.doubts();
    let causes: Vec<_> = doubts.iter().map(ToString::to_string).collect();
    let cure = doubts.first().map_or("", |doubt| doubt.cure());
    format!("metric {}: {}; {cure}", verdict.name, causes.join(", "))
}

fn first_doubt(verdicts: &[Verdict]) -> String {
    verdicts.iter().find(|verdict| verdict.evidence.is_insufficient()).map(doubt_sentence).unwrap_or_default()
}

/// Why nothing is changed for want of evidence.
pub(crate) fn cause_of_hold(proposals: &Proposals) -> String {
    let would = match &proposals.highest {
        Some((replicas, metric)) => format!("{metric} asks for {replicas}, but "),
        None => String::new(),
    };
    let names: Vec<_> = proposals
        .verdicts
        .iter()
        .filter(|verdict| verdict.evidence.is_insufficient())
        .map(|verdict| {
            let doubt = verdict.evidence.doubts().first().map(ToString::to_string).unwrap_or_default();
            format!("{} ({doubt})", verdict.name)
        })
        .collect();
    format!("{would}evidence is insufficient for {}", names.join(", "))
}

/// Why this number: the metric that asked for the most, and the last limit that changed it.
pub(crate) fn cause(
    input: &Input,
    proposals: &Proposals,
    (proposed, metric): (i32, &str),
    desired: i32,
    last_limit: Option<&Limit>,
) -> String {
    let current = input.scale.spec_replicas;
    let verdict = proposals.verdicts.iter().find(|verdict| verdict.name == metric);
    let spec = input.policy.metrics.iter().find(|spec| spec.name == metric);
    let by_fallback = verdict.is_some_and(|v| v.fallback == Some(proposed) && v.proposal != Some(proposed));
    let what = match (verdict, spec) {
        _ if by_fallback => {
            format!("{metric} has no sufficient evidence and its fallback asks for {proposed}")
        }
        (Some(verdict), Some(spec)) => {
            let position = match proposed.cmp(&current) {
                std::cmp::Ordering::Greater => "above target",
                std::cmp::Ordering::Equal => "on target",
                std::cmp::Ordering::Less if proposals.verdicts.len() > 1 => {
                    "highest, all metrics below target"
                }
                std::cmp::Ordering::Less => "below target",
            };
            format!("{metric} {position}: {} asks for {proposed}", measured(spec, verdict, input))
        }
        _ => format!("{metric} asks for {proposed}"),
    };
    match last_limit {
        Some(limit) if limit.to == desired => format!("{what}; {desired} by {}", limit.kind),
        _ => what,
    }
}

/// The value beside its target, in the target's own terms, in few digits: the verdict has all of them.
pub(crate) fn measured(spec: &MetricSpec, verdict: &Verdict, input: &Input) -> String {
    let Some(value) = verdict.value.map(Float::get) else { return "no value".to_owned() };
    let (text, target) = (short(value), thousandths(spec.target.milli()));
    match spec.target {
        Target::Value { .. } => format!("{text} against {target}"),
        Target::AverageValue { .. } if input.scale.status_replicas > 0 && value.is_finite() => {
            let average = average_milli(to_milli(value), input.scale.status_replicas);
            format!("{text} ({} a replica against {target})", thousandths(average))
        }
        Target::AverageValue { .. } => format!("{text} against {target} a replica"),
    }
}

fn thousandths(milli: i64) -> String {
    short(milli as f64 / 1000.0)
}
