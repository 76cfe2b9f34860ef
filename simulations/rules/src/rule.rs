//! Which rule, as it comes and as somebody would set it who has read of its weaknesses.

use std::sync::Arc;

use autoscaler_hpa::behavior::{Behavior, RateKind, RatePolicy, Rules};
use autoscaler_hpa::{HpaSpec, MetricTargetType};
use autoscaler_keda::{Fallback, FallbackBehavior, PrometheusTrigger, ScaledObject, Trigger};
use simulations_world::{Scene, World};

use crate::{hpa, keda};

/// A rule that can be put into a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The HPA with prometheus-adapter, all defaults: 300 s of stabilization on the way down.
    Hpa,
    /// The same with the scene's window and rate.
    HpaTuned,
    /// KEDA, all defaults: polls every 30 s, and what is empty or no number is zero.
    Keda,
    /// The same with the scene's window and rate, a poll every 5 s, `ignoreNullValues: false` and a fallback to the
    /// replicas that are there.
    KedaTuned,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 4] = [Self::Hpa, Self::HpaTuned, Self::Keda, Self::KedaTuned];

    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hpa => "HPA and prometheus-adapter, defaults",
            Self::HpaTuned => "HPA and prometheus-adapter, tuned",
            Self::Keda => "KEDA, defaults",
            Self::KedaTuned => "KEDA, tuned",
        }
    }

    /// Puts the rule into a world of that scene.
    pub fn begin(self, scene: &Scene, world: &World) {
        let query = scene.task.query.clone();
        let behavior = self.is_tuned().then(|| behavior(scene));
        match self {
            Self::Hpa | Self::HpaTuned => {
                let spec = hpa::spec(scene.truth.bounds, scene.truth.per_replica);
                let spec = HpaSpec { behavior, ..spec };
                tokio::spawn(world.keep(0, move |actor| hpa::run(actor, spec.clone(), query.clone())));
            }
            Self::Keda | Self::KedaTuned => {
                let object = ScaledObject { behavior, ..self.scaled_object(scene, world.clock.now_ms()) };
                let operator = Arc::default();
                let make =
                    move |actor| keda::run(actor, object.clone(), query.clone(), Arc::clone(&operator));
                tokio::spawn(world.keep(0, make));
            }
        }
    }

    fn is_tuned(self) -> bool {
        matches!(self, Self::HpaTuned | Self::KedaTuned)
    }

    fn scaled_object(self, scene: &Scene, created_ms: i64) -> ScaledObject {
        let trigger = PrometheusTrigger {
            metric_type: MetricTargetType::AverageValue,
            threshold: scene.truth.per_replica,
            ignore_null_values: !self.is_tuned(),
            ..PrometheusTrigger::default()
        };
        let fallback = Fallback {
            failure_threshold: 3,
            replicas: scene.task.replicas,
            behavior: FallbackBehavior::CurrentReplicasIfHigher,
        };
        ScaledObject {
            min_replica_count: Some(scene.truth.bounds.0),
            max_replica_count: Some(scene.truth.bounds.1),
            polling_interval: self.is_tuned().then_some(5),
            fallback: self.is_tuned().then_some(fallback),
            triggers: vec![Trigger::Prometheus(trigger)],
            created_ms,
            ..ScaledObject::default()
        }
    }
}

/// The scene's wishes in the HPA's words.
fn behavior(scene: &Scene) -> Behavior {
    let policies = scene
        .task
        .down_rate
        .map(|(value, period_seconds)| vec![RatePolicy { kind: RateKind::Pods, value, period_seconds }]);
    let down =
        Rules { stabilization_window_seconds: Some(scene.task.down_window_s), policies, ..Rules::default() };
    Behavior { scale_up: None, scale_down: Some(down) }
}
