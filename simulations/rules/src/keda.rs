//! KEDA: polls of its own, and the HPA that it made, which asks it for the metric.
//!
//! ```text
//!  every pollingInterval   query ─► Operator: 0 ↔ 1, below minReplicaCount ─► PUT scale
//!  every 15 s, the HPA's   query ─► Operator: a number, or a fallback's ─► Controller ─► PUT scale
//! ```

use std::sync::Arc;
use std::time::Duration;

use autoscaler_hpa::Answer;
use autoscaler_keda::{Operator, QueryResult, ScaledObject, Target as Seen};
use parking_lot::Mutex;
use simulations_world::Actor;
use simulations_world::scene::DEPLOYMENT;

use crate::answer::of_scaler;
use crate::hpa::{Hpa, PERIOD};
use crate::target::Target;

/// How long the Prometheus scaler waits for an answer (`KEDA_HTTP_DEFAULT_TIMEOUT`).
const QUERY: Duration = Duration::from_secs(3);

/// Scales the scene's Deployment by a ScaledObject for as long as the world lasts. The operator and the HPA's controller
/// are two processes; here they come and go together. What the operator remembers is in the ScaledObject's status, and
/// outlives both.
pub async fn run(actor: Actor, object: ScaledObject, query: String, operator: Arc<Mutex<Operator>>) {
    let Some(target) = Target::new(&actor, DEPLOYMENT) else { return };
    let keda = Keda { actor, target, object, query, operator };
    tokio::join!(polls(&keda), syncs(&keda));
}

async fn syncs(keda: &Keda) {
    let Some(spec) = keda.object.hpa_spec() else { return };
    let mut hpa = Hpa::new(keda.target.clone(), spec);
    loop {
        hpa.sync(&keda.actor, keda.metric()).await;
        tokio::time::sleep(PERIOD).await;
    }
}

struct Keda {
    actor: Actor,
    target: Target,
    object: ScaledObject,
    query: String,
    operator: Arc<Mutex<Operator>>,
}

impl Keda {
    /// The query, at a time that is cut off to seconds.
    async fn ask(&self) -> QueryResult {
        let now_ms = self.actor.clock.now_ms().div_euclid(1000) * 1000;
        let reply = tokio::time::timeout(QUERY, self.actor.querier.instant(&self.query, Some(now_ms))).await;
        of_scaler(match reply {
            Ok(reply) => reply.map_err(|e| e.to_string()),
            Err(late) => Err(late.to_string()),
        })
    }

    /// The target, where it can be read; KEDA's copy of it is at hand even where the API server is not.
    async fn seen(&self) -> Option<Seen> {
        let (read, ready) = (self.target.read().await.ok()?, self.target.ready().await.ok()?);
        Some(Seen { replicas: read.scale.spec_replicas, ready_pods: ready })
    }

    /// What the HPA is told.
    async fn metric(&self) -> Answer {
        let result = self.ask().await;
        // Only a fallback looks at the target.
        let is_number = matches!(result, QueryResult::Value(value) if value.is_finite());
        let seen = if is_number || self.object.fallback.is_none() { None } else { self.seen().await };
        self.operator.lock().external_metric(&self.object, 0, &result, seen)
    }
}

async fn polls(keda: &Keda) {
    let every = Duration::from_millis(keda.object.polling_interval_ms().unsigned_abs());
    loop {
        let result = keda.ask().await;
        let seen = keda.seen().await;
        let now_ms = keda.actor.clock.now_ms();
        let poll = keda.operator.lock().poll(&keda.object, seen, &[result], now_ms, |_| true);
        if let Some(replicas) = poll.write
            && let Ok(read) = keda.target.read().await
        {
            // What became of it is seen at the next poll.
            let _ = keda.target.write(&read, replicas).await;
        }
        tokio::time::sleep(every).await;
    }
}
