//! The one-word reasons of conditions and causes of decisions: the HPA's where it has one, by [`autoscaler_hpa`], ours
//! after them.

pub use autoscaler_hpa::reasons::{
    AMBIGUOUS_SELECTOR, DESIRED_WITHIN_RANGE, FAILED_GET_CONTAINER_RESOURCE_METRIC,
    FAILED_GET_EXTERNAL_METRIC, FAILED_GET_PODS_METRIC, FAILED_GET_RESOURCE_METRIC, INVALID_SELECTOR,
    READY_FOR_NEW_SCALE, SCALE_DOWN_LIMIT, SCALE_DOWN_STABILIZED, SCALE_UP_LIMIT, SCALE_UP_STABILIZED,
    SCALING_DISABLED, SUCCEEDED_GET_SCALE, TOO_FEW_REPLICAS, TOO_MANY_REPLICAS, VALID_METRIC_FOUND,
};

/// Ours: the policy's mode is `Paused`.
pub const SCALING_PAUSED: &str = "ScalingPaused";
/// Ours: the policy contradicts itself.
pub const INVALID_POLICY: &str = "InvalidPolicy";
/// Ours: lowering was held for want of evidence.
pub const INSUFFICIENT_EVIDENCE: &str = "InsufficientEvidence";
/// Ours: every metric's evidence would be good enough to lower on.
pub const EVIDENCE_COMPLETE: &str = "EvidenceComplete";
/// Ours: the policy has `compatibility: HPA`, which takes values as they are.
pub const EVIDENCE_NOT_JUDGED: &str = "EvidenceNotJudged";
/// Ours: a metric of the policy was not observed.
pub const NOT_OBSERVED: &str = "NotObserved";
/// Ours: a query failed.
pub const QUERY_FAILED: &str = "QueryFailed";
/// Ours: the source that the policy names cannot be asked, for want of a Secret or ConfigMap.
pub const SOURCE_UNUSABLE: &str = "SourceUnusable";
/// Ours: a query returned nothing.
pub const EMPTY_RESULT: &str = "EmptyResult";
/// Ours: a query returned several series.
pub const MANY_SERIES: &str = "ManySeries";
/// Ours: a query returned NaN or an infinity.
pub const NOT_A_NUMBER: &str = "NotANumber";
/// Ours: a query returned less than zero.
pub const NEGATIVE_VALUE: &str = "NegativeValue";
/// Ours: an expected cluster, or a selector, has no sample in the answer.
pub const CLUSTERS_MISSING: &str = "ClustersMissing";
/// Ours: a cluster's newest sample is too old, or from the future.
pub const STALE_SAMPLES: &str = "StaleSamples";
/// Ours: the querier warned that its answer is partial.
pub const QUERY_WARNINGS: &str = "QueryWarnings";
/// Ours: of a cluster's pods, some that should have samples have none.
pub const PODS_MISSING: &str = "PodsMissing";
/// Ours: the target's pods could not be looked at, or allow no computation.
pub const PODS_UNKNOWN: &str = "PodsUnknown";
/// Ours: the querier warned of the query, not of its samples.
pub const QUERY_ANNOTATED: &str = "QueryAnnotated";
/// Ours: samples are still on their way to the time that was evaluated.
pub const NOT_SETTLED: &str = "NotSettled";
/// Ours: a ratio has no ready replicas to multiply.
pub const NO_READY_REPLICAS: &str = "NoReadyReplicas";

/// Ours: a formula has no number.
pub const FORMULA_UNDEFINED: &str = "FormulaUndefined";
/// Ours: the last replica waits for the cool-down.
pub const COOLING_DOWN: &str = "CoolingDown";
/// Ours: at zero replicas, no value is above its activation threshold.
pub const BELOW_ACTIVATION: &str = "BelowActivation";
/// Ours: raising is paused.
pub const SCALE_UP_PAUSED: &str = "ScaleUpPaused";
/// Ours: lowering is paused.
pub const SCALE_DOWN_PAUSED: &str = "ScaleDownPaused";
/// Nothing was active for the whole cool-down (KEP-2021 has a condition of this name).
pub const SCALED_TO_ZERO: &str = "ScaledToZero";

/// A cause, not a condition: the metrics ask for more.
pub const ABOVE_TARGET: &str = "AboveTarget";
/// A cause: the metrics ask for what is there.
pub const ON_TARGET: &str = "OnTarget";
/// A cause: the metrics ask for fewer.
pub const BELOW_TARGET: &str = "BelowTarget";
/// A cause: a metric without sufficient evidence counts as its fallback.
pub const FALLBACK: &str = "Fallback";
