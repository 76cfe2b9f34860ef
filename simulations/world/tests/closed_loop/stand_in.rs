//! A controller for tests, as small as one can be, and an hour in its world.

use std::time::Duration;

use autoscaler_core::{History, Input, decide};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use simulations_kernel::{Schedule, Streams, Trace, swarm};
use simulations_world::{Actor, Load, Member, Scrape, Setup, Size, Source, World, WorldFault, world};

const MANIFESTS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: none}]}
"#;

/// A policy's interval.
const INTERVAL_MS: i64 = 5000;
/// What a policy takes for fresh.
const MAX_AGE_MS: i64 = 20_000;
/// An hour, in milliseconds.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Requests a second that a replica is meant to have.
const TARGET: f64 = 50.0;

fn setup(seed: u64, load: Load, faults: Schedule<WorldFault>) -> Setup {
    let member = |name: &str, load: Load, pods: Source| Member {
        name: name.into(),
        load,
        scrape: Scrape::default(),
        labels: vec![("deployment".into(), "web".into())],
        pods,
    };
    let home = Source::Api { manifests: MANIFESTS.into(), start_ms: (2000, 8000) };
    let clusters = vec![member("east", load, home), member("west", Load::constant(60.0), Source::Fixed(2))];
    Setup { seed, clusters, faults, query_takes_ms: 5, lease: String::new() }
}

/// Decides on what it sees, writes, and tells the trace.
struct StandIn {
    actor: Actor,
    api: Api<Deployment>,
    history: History,
    policy: Value,
    trust: Trust,
}

/// What a controller does with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It asks how complete the answer is.
    Evidence,
    /// It takes every value for true, as many do.
    Anything,
}

impl StandIn {
    fn new(actor: Actor, trust: Trust) -> Self {
        let policy = json!({
            "minReplicas": 2, "maxReplicas": 40, "mode": "Active", "intervalMs": INTERVAL_MS,
            "defaults": {"tolerance": "0.1", "downscaleWindowMs": 60_000, "scaleUpLimitFactor": 2, "scaleUpLimitMinimum": 4},
            "behavior": null,
            "metrics": [{"name": "requests", "fallback": null,
                "target": {"type": "AverageValue", "averageValueMilli": 50_000},
                "evidence": {"maxAgeMs": MAX_AGE_MS, "clusters": ["east", "west"], "windowMs": 30_000}}],
        });
        Self {
            api: Api::default_namespaced(actor.client(0).unwrap()),
            actor,
            history: History::default(),
            policy,
            trust,
        }
    }

    async fn query(&self, query: &str, time_ms: i64) -> Option<Value> {
        let answer = self.actor.querier.instant(query, Some(time_ms));
        let reply = tokio::time::timeout(Duration::from_secs(4), answer).await.ok()?.ok()?;
        serde_json::from_str(&reply.body).ok().filter(|_| reply.status == 200)
    }

    async fn tick(&mut self, world: &World) -> Option<()> {
        let within = Duration::from_secs(4);
        let target = tokio::time::timeout(within, self.api.get("web")).await.ok()?.ok()?;
        let now_ms = self.actor.clock.now_ms();
        let settled_ms = self.history.settled_ms("requests");
        let answer = self.query(&query(now_ms, settled_ms), now_ms).await?;
        let parts = Parts::of(&answer)?;
        let (spec, status) = (target.spec.as_ref()?, target.status.clone().unwrap_or_default());
        let input: Input = serde_json::from_value(json!({
            "nowMs": now_ms, "policy": self.policy, "history": self.history,
            "scale": {"specReplicas": spec.replicas, "statusReplicas": status.replicas.unwrap_or(0),
                "readyReplicas": status.ready_replicas.unwrap_or(0)},
            "observations": [{
                "name": "requests", "newest": parts.reading("now"),
                "settled": settled_ms.map(|at_ms| json!({"atMs": at_ms, "reading": parts.reading("at")})),
                "samples": {"seen": [{"clusters": parts.clusters()}]},
                "warnings": answer["warnings"].as_array().cloned().unwrap_or_default(),
                "incomplete": (answer["isPartial"] == true).then_some("isPartial"),
            }],
        }))
        .unwrap();
        let to = match self.trust {
            Trust::Evidence => {
                let decision = decide(&input);
                self.history = decision.history.clone();
                let to = decision.write?;
                world.note(format_args!("{} decides {to}: {:?}", self.actor.name, decision.cause));
                to
            }
            Trust::Anything => {
                let value = parts.value("now").filter(|value| value.is_finite())?;
                let to = ((value / TARGET).ceil() as i32).clamp(2, 40);
                (Some(to) != spec.replicas).then_some(to)?
            }
        };
        let patch = json!({"metadata": {"resourceVersion": target.metadata.resource_version}, "spec": {"replicas": to}});
        let patch = Patch::Merge(&patch);
        let params = PatchParams::default();
        let written =
            tokio::time::timeout(within, self.api.patch_scale("web", &params, &patch)).await.ok()?;
        written.ok()?;
        self.history.record_written(&input.policy, now_ms, spec.replicas?, to);
        Some(())
    }
}

