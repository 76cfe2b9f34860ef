//! The one-word reasons of conditions and causes of decisions: the HPA's where it has one (`horizontal.go`), ours after them.

/// The scale subresource could be read.
pub const SUCCEEDED_GET_SCALE: &str = "SucceededGetScale";
/// Nothing holds the replicas back.
pub const READY_FOR_NEW_SCALE: &str = "ReadyForNewScale";
/// A lower recommendation in the scale-up window holds.
pub const SCALE_UP_STABILIZED: &str = "ScaleUpStabilized";
/// A higher recommendation in the scale-down window holds.
pub const SCALE_DOWN_STABILIZED: &str = "ScaleDownStabilized";
/// The scale subresource was written; set by whoever wrote it.
pub const SUCCEEDED_RESCALE: &str = "SucceededRescale";
/// The scale subresource could not be written; set by whoever tried.
pub const FAILED_UPDATE_SCALE: &str = "FailedUpdateScale";
/// A metric gave a number.
pub const VALID_METRIC_FOUND: &str = "ValidMetricFound";
/// The target has zero replicas and `minReplicas` is not zero.
pub const SCALING_DISABLED: &str = "ScalingDisabled";
/// No metric gave a number, or one that did not kept the others from lowering.
pub const FAILED_GET_EXTERNAL_METRIC: &str = "FailedGetExternalMetric";
/// The same of a resource metric.
pub const FAILED_GET_RESOURCE_METRIC: &str = "FailedGetResourceMetric";
/// The same of a resource metric of one container.
pub const FAILED_GET_CONTAINER_RESOURCE_METRIC: &str = "FailedGetContainerResourceMetric";
/// The same of a metric of pods.
pub const FAILED_GET_PODS_METRIC: &str = "FailedGetPodsMetric";
/// The target's scale has no selector, or one that cannot be read.
pub const INVALID_SELECTOR: &str = "InvalidSelector";
/// Several autoscalers select the same pods.
pub const AMBIGUOUS_SELECTOR: &str = "AmbiguousSelector";
/// Nothing was cut.
pub const DESIRED_WITHIN_RANGE: &str = "DesiredWithinRange";
/// The scale-up rate cut.
pub const SCALE_UP_LIMIT: &str = "ScaleUpLimit";
/// The scale-down rate cut.
pub const SCALE_DOWN_LIMIT: &str = "ScaleDownLimit";
/// `maxReplicas` cut.
pub const TOO_MANY_REPLICAS: &str = "TooManyReplicas";
/// `minReplicas` cut.
pub const TOO_FEW_REPLICAS: &str = "TooFewReplicas";

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
