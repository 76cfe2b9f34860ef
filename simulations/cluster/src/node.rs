//! The node: binds pending pods to itself and runs each as local process groups on its own 127.A.y.z address.
//!
//! ```text
//!  pod watch ─► bind ─► pod worker ─► volumes, environment
//!                          │            └ container ×N: spawn ─► log file · probes ─► wait ─► back-off ─► …
//!                          └─► status (phase, conditions, containers) ─► API
//! ```
//!
//! The shim against a real node: there is no file system of its own, so `mountPath`s are mapped into a private
//! folder by rewriting them where they stand in arguments and environment (see [`command`]). Images are names
//! of programs. Resource limits, security contexts, lifecycle hooks and host volumes are not provided.

mod addresses;
mod command;
mod container;
mod identity;
mod logfile;
mod pending;
mod pod;
mod probe;
mod running;
mod schedule;
mod settings;
mod spawn;
mod status;
mod times;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource as _, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::json;
use thanos_telemetry::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use addresses::Addresses;
pub(crate) use identity::Identities;
use pending::{Act, Pending};
pub(crate) use running::Running;
use settings::Settings;
use spawn::Spawner;
pub(crate) use status::{ContainerState, Ended, Identity, Phase, pod_status};

use crate::pause::steady_pause;

/// How the node behaves.
#[derive(Debug, Clone)]
pub(crate) struct NodeConfig {
    pub(crate) name: String,
    /// Second octet of every address.
    pub(crate) octet: u8,
    pub(crate) dir: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    /// Where the API server asks who calls: makes each pod a kubeconfig of its own.
    pub(crate) identities: Option<Identities>,
    /// What a command's or an image's name runs.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// First and longest wait before a container is started again.
    pub(crate) restart_backoff: (Duration, Duration),
    /// A log file longer than this is begun anew (the former is kept once).
    pub(crate) log_max_bytes: u64,
    /// Pods that run at once; others wait.
    pub(crate) pods_max: usize,
    /// What places pods at their addresses; `None`: they come as they come.
    pub(crate) seed: Option<u64>,
    /// The program that makes pods' programs die with this process ([`crate::Helper`]).
    pub(crate) helper: Option<PathBuf>,
    /// What every process of a pod carries.
    pub(crate) mark: String,
}

impl NodeConfig {
    fn host_ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 0, 1)
    }

    /// Where container logs are.
    pub(crate) fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }
}

/// The node's end, and how it goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    shutdown: Shutdown,
    /// Labels `app` of pods that have their grace where all others are killed at once; unset: all have.
    spared: Arc<OnceLock<BTreeSet<String>>>,
}

impl End {
    /// Asks everything to end in its grace.
    pub(crate) fn politely(&self) {
        self.shutdown.start();
    }

    /// Kills everything at once, but for pods whose label `app` is one of these.
    pub(crate) fn at_once(&self, spared: BTreeSet<String>) {
        // An end that has begun goes on as it began.
        let _ = self.spared.set(spared);
        self.shutdown.start();
    }

    /// Resolves when it begins.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// How long a pod may take that would have `own` time.
    fn grace(&self, pod: &Pod, own: Duration) -> Duration {
        let app = pod.labels().get("app");
        match self.spared.get() {
            Some(spared) if !app.is_some_and(|app| spared.contains(app)) => Duration::ZERO,
            _ => own.min(NODE_END_GRACE_MAX),
        }
    }
}

/// When the whole node ends, no container has longer.
const NODE_END_GRACE_MAX: Duration = Duration::from_secs(10);

/// Kubernetes forgives a node about four of these.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What every pod worker shares.
struct Shared {
    config: NodeConfig,
    client: Client,
    addresses: Mutex<Addresses>,
    settings: Settings,
    spawner: Spawner,
    running: Arc<Running>,
    /// Log folders of the pods that run.
    logs_in_use: Mutex<BTreeSet<PathBuf>>,
    recorder: Recorder,
}

