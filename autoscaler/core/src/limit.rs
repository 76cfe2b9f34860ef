//! What keeps a result from being the plain maximum of the proposals.

use std::fmt;

use autoscaler_hpa::normalize as hpa;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::reasons;

/// Something that kept the result from being the plain maximum of the proposals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Which.
    pub kind: LimitKind,
    /// Replicas before it.
    pub from: i32,
    /// Replicas after it.
    pub to: i32,
    /// The schedule whose bound it is; `None`: the policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Name>,
    /// Of [`LimitKind::EvidenceTooShort`] and [`LimitKind::CoolingDown`]: for how long, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
}

/// How long a lowering still waits if samples go on coming, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// In milliseconds.
    pub left_ms: i64,
    /// Why.
    pub why: WaitReason,
}

/// Why sufficient evidence does not lower yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitReason {
    /// The samples of a whole window before the first decision were not watched.
    FirstSight,
    /// The window begins in a gap.
    Gap,
    /// A gap as long as the longest blind span could hide in the window.
    BlindSpan,
    /// Nothing was active for less than the cool-down.
    CoolDown,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// Lowering was held for want of evidence.
    InsufficientEvidence,
    /// A lower recommendation in the scale-up window.
    ScaleUpStabilized,
    /// A higher recommendation in the scale-down window.
    ScaleDownStabilized,
    /// A higher ask in the time of sufficient evidence that a lowering needs ([`crate::support`]).
    EvidenceTooShort,
    /// The scale-up rate.
    ScaleUpLimit,
    /// The scale-down rate.
    ScaleDownLimit,
    /// `maxReplicas`.
    TooManyReplicas,
    /// `minReplicas`.
    TooFewReplicas,
    /// The last replica waits for the cool-down.
    CoolingDown,
    /// At zero: nothing is above its activation threshold.
    BelowActivation,
    /// Raising is paused.
    ScaleUpPaused,
    /// Lowering is paused.
    ScaleDownPaused,
}

impl Limit {
    /// One that is the policy's own and waits for nothing.
    pub(crate) fn new(kind: LimitKind, from: i32, to: i32) -> Self {
        Self { kind, from, to, schedule: None, wait: None }
    }
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
            Self::CoolingDown => reasons::COOLING_DOWN,
            Self::BelowActivation => reasons::BELOW_ACTIVATION,
            Self::ScaleUpPaused => reasons::SCALE_UP_PAUSED,
            Self::ScaleDownPaused => reasons::SCALE_DOWN_PAUSED,
        }
    }

    /// Upstream's sentence for it.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::InsufficientEvidence => "replicas are not lowered on insufficient evidence",
            Self::EvidenceTooShort => {
                "sufficient evidence has not asked for fewer for as long as a gap in its samples could go unseen"
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
            Self::CoolingDown => "the last replica stays until nothing was active for the whole cool-down",
            Self::BelowActivation => "at zero replicas no value is above its activation threshold",
            Self::ScaleUpPaused => "raising is paused by the policy",
            Self::ScaleDownPaused => "lowering is paused by the policy",
        }
    }
}

/// Upstream's are among them.
impl From<hpa::Limit> for LimitKind {
    fn from(limit: hpa::Limit) -> Self {
        match limit {
            hpa::Limit::ScaleUpStabilized => Self::ScaleUpStabilized,
            hpa::Limit::ScaleDownStabilized => Self::ScaleDownStabilized,
            hpa::Limit::ScaleUpLimit => Self::ScaleUpLimit,
            hpa::Limit::ScaleDownLimit => Self::ScaleDownLimit,
            hpa::Limit::TooManyReplicas => Self::TooManyReplicas,
            hpa::Limit::TooFewReplicas => Self::TooFewReplicas,
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstSight => "the window before the first decision was not watched",
            Self::Gap => "the query's window begins in a gap of its samples",
            Self::BlindSpan => "a gap between two looks at the samples would show only now",
            Self::CoolDown => "the cool-down counts while evidence is sufficient and nothing is active",
        })
    }
}
