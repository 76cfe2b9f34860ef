//! The production controller in a world: two processes with one lease, as it is shipped.
//!
//! ```text
//!  kube::Client of the world ──┐                            ┌─► Notes: what a law says of records
//!  World's querier ─► Asked ───┼─► autoscaler_controller::drive
//!  World's clock, skewed ──────┘      its own policies, watches, lease, engine, writes
//! ```

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_controller::{Clock, Keep, Leases, Managed, Outside, Queriers, Settings, Timing, drive};
use autoscaler_core::{FailureKind, replay};
use autoscaler_engine::Config;
use autoscaler_engine::effect::Record;
use autoscaler_engine::objects::Name;
use autoscaler_querier::{Outcome, Querier, QueryError, Source, SourceError};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use simulations_world::scene::{ACTORS, LEASE, NAMESPACE};
use simulations_world::{Actor, Scene, World, world};
use thanos_telemetry::Shutdown;

/// Most series that one answer may have, as the flag's default.
const MAX_SERIES: usize = 1000;

/// What is found out while a world goes on.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// What was noted.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    fn push(&self, note: String) {
        self.0.lock().push(note);
    }
}

/// The definition of policies, and the one that says what the scene asks for.
///
/// # Panics
/// The definition cannot be written down, which is a bug of the API's.
pub fn manifests(scene: &Scene) -> String {
    let task = &scene.task;
    let (min, max) = scene.truth.bounds;
    let mut text = autoscaler_api::crd_yaml().expect("the definition is sound");
    let clusters = if task.names_clusters { task.clusters.join(", ") } else { String::new() };
    let policies = task.down_rate.map_or_else(String::new, |(value, period)| {
        format!(", policies: [{{type: Pods, value: {value}, periodSeconds: {period}}}]")
    });
    // Writing into memory cannot fail.
    let _ = write!(
        text,
        "\n---\n\
         apiVersion: autoscaling.gauntlet.dev/v1alpha1\n\
         kind: ScalingPolicy\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         spec:\n  \
           scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  \
           minReplicas: {min}\n  \
           maxReplicas: {max}\n  \
           interval: {interval}ms\n  \
           metrics:\n  \
           - name: requests\n    \
             query: '{query}'\n    \
             target: {{type: AverageValue, averageValue: \"{target}\"}}\n    \
             evidence: {{maxAge: {age}ms, clusters: [{clusters}]}}\n  \
           behavior:\n    \
             scaleDown: {{stabilizationWindowSeconds: {window}{policies}}}\n",
        name = simulations_world::scene::DEPLOYMENT,
        interval = task.interval_ms,
        query = task.query,
        target = scene.truth.per_replica,
        age = task.max_age_ms,
        window = task.down_window_s,
    );
    text
}

/// Puts the controller's processes into a world.
pub fn begin(scene: &Scene, world: &World, notes: &Notes) {
    let home = scene.task.clusters.first().cloned().unwrap_or_default();
    for index in 0..ACTORS {
        let (home, notes) = (home.clone(), notes.clone());
        let make = move |actor| live(actor, world::actor_name(index), home.clone(), notes.clone());
        tokio::spawn(world.keep(index, make));
    }
}

/// One process, until it is dropped.
async fn live(actor: Actor, identity: String, home: String, notes: Notes) {
    let Some(client) = actor.client(0) else { return };
    let outside = Outside {
        clusters: vec![Managed { name: home, client }],
        queriers: Arc::new(Asked(actor.querier.clone())),
        clock: Arc::new(Skewed(actor.clock.clone())),
        records: Arc::new(Replayed(notes.clone())),
    };
    let second = Duration::from_secs(1);
    let settings = Settings {
        engine: Config::default(),
        cluster_label: "cluster".to_owned(),
        given: Default::default(),
        max_series: MAX_SERIES,
        kube_timeout: 5 * second,
        leases: Some(Leases {
            namespace: NAMESPACE.to_owned(),
            name: LEASE.to_owned(),
            identity,
            timing: Timing { lease: 8 * second, renew: 5 * second, retry: second },
        }),
    };
    if let Err(error) = drive(outside, settings, Shutdown::new()).await {
        notes.push(format!("the controller ended: {error:#}"));
    }
}

/// The world's querier, whose answers are read as production reads them.
struct Asked(simulations_world::Querier);

impl Querier for Asked {
    fn instant(&self, query: &str, time_ms: i64, deadline: Duration) -> BoxFuture<'static, Outcome> {
        let (querier, query) = (self.0.clone(), query.to_owned());
        Box::pin(async move {
            match tokio::time::timeout(deadline, querier.instant(&query, Some(time_ms))).await {
                Ok(Ok(reply)) => autoscaler_querier::read(reply.status, reply.body.as_bytes(), MAX_SERIES),
                Ok(Err(error)) => Err(QueryError::new(FailureKind::Unreachable, error.to_string())),
                Err(late) => Err(QueryError::new(FailureKind::Timeout, late.to_string())),
            }
        })
    }
}

impl Queriers for Asked {
    fn own(&self) -> Arc<dyn Querier> {
        Arc::new(Self(self.0.clone()))
    }

    fn of(&self, _: &str, _: &Source) -> Result<Arc<dyn Querier>, SourceError> {
        Ok(self.own())
    }

    fn forget(&self, _: &str) {}
}

struct Skewed(simulations_kernel::Clock);

impl Clock for Skewed {
    fn wall_ms(&self) -> i64 {
        self.0.now_ms()
    }
}

/// Replays each record as it is made.
struct Replayed(Notes);

impl Keep for Replayed {
    fn keep(&self, record: &Record) {
        match replay(record.json.as_bytes()) {
            Ok(replay) if replay.identical => {}
            Ok(_) => self.0.push(format!("record {} gives another decision", record.digest)),
            Err(error) => self.0.push(format!("record {} cannot be replayed: {error}", record.digest)),
        }
    }

    fn discard(&self, _: &Name, _: &str) {}
}
