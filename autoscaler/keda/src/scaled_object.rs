//! `ScaledObject` of `keda.sh/v1alpha1`, and the HorizontalPodAutoscaler that KEDA makes of it.

use autoscaler_hpa::behavior::{Behavior, Rules, SelectPolicy};
use autoscaler_hpa::{HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType};

use crate::quantity::milli;

/// `ScaledObjectSpec`, and what its annotations switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScaledObject {
    /// `minReplicaCount`; 0 by default.
    pub min_replica_count: Option<i32>,
    /// `maxReplicaCount`; 100 by default.
    pub max_replica_count: Option<i32>,
    /// `idleReplicaCount`: replicas while nothing is active, below `minReplicaCount`.
    pub idle_replica_count: Option<i32>,
    /// `pollingInterval` in seconds; 30 by default.
    pub polling_interval: Option<i32>,
    /// `cooldownPeriod` in seconds, from the last activity to zero; 300 by default.
    pub cooldown_period: Option<i32>,
    /// `initialCooldownPeriod` in seconds, from the object's creation to zero if nothing was ever active; 0 by
    /// default.
    pub initial_cooldown_period: Option<i32>,
    /// `creationTimestamp`.
    pub created_ms: i64,
    /// `fallback`.
    pub fallback: Option<Fallback>,
    /// `triggers`.
    pub triggers: Vec<Trigger>,
    /// `advanced.horizontalPodAutoscalerConfig.behavior`.
    pub behavior: Option<Behavior>,
    /// Annotation `autoscaling.keda.sh/paused`: KEDA deletes the HPA and polls no more.
    pub paused: bool,
    /// Annotation `autoscaling.keda.sh/paused-scale-in`.
    pub paused_scale_in: bool,
    /// Annotation `autoscaling.keda.sh/paused-scale-out`.
    pub paused_scale_out: bool,
    /// Annotation `autoscaling.keda.sh/force-activation`.
    pub force_activation: bool,
}

/// One of `triggers`.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// `type: prometheus`.
    Prometheus(PrometheusTrigger),
    /// `type: cpu` or `memory`: handed to the HPA as it is.
    Resource {
        /// `cpu` or `memory`.
        name: String,
        /// Utilization or average value.
        target: MetricTarget,
    },
}

/// A trigger on a PromQL query.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusTrigger {
    /// `metricType`; `AverageValue` by default.
    pub metric_type: MetricTargetType,
    /// `threshold`: the HPA's target.
    pub threshold: f64,
    /// `activationThreshold`: above it the trigger is active; 0 by default.
    pub activation_threshold: f64,
    /// `ignoreNullValues`: empty results, NaN and infinity are zero; on by default.
    pub ignore_null_values: bool,
    /// `useCachedMetrics`: the HPA is told what the last poll saw; off by default.
    pub use_cached_metrics: bool,
}

impl Default for PrometheusTrigger {
    fn default() -> Self {
        Self {
            metric_type: MetricTargetType::AverageValue,
            threshold: 0.0,
            activation_threshold: 0.0,
            ignore_null_values: true,
            use_cached_metrics: false,
        }
    }
}

/// `fallback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// How many failures in a row are still errors.
    pub failure_threshold: i32,
    /// Replicas instead.
    pub replicas: i32,
    /// How `replicas` are meant.
    pub behavior: FallbackBehavior,
}

/// `fallback.behavior`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackBehavior {
    /// `replicas`.
    #[default]
    Static,
    /// The target's present ones.
    CurrentReplicas,
    /// Whichever is more.
    CurrentReplicasIfHigher,
    /// Whichever is less.
    CurrentReplicasIfLower,
    /// Nothing for the formula to see.
    ScalingModifiers,
}

const POLLING_INTERVAL_SECONDS: i32 = 30;
const COOLDOWN_SECONDS: i32 = 300;
const MAX_REPLICAS: i32 = 100;

impl ScaledObject {
    /// Milliseconds between two polls.
    #[must_use]
    pub fn polling_interval_ms(&self) -> i64 {
        i64::from(self.polling_interval.unwrap_or(POLLING_INTERVAL_SECONDS)) * 1000
    }

    pub(crate) fn cooldown_ms(&self) -> i64 {
        i64::from(self.cooldown_period.unwrap_or(COOLDOWN_SECONDS)) * 1000
    }

    pub(crate) fn initial_cooldown_ms(&self) -> i64 {
        i64::from(self.initial_cooldown_period.unwrap_or(0)) * 1000
    }

    /// The triggers in the order of the HPA's metrics: those on queries first.
    #[must_use]
    pub fn metric_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.triggers.len()).collect();
        order.sort_by_key(|&i| matches!(self.triggers.get(i), Some(Trigger::Resource { .. })));
        order
    }

    /// The HPA's spec; `None` while paused. It never goes below one replica: zero is KEDA's own to do.
    ///
    /// Upstream: `controllers/keda/hpa.go`, `newHPAForScaledObject`; `scaledobject_controller.go`, `handlePause`.
    #[must_use]
    pub fn hpa_spec(&self) -> Option<HpaSpec> {
        if self.paused {
            return None;
        }
        let mut behavior = self.behavior.clone();
        if self.paused_scale_in || self.paused_scale_out {
            let behavior = behavior.get_or_insert_default();
            let disable = |rules: &mut Option<Rules>| {
                rules.get_or_insert_default().select_policy = Some(SelectPolicy::Disabled);
            };
            if self.paused_scale_in {
                disable(&mut behavior.scale_down);
            }
            if self.paused_scale_out {
                disable(&mut behavior.scale_up);
            }
        }
        let metric = |i: usize| Some(self.triggers.get(i)?.metric(i));
        Some(HpaSpec {
            min_replicas: Some(self.min_replica_count.unwrap_or(0).max(1)),
            max_replicas: self.max_replica_count.unwrap_or(MAX_REPLICAS),
            metrics: self.metric_order().into_iter().filter_map(metric).collect(),
            behavior,
        })
    }
}

impl Trigger {
    fn metric(&self, i: usize) -> MetricSpec {
        match self {
            Self::Prometheus(trigger) => {
                let metric = MetricIdentifier::from(format!("s{i}-prometheus").as_str());
                MetricSpec::External { metric, target: trigger.target() }
            }
            Self::Resource { name, target } => MetricSpec::Resource { name: name.clone(), target: *target },
        }
    }
}

impl PrometheusTrigger {
    /// The HPA's target. Thresholds are rounded to thousandths.
    pub(crate) fn target(&self) -> MetricTarget {
        let milli = Some(milli(self.threshold));
        let kind = self.metric_type;
        if kind == MetricTargetType::AverageValue {
            MetricTarget { kind, average_value_milli: milli, ..MetricTarget::default() }
        } else {
            MetricTarget { kind, value_milli: milli, ..MetricTarget::default() }
        }
    }
}
