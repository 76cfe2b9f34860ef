//! Upstream's reasons: of conditions, and of events where one is of both (`horizontal.go`).

/// The scale subresource could be read.
pub const SUCCEEDED_GET_SCALE: &str = "SucceededGetScale";
/// The scale subresource could not be read; an event too.
pub const FAILED_GET_SCALE: &str = "FailedGetScale";
/// Nothing holds the replicas back.
pub const READY_FOR_NEW_SCALE: &str = "ReadyForNewScale";
/// A lower recommendation in the scale-up window holds.
pub const SCALE_UP_STABILIZED: &str = "ScaleUpStabilized";
/// A higher recommendation in the scale-down window holds.
pub const SCALE_DOWN_STABILIZED: &str = "ScaleDownStabilized";
/// The scale subresource was written.
pub const SUCCEEDED_RESCALE: &str = "SucceededRescale";
/// The scale subresource could not be written.
pub const FAILED_UPDATE_SCALE: &str = "FailedUpdateScale";
/// A metric gave a number.
pub const VALID_METRIC_FOUND: &str = "ValidMetricFound";
/// The target has zero replicas and `minReplicas` is not zero.
pub const SCALING_DISABLED: &str = "ScalingDisabled";
/// No metric gave a number, or one that did not kept the others from lowering. This one is external.
pub const FAILED_GET_EXTERNAL_METRIC: &str = "FailedGetExternalMetric";
/// The same of a metric of an object.
pub const FAILED_GET_OBJECT_METRIC: &str = "FailedGetObjectMetric";
/// The same of a resource metric.
pub const FAILED_GET_RESOURCE_METRIC: &str = "FailedGetResourceMetric";
/// The same of a resource metric of one container.
pub const FAILED_GET_CONTAINER_RESOURCE_METRIC: &str = "FailedGetContainerResourceMetric";
/// The same of a metric of pods.
pub const FAILED_GET_PODS_METRIC: &str = "FailedGetPodsMetric";
/// There is no such type of metric, or no metric.
pub const INVALID_METRIC_SOURCE_TYPE: &str = "InvalidMetricSourceType";
/// The target's scale has no selector, or one that cannot be read; an event too.
pub const INVALID_SELECTOR: &str = "InvalidSelector";
/// Several autoscalers select the same pods; an event too.
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
