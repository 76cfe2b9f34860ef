//! The controller's own settings: flags of kube-controller-manager, constants and feature gates.

/// What one controller process runs with. Times are in milliseconds.
///
/// Upstream: `pkg/controller/podautoscaler/config/v1alpha1/defaults.go`, and constants of `horizontal.go`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `--horizontal-pod-autoscaler-tolerance`: relative distance from the target that is left alone.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`.
    pub downscale_stabilization_ms: i64,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: for how long after its start a pod's CPU is
    /// counted only while it is ready.
    pub cpu_initialization_period_ms: i64,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: until when an unready pod counts as never ready.
    pub initial_readiness_delay_ms: i64,
    /// Without `behavior`, one sync multiplies replicas by at most this. A constant upstream.
    pub scale_up_limit_factor: f64,
    /// Without `behavior`, one sync may always raise to this many replicas. A constant upstream.
    pub scale_up_limit_minimum: f64,
    /// Gate `HPAConfigurableTolerance`, on since 1.35: `behavior.scaleUp.tolerance` and its twin count.
    pub configurable_tolerance: bool,
    /// Gate `PodLevelResources`, on since 1.34: requests of a pod as a whole count.
    pub pod_level_resources: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            downscale_stabilization_ms: 300_000,
            cpu_initialization_period_ms: 300_000,
            initial_readiness_delay_ms: 30_000,
            scale_up_limit_factor: 2.0,
            scale_up_limit_minimum: 4.0,
            configurable_tolerance: true,
            pod_level_resources: true,
        }
    }
}