/// One query, as the controller's: the value at now and at the settled time, and the samples behind them.
fn query(now_ms: i64, settled_ms: Option<i64>) -> String {
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let rate = |at: &str| format!("sum(rate(request_total{{deployment=\"web\"}}[30s]{at}))");
    // Looks ahead, so that samples from the future are seen where the own clock is behind.
    let time = "timestamp(request_total{deployment=\"web\"} offset -30s)";
    let mut parts = vec![
        ("now", rate("")),
        ("newest", format!("max by (cluster) ({time})")),
        ("slowest", format!("min by (cluster) ({time} > {})", seconds(now_ms - MAX_AGE_MS))),
    ];
    parts.extend(settled_ms.map(|at_ms| ("at", rate(&format!(" @ {}", seconds(at_ms))))));
    let labelled = |(code, text)| format!("label_replace({text}, \"part\", \"{code}\", \"\", \"\")");
    parts.into_iter().map(labelled).collect::<Vec<String>>().join(" or ")
}

/// Rows of an answer: part, cluster, value.
struct Parts(Vec<(String, String, f64)>);

impl Parts {
    fn of(answer: &Value) -> Option<Self> {
        let text = |row: &Value, label: &str| row["metric"][label].as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| {
            let value = row["value"][1].as_str()?.parse().ok()?;
            Some((text(row, "part"), text(row, "cluster"), value))
        };
        Some(Self(answer["data"]["result"].as_array()?.iter().filter_map(row).collect()))
    }

    fn value(&self, part: &str) -> Option<f64> {
        self.0.iter().find(|(code, ..)| code == part).map(|(_, _, value)| *value)
    }

    fn reading(&self, part: &str) -> Value {
        match self.value(part) {
            Some(value) if value.is_finite() => json!({"value": value.to_string()}),
            Some(_) => json!({"failed": {"kind": "NotANumber", "message": ""}}),
            None => json!({"failed": {"kind": "Empty", "message": ""}}),
        }
    }

    fn clusters(&self) -> Vec<Value> {
        let ms = |seconds: f64| (seconds * 1000.0).round() as i64;
        let slowest = |of: &str| {
            self.0.iter().find(|(code, cluster, _)| code == "slowest" && cluster == of).map(|row| ms(row.2))
        };
        let newest = self.0.iter().filter(|(code, ..)| code == "newest");
        newest
            .map(|(_, cluster, value)| {
                json!({"cluster": cluster, "newestMs": ms(*value), "slowestMs": slowest(cluster)})
            })
            .collect()
    }
}

/// What came of a world.
#[derive(Debug, PartialEq)]
pub(crate) struct Life {
    pub(crate) digest: String,
    pub(crate) events: u64,
    /// Replicas that were wanted, and those that the load asked for, at the end.
    pub(crate) wanted: i32,
    pub(crate) asked: i32,
    /// The fewest and the most that were wanted.
    pub(crate) range: (i32, i32),
    pub(crate) ticks: u32,
    /// When replicas were lowered below what the load had asked for all the time.
    pub(crate) lies_ms: Vec<i64>,
}

pub(crate) fn live(
    seed: u64,
    lasts_ms: i64,
    load: Load,
    faults: Schedule<WorldFault>,
    trust: Trust,
    trace: &Trace,
) -> Life {
    simulations_world::run(async {
        let world = World::begin(setup(seed, load, faults), trace.clone()).unwrap();
        let mut controller = StandIn::new(world.actor(0), trust);
        let mut timer = tokio::time::interval(Duration::from_millis(INTERVAL_MS.unsigned_abs()));
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let (mut range, mut ticks, mut before, mut lies_ms) = ((i32::MAX, 0), 0, 0, Vec::new());
        while world.now_ms() < lasts_ms {
            timer.tick().await;
            controller.tick(&world).await;
            let wanted = wanted(&world);
            range = (range.0.min(wanted), range.1.max(wanted));
            let now = world.now_ms();
            // A tenth is what rates over a window are off by when pods come and go.
            let asked = world.metrics.true_lowest(now - 60_000, now) / TARGET * 0.9;
            // Before there is a window of samples nobody can know better.
            if now > 120_000 && wanted < before && f64::from(wanted) < asked {
                lies_ms.push(now);
            }
            before = wanted;
            ticks += 1;
        }
        world.note(format_args!(
            "replicas {} revision {}",
            wanted(&world),
            world.server(0).unwrap().revision()
        ));
        for object in ["deployments.apps", "replicasets.apps", "pods"]
            .iter()
            .flat_map(|c| world.server(0).unwrap().objects(c))
        {
            world.note(format_args!("{object}"));
        }
        let asked = (world.metrics.true_rate(world.now_ms()) / TARGET).ceil() as i32;
        let life = Life {
            digest: trace.digest(),
            events: trace.count(),
            wanted: wanted(&world),
            asked,
            range,
            ticks,
            lies_ms,
        };
        world.end();
        life
    })
}

fn wanted(world: &World) -> i32 {
    let deployment = world.server(0).unwrap().object("deployments.apps", "default", "web").unwrap();
    i32::try_from(deployment["spec"]["replicas"].as_i64().unwrap()).unwrap()
}

pub(crate) fn busy(seed: u64) -> Load {
    Load::drawn(&mut Streams::new(seed).stream("load"), HOUR_MS, 40.0, 900.0)
}

/// Faults that are over after five sixths of so long.
pub(crate) fn troubled(seed: u64, lasts_ms: i64) -> Schedule<WorldFault> {
    let lasts_ms = lasts_ms.unsigned_abs();
    let bounds = swarm::Bounds {
        begin_ms: 60_000..=lasts_ms * 3 / 4,
        over_ms: lasts_ms * 5 / 6,
        count: 0..=6,
        mean_ms: lasts_ms / 30,
    };
    world::drawn(&Streams::new(seed), Size { clusters: 2, actors: 1 }, &bounds)
}