impl Shared {
    /// Tells of something that happened to a pod, as `kubectl describe` shows it; nobody waits for it.
    fn note(self: &Arc<Self>, pod: &Pod, type_: EventType, reason: &str, note: String) {
        let (shared, about) = (self.clone(), pod.object_ref(&()));
        let event =
            Event { type_, reason: reason.into(), note: Some(note), action: reason.into(), secondary: None };
        tokio::spawn(async move {
            if let Err(error) = shared.recorder.publish(&event, &about).await {
                tracing::debug!(%error, reason = event.reason, "recording an event");
            }
        });
    }
}

/// What a worker is told of its pod.
#[derive(Debug, Clone)]
enum Wanted {
    /// As it stands in the API; it may be being deleted.
    Run(Arc<Pod>),
    /// Its object is gone: nothing is to be waited for.
    Gone,
}

struct Worker {
    wanted: watch::Sender<Wanted>,
}

/// Runs the node until shutdown; then ends all containers in their grace and returns.
pub(crate) async fn run(
    config: NodeConfig,
    client: Client,
    running: Arc<Running>,
    end: End,
) -> anyhow::Result<()> {
    let node = register(&config, &client).await?;
    let mut pending = Pending::default();
    pending.node_is(node);
    let shutdown = end.shutdown();
    let settings = Settings::start(&client, shutdown);
    let spawner = Spawner::start()?;
    let addresses = Mutex::new(Addresses::new(config.octet, config.seed));
    let reporter = Reporter { controller: "node".into(), instance: Some(config.name.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let logs_in_use = Mutex::default();
    let shared = Arc::new(Shared {
        config,
        client: client.clone(),
        addresses,
        settings,
        spawner,
        running,
        logs_in_use,
        recorder,
    });
    let mut workers: HashMap<String, Worker> = HashMap::new();
    let mut tasks: JoinSet<String> = JoinSet::new();
    let itself = watcher::Config::default().fields(&format!("metadata.name={}", shared.config.name));
    let mut nodes = watcher(Api::<NodeObject>::all(client.clone()), itself).backoff(steady_pause()).boxed();
    let mut pods =
        watcher(Api::<Pod>::all(client), watcher::Config::default()).backoff(steady_pause()).boxed();
    let mut listed: Vec<String> = Vec::new();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = shutdown.started() => break,
            _ = heartbeat.tick() => {
                tokio::spawn(beat(shared.clone()));
                continue;
            }
            Some(ended) = tasks.join_next() => {
                if let Ok(uid) = ended { workers.remove(&uid); }
                continue;
            }
            Some(event) = nodes.next() => {
                match event {
                    Ok(watcher::Event::InitApply(node) | watcher::Event::Apply(node)) => pending.node_is(node),
                    Ok(_) => continue,
                    Err(error) => tracing::warn!(%error, "watching the node"),
                }
                act(pending.place(shared.config.pods_max), &shared);
                continue;
            }
            event = pods.next() => event,
        };
        match event {
            Some(Ok(watcher::Event::Init)) => listed.clear(),
            Some(Ok(watcher::Event::InitApply(pod))) => {
                listed.push(pod.uid().unwrap_or_default());
                pending.pod_is(&pod, &shared.config.name);
                see(pod, &shared, &mut workers, &mut tasks, &end);
                // Placed when all are known: those that are here count first.
                continue;
            }
            Some(Ok(watcher::Event::InitDone)) => {
                pending.listed(&listed.iter().map(String::as_str).collect());
                for (uid, worker) in &workers {
                    if !listed.contains(uid) {
                        worker.wanted.send_replace(Wanted::Gone);
                    }
                }
            }
            Some(Ok(watcher::Event::Apply(pod))) => {
                pending.pod_is(&pod, &shared.config.name);
                see(pod, &shared, &mut workers, &mut tasks, &end);
            }
            Some(Ok(watcher::Event::Delete(pod))) => {
                pending.pod_went(&pod.uid().unwrap_or_default());
                shared.running.pod_went(&pod.namespace().unwrap_or_default(), &pod.name_any());
                if let Some(worker) = workers.get(&pod.uid().unwrap_or_default()) {
                    worker.wanted.send_replace(Wanted::Gone);
                }
            }
            Some(Err(error)) => tracing::warn!(%error, "watching pods"),
            None => break,
        }
        act(pending.place(shared.config.pods_max), &shared);
    }
    while tasks.join_next().await.is_some() {}
    shared.running.swept().await;
    Ok(())
}

