//! The HPA: a sync every fifteen seconds, on a metric of prometheus-adapter.
//!
//! ```text
//!  every 15 s   GET scale ─► adapter ─► query at its own now ─► Controller ─► PUT scale
//! ```

use std::time::Duration;

use autoscaler_hpa::{
    Answer, Controller, HpaSpec, HpaStatus, Inputs, MetricIdentifier, MetricSpec, MetricTarget,
    MetricTargetType, Selected, Settings,
};
use simulations_world::Actor;
use simulations_world::scene::DEPLOYMENT;

use crate::answer::of_adapter;
use crate::target::Target;

/// From the end of a sync to the next (`--horizontal-pod-autoscaler-sync-period`).
pub const PERIOD: Duration = Duration::from_secs(15);
/// How long the aggregated API is waited for: the API server's `--request-timeout`.
const METRICS: Duration = Duration::from_secs(60);

/// An HPA's spec with one external metric, of which each replica is to have `per_replica`.
pub fn spec(bounds: (i32, i32), per_replica: f64) -> HpaSpec {
    let target = MetricTarget {
        kind: MetricTargetType::AverageValue,
        average_value_milli: Some((per_replica * 1000.0).round() as i64),
        ..MetricTarget::default()
    };
    HpaSpec {
        min_replicas: Some(bounds.0),
        max_replicas: bounds.1,
        metrics: vec![MetricSpec::External { metric: MetricIdentifier::from("requests"), target }],
        behavior: None,
    }
}

/// One HPA, and what its controller remembers.
#[derive(Debug)]
pub(crate) struct Hpa {
    target: Target,
    spec: HpaSpec,
    controller: Controller,
    status: HpaStatus,
}

impl Hpa {
    pub(crate) fn new(target: Target, spec: HpaSpec) -> Self {
        let controller = Controller::new(Settings::default());
        Self { target, spec, controller, status: HpaStatus::default() }
    }

    /// One sync, on what the metrics API says meanwhile.
    pub(crate) async fn sync(&mut self, actor: &Actor, answer: impl Future<Output = Answer>) {
        let read = self.target.read().await;
        let answers = [match tokio::time::timeout(METRICS, answer).await {
            Ok(answer) => answer,
            Err(late) => Answer::Failed(late.to_string()),
        }];
        let inputs = Inputs {
            now_ms: actor.clock.now_ms(),
            spec: &self.spec,
            status: &self.status,
            scale: read.as_ref().map(|read| read.scale).map_err(String::as_str),
            // An external average is divided by replicas: nobody looks at pods.
            pods: Selected::Pods(&[]),
            answers: &answers,
        };
        let pending = self.controller.begin(&inputs);
        let written = match (pending.write(), &read) {
            (Some(replicas), Ok(read)) => self.target.write(read, replicas).await,
            _ => Ok(()),
        };
        self.status = self.controller.finish(pending, written).status;
    }
}

/// Scales the scene's Deployment on a query for as long as the world lasts.
pub async fn run(actor: Actor, spec: HpaSpec, query: String) {
    let Some(target) = Target::new(&actor, DEPLOYMENT) else { return };
    let mut hpa = Hpa::new(target, spec);
    loop {
        let asked = async {
            let now_ms = actor.clock.now_ms();
            of_adapter(actor.querier.instant(&query, Some(now_ms)).await.map_err(|e| e.to_string()))
        };
        hpa.sync(&actor, asked).await;
        tokio::time::sleep(PERIOD).await;
    }
}
