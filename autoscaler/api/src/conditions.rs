//! Condition types, reasons and event reasons: the HPA's where it has them (Kubernetes 1.35,
//! `pkg/controller/podautoscaler/horizontal.go`), ours marked.

/// Condition types.
pub mod types {
    /// Whether the target can be read and written.
    pub const ABLE_TO_SCALE: &str = "AbleToScale";
    /// Whether replicas are being computed.
    pub const SCALING_ACTIVE: &str = "ScalingActive";
    /// Whether a bound or rate held the result back.
    pub const SCALING_LIMITED: &str = "ScalingLimited";
    /// Ours: whether every metric's evidence is complete; if not, replicas do not go down.
    pub const EVIDENCE_SUFFICIENT: &str = "EvidenceSufficient";
    /// Ours: whether the policy keeps within the controller's own limits; there only if it does not.
    pub const WITHIN_LIMITS: &str = "WithinLimits";
    /// Ours: whether the hashring and the replicas agree.
    pub const RING_SETTLED: &str = "RingSettled";
}

/// Condition reasons that the controller sets; those of a decision come from the decision core.
pub mod reasons {
    /// The scale subresource could not be read.
    pub const FAILED_GET_SCALE: &str = "FailedGetScale";
    /// The scale subresource could not be written.
    pub const FAILED_UPDATE_SCALE: &str = "FailedUpdateScale";
    /// Replicas were written.
    pub const SUCCEEDED_RESCALE: &str = "SucceededRescale";
    /// Ours: the target changed between reading and writing; the next evaluation decides anew.
    pub const SCALE_CONFLICT: &str = "ScaleConflict";
    /// Ours: several active policies, or a HorizontalPodAutoscaler beside one, scale the same target, or several
    /// policies the same ring; no policy of them writes.
    pub const AMBIGUOUS_TARGET: &str = "AmbiguousTarget";
    /// Ours: the spec contradicts itself or names what does not exist.
    pub const INVALID_POLICY: &str = "InvalidPolicy";
    /// Ours: a write ended without an answer; what is there now tells.
    pub const SCALE_UNANSWERED: &str = "ScaleUnanswered";
    /// Ours: the API server has no time for a write; it is tried again.
    pub const SCALE_DELAYED: &str = "ScaleDelayed";
    /// Ours: the interval is below the controller's shortest.
    pub const INTERVAL_TOO_SHORT: &str = "IntervalTooShort";
    /// Ours: the policy has more queries than the controller allows one.
    pub const TOO_MANY_QUERIES: &str = "TooManyQueries";
    /// Ours: the policy is deleted, and the replicas are as they were before it.
    pub const RESTORED: &str = "Restored";
    /// Ours: this process no longer holds the Lease.
    pub const NOT_LEADER: &str = "NotLeader";
    /// Ours: ring and replicas agree.
    pub const RING_IN_SYNC: &str = "RingInSync";
    /// Ours: the ring shrank; replicas follow once the members had time to learn of it.
    pub const RING_SETTLING: &str = "RingSettling";
    /// Ours: the ring may not shrink now.
    pub const RING_HELD: &str = "RingHeld";
    /// Ours: fewer replicas were wanted than the replication factor.
    pub const RING_AT_REPLICATION_FACTOR: &str = "RingAtReplicationFactor";
    /// Ours: the ring's ConfigMap or pods could not be read, written or understood.
    pub const RING_UNAVAILABLE: &str = "RingUnavailable";
}

/// Event reasons.
pub mod events {
    /// Replicas were written.
    pub const SUCCESSFUL_RESCALE: &str = "SuccessfulRescale";
    /// Replicas could not be written.
    pub const FAILED_RESCALE: &str = "FailedRescale";
    /// The target could not be read.
    pub const FAILED_GET_SCALE: &str = "FailedGetScale";
    /// No replicas could be computed.
    pub const FAILED_COMPUTE_METRICS_REPLICAS: &str = "FailedComputeMetricsReplicas";
    /// Ours: evidence became insufficient.
    pub const EVIDENCE_INSUFFICIENT: &str = "EvidenceInsufficient";
    /// Ours: evidence is complete again.
    pub const EVIDENCE_SUFFICIENT: &str = "EvidenceSufficient";
    /// Ours: the policy's finalizer could not be put on or taken off.
    pub const FAILED_UPDATE_FINALIZER: &str = "FailedUpdateFinalizer";
    /// Ours: the hashring changed.
    pub const RING_CHANGED: &str = "RingChanged";
}