fn see(
    pod: Pod,
    shared: &Arc<Shared>,
    workers: &mut HashMap<String, Worker>,
    tasks: &mut JoinSet<String>,
    end: &End,
) {
    let uid = pod.uid().unwrap_or_default();
    shared.running.pod_came(&pod.namespace().unwrap_or_default(), &pod.name_any());
    let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
    if node != shared.config.name {
        return;
    }
    if let Some(worker) = workers.get(&uid) {
        worker.wanted.send_replace(Wanted::Run(Arc::new(pod)));
        return;
    }
    let pod = Arc::new(pod);
    let (wanted, told) = watch::channel(Wanted::Run(pod.clone()));
    workers.insert(uid.clone(), Worker { wanted });
    let (shared, end) = (shared.clone(), end.clone());
    tasks.spawn(async move {
        pod::run(shared, pod, told, end).await;
        uid
    });
}

/// Does what was decided about those that wait.
fn act(acts: Vec<Act>, shared: &Arc<Shared>) {
    for act in acts {
        match act {
            Act::Bind(pod) => tokio::spawn(bind(shared.clone(), pod)),
            Act::Tell { pod, reason, message } => {
                tokio::spawn(pending::tell(shared.clone(), pod, reason, message))
            }
        };
    }
}

/// There is one node: scheduling is saying so.
async fn bind(shared: Arc<Shared>, pod: Pod) {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": shared.config.name}});
    let api: Api<Pod> = Api::namespaced(shared.client.clone(), &namespace);
    let result: kube::Result<k8s_openapi::apimachinery::pkg::apis::meta::v1::Status> =
        api.create_subresource("binding", &name, &Default::default(), &body).await;
    if let Err(error) = result {
        // Gone or bound meanwhile: the watch will tell.
        tracing::debug!(%error, namespace, name, "binding");
    }
}

/// Says that the node is there. Without it a real cluster holds the node for lost, and its pods with it.
async fn beat(shared: Arc<Shared>) {
    let api: Api<NodeObject> = Api::all(shared.client.clone());
    let patch = json!({"status": {"conditions": [ready_condition()]}});
    let params = PatchParams { field_manager: Some("node".into()), ..PatchParams::default() };
    if let Err(error) = api.patch_status(&shared.config.name, &params, &Patch::Strategic(&patch)).await {
        tracing::debug!(%error, node = shared.config.name, "heartbeat");
    }
}

fn ready_condition() -> serde_json::Value {
    json!({"type": "Ready", "status": "True", "reason": "NodeReady", "message": "processes can be run",
        "lastHeartbeatTime": status::time_now()})
}

async fn register(config: &NodeConfig, client: &Client) -> anyhow::Result<NodeObject> {
    let mut condition = ready_condition();
    condition["lastTransitionTime"] = condition["lastHeartbeatTime"].clone();
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": config.name, "labels": {"kubernetes.io/hostname": config.name, "kubernetes.io/os": "linux"}},
        "spec": {},
    });
    let state = json!({
        "apiVersion": "v1", "kind": "Node",
        "status": {
            "addresses": [{"type": "InternalIP", "address": config.host_ip().to_string()}],
            "nodeInfo": {"architecture": std::env::consts::ARCH, "bootID": "", "containerRuntimeVersion": "process://1",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": concat!("v1.35.4+gauntlet-", env!("CARGO_PKG_VERSION")),
                "machineID": "", "operatingSystem": "linux", "osImage": "local processes", "systemUUID": ""},
            "conditions": [condition],
            "capacity": {"pods": config.pods_max.to_string()},
            "allocatable": {"pods": config.pods_max.to_string()},
        },
    });
    let api: Api<NodeObject> = Api::all(client.clone());
    let params = PatchParams::apply("node").force();
    api.patch(&config.name, &params, &Patch::Apply(&node)).await?;
    Ok(api.patch_status(&config.name, &params, &Patch::Apply(&state)).await?)
}
