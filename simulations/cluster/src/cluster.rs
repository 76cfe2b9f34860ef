//! One embedded cluster, started and stopped as a whole.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use jiff::Timestamp;
use kube::api::{Api as KubeApi, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config, ResourceExt as _, discovery};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use simulations_kernel::Clock;
use simulations_kernel::hash::hash;
use thanos_telemetry::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::kubeconfig::write_kubeconfig;
use crate::node::{self, End, Identities, NodeConfig, Running};
use crate::octet::find_octet;
use crate::server::ApiServer;
use crate::workloads;

/// Where DNS is expected: not at 53, which is for root, nor at 5353, which multicast DNS wants on all addresses.
const DNS_PORT: u16 = 10053;
/// The API and the controllers end within this time, or are left.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Its name: of its context, of its node, and the default of its domain.
    pub name: String,
    /// Folder of everything it writes: logs, pods' files, claims, its kubeconfig.
    pub dir: PathBuf,
    /// What a container's `command[0]`, or else its image's name, runs.
    pub programs: BTreeMap<String, PathBuf>,
    /// DNS domain; `NAME.local` by [`ClusterConfig::new`].
    pub domain: String,
    /// Second octet of its addresses: the first that is free from here on.
    pub octet_from: u8,
    /// First and longest wait before a container is started again (Kubernetes: 10 s, 5 min).
    pub restart_backoff: (Duration, Duration),
    /// A container's log file is begun anew beyond this (the former is kept once).
    pub log_max_bytes: u64,
    /// Pods that run at once; others wait, as `Unschedulable`. A kubelet takes 110 by default, this 250: whole fleets
    /// are on one node here.
    pub pods_max: usize,
    /// Where everything drawn begins: with the same seed and name, the same pods get the same names, uids and
    /// addresses. `None`: others each time.
    pub seed: Option<u64>,
    /// A program that has [`crate::Helper`]'s commands under `node`: it makes programs of pods, and what these
    /// start, end with this process, however that ends. By default the one that is named `gauntlet`.
    pub helper: Option<PathBuf>,
}

impl ClusterConfig {
    /// A configuration with defaults.
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self {
            domain: format!("{name}.local"),
            name,
            dir: dir.into(),
            programs: BTreeMap::new(),
            octet_from: 64,
            restart_backoff: (Duration::from_millis(500), Duration::from_secs(10)),
            log_max_bytes: 1 << 20,
            pods_max: 250,
            seed: None,
            helper: None,
        }
    }

    /// Adds a program under a name that pods may use as `command[0]` or image.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.programs.insert(name.into(), path.into());
        self
    }
}

/// A running cluster. Dropped without [`Cluster::stop`], it kills its processes.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    octet: u8,
    api_addr: SocketAddr,
    api_url: String,
    client: Client2,
    running: Arc<Running>,
    end: End,
    /// `None`: it has ended.
    node: Option<JoinHandle<()>>,
    plane: Option<Plane>,
    /// Its folder is its own as long as this is open.
    _folder: File,
}

/// Who serves the API and runs the workload controllers.
#[derive(Debug)]
enum Plane {
    Own {
        end: Shutdown,
        workloads: JoinHandle<()>,
        api: JoinHandle<anyhow::Result<()>>,
    },
    /// Somebody else; the listener keeps our addresses ours.
    Foreign {
        _claim: TcpListener,
    },
}

/// kube's client has no `Debug`.
#[derive(Clone)]
struct Client2(Client);

impl std::fmt::Debug for Client2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Cluster {
    /// Starts the API server at the first free `127.A.0.1` ([`find_octet`]), the controllers and the node.
    ///
    /// # Errors
    /// No second octet is free, or the folder cannot be written or is another cluster's.
    pub async fn start(mut config: ClusterConfig) -> anyhow::Result<Self> {
        let folder = take_folder(&mut config)?;
        let (octet, listener) = find_octet(config.octet_from).await?;
        let api_addr = listener.local_addr()?;
        let url = format!("http://{api_addr}");
        let clock = Clock::system();
        let now = clock.now();
        // Revisions go on from where an earlier life of this cluster could have come to: a client of that life
        // lists again.
        let revision = u64::try_from(now.as_millisecond()).unwrap_or(1);
        let drawn = u64::try_from(now.as_nanosecond().unsigned_abs() & u128::from(u64::MAX)).unwrap_or(0);
        let seed = hash(config.seed.unwrap_or(drawn), [&*config.name]);
        let node_config = node_config(&config, octet, None);
        write_kubeconfig(&node_config.kubeconfig, &[(&config.name, &url)], &config.name)
            .with_context(|| format!("cannot write {}", node_config.kubeconfig.display()))?;
        let (end, api_end) = (End::default(), Shutdown::new());
        let server = ApiServer::with_logs(seed, revision, clock, node_config.logs_dir(), api_end.clone());
        let router = Router::new().fallback_service(server.service());
        let api = tokio::spawn(thanos_telemetry::admin::serve(listener, router, api_end.clone()));
        let client = client(&url)?;
        let (running, node) = start_node(node_config, &client, &end)?;
        let workloads = tokio::spawn(workloads::run(client.clone(), end.shutdown().clone()));
        let plane = Some(Plane::Own { end: api_end, workloads, api });
        let (api_url, client, node) = (url, Client2(client), Some(node));
        Ok(Self { config, octet, api_addr, api_url, client, running, end, node, plane, _folder: folder })
    }

    /// Adds a node to a cluster that is there already, whose current context in `kubeconfig` may do everything:
    /// its pods are local processes as ever, each with a kubeconfig of its own that acts as its service account.
    /// Workload controllers are that cluster's own.
    ///
    /// # Errors
    /// The kubeconfig cannot be read, the API server does not answer, no second octet is free, or the folder is
    /// another cluster's.
    pub async fn attach(mut config: ClusterConfig, kubeconfig: &Path) -> anyhow::Result<Self> {
        let folder = take_folder(&mut config)?;
        let identities = Identities::read(kubeconfig)?;
        let file = Kubeconfig::read_from(kubeconfig).context("the kubeconfig")?;
        let connection = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let api_url = connection.cluster_url.to_string();
        let client = Client::try_from(connection).context("a client of the API server")?;
        let (octet, claim) = find_octet(config.octet_from).await?;
        copy_unless_there(kubeconfig, &config.dir.join("kubeconfig")).context("the kubeconfig")?;
        let api_addr = claim.local_addr()?;
        let end = End::default();
        let (running, node) = start_node(node_config(&config, octet, Some(identities)), &client, &end)?;
        let (client, node, plane) = (Client2(client), Some(node), Some(Plane::Foreign { _claim: claim }));
        Ok(Self { config, octet, api_addr, api_url, client, running, end, node, plane, _folder: folder })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its DNS domain, such as `east.local`.
    pub fn domain(&self) -> &str {
        &self.config.domain
    }

    /// Whether somebody else serves its API.
    pub fn is_attached(&self) -> bool {
        matches!(self.plane, Some(Plane::Foreign { .. }))
    }

    /// Address of its own API server.
    pub fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// URL of its API server.
    pub fn api_url(&self) -> String {
        self.api_url.clone()
    }

    /// Where its DNS server is expected: `127.A.0.10:10053`. The address is the cluster's own; serving there, or at
    /// another port of it, is [`crate::Dns::serve`]'s.
    pub fn dns_addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, self.octet, 0, 10), DNS_PORT))
    }

    /// A client of its API server.
    pub fn client(&self) -> Client {
        self.client.0.clone()
    }

    /// The file that `KUBECONFIG` names in its containers; at first it knows this cluster alone.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.config.dir.join("kubeconfig")
    }

    /// Folder of container logs: `NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`.
    pub fn logs_dir(&self) -> PathBuf {
        self.config.dir.join("logs")
    }

    /// Applies a multi-document YAML, server-side, as field manager `gauntlet`; what it names without a namespace
    /// goes to `default`. Applying again changes only what changed.
    ///
    /// # Errors
    /// A document that cannot be read or that the API refuses, by kind and name. Earlier documents stay applied.
    pub async fn apply_yaml(&self, yaml: &str) -> anyhow::Result<()> {
        self.apply_yaml_in("default", yaml).await
    }

    /// As [`Cluster::apply_yaml`]; what the YAML names without a namespace goes to the given one.
    ///
    /// # Errors
    /// As [`Cluster::apply_yaml`].
    pub async fn apply_yaml_in(&self, namespace: &str, yaml: &str) -> anyhow::Result<()> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(yaml).context("the manifests are not valid YAML")?;
        for document in documents.into_iter().filter(|d| !d.is_null()) {
            self.apply(namespace, document).await?;
        }
        Ok(())
    }

    async fn apply(&self, namespace: &str, document: Value) -> anyhow::Result<()> {
        let object: DynamicObject =
            serde_json::from_value(document).context("a manifest lacks apiVersion, kind or metadata")?;
        let types = object.types.clone().context("a manifest lacks apiVersion or kind")?;
        let title = format!("{} {}", types.kind, object.name_any());
        let kind = GroupVersionKind::try_from(&types).with_context(|| title.clone())?;
        let (resource, capabilities) =
            discovery::pinned_kind(&self.client.0, &kind).await.with_context(|| {
                format!("{title}: the cluster does not serve {}/{}", types.api_version, types.kind)
            })?;
        let api: KubeApi<DynamicObject> = match capabilities.scope {
            discovery::Scope::Cluster => KubeApi::all_with(self.client(), &resource),
            discovery::Scope::Namespaced => {
                let namespace = object.namespace().unwrap_or_else(|| namespace.into());
                KubeApi::namespaced_with(self.client(), &namespace, &resource)
            }
        };
        api.patch(&object.name_any(), &PatchParams::apply("gauntlet").force(), &Patch::Apply(&object))
            .await
            .with_context(|| title.clone())?;
        Ok(())
    }

    /// A container's processes as they run now.
    ///
    /// # Errors
    /// It does not run now.
    pub fn process(&self, namespace: &str, pod: &str, container: &str) -> anyhow::Result<Process> {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let group = self.running.group(&key).with_context(|| {
            format!("container {namespace}/{pod}/{container} does not run in cluster {}", self.config.name)
        })?;
        Ok(Process { running: Arc::downgrade(&self.running), key, group })
    }

    /// Names of a namespace's pods in which a container of this name runs now, in the order in which the pods were
    /// created.
    pub fn running(&self, namespace: &str, container: &str) -> Vec<String> {
        self.running.pods(namespace, container)
    }

    /// Ends everything: SIGTERM to all containers, SIGKILL to those that stay beyond their grace (at most 10 s).
    pub async fn stop(mut self) {
        self.end.politely();
        self.ended().await;
    }

    /// Ends everything as if the power went: SIGKILL to all containers at once. Only pods whose label `app` is one
    /// of `spared` end as with [`Cluster::stop`].
    pub async fn stop_at_once(mut self, spared: &[&str]) {
        self.end.at_once(spared.iter().map(|app| (*app).to_owned()).collect());
        self.ended().await;
    }

    async fn ended(&mut self) {
        if let Some(node) = &mut self.node
            && let Err(error) = node.await
        {
            tracing::error!(%error, cluster = self.config.name, "the node failed");
        }
        self.node = None;
        if let Some(Plane::Own { end, workloads, api }) = &mut self.plane {
            let _ = tokio::time::timeout(STOP_TIMEOUT, workloads).await;
            end.start();
            let _ = tokio::time::timeout(STOP_TIMEOUT, api).await;
        }
        self.plane = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Those that were waited for have ended; all others end now.
        if let Some(node) = self.node.take() {
            self.running.close();
            self.end.at_once(Default::default());
            node.abort();
        }
        if let Some(Plane::Own { end, workloads, api }) = self.plane.take() {
            end.start();
            workloads.abort();
            api.abort();
        }
    }
}

/// Makes the folder and takes it: two clusters in one would write each other's kubeconfig and volumes. What an
/// earlier life left of its pods goes; claims stay.
fn take_folder(config: &mut ClusterConfig) -> anyhow::Result<File> {
    let folder = || format!("cannot use folder {}", config.dir.display());
    std::fs::create_dir_all(&config.dir).with_context(folder)?;
    // Containers run elsewhere: what they are told must not depend on where we are.
    let dir = config.dir.canonicalize().with_context(folder)?;
    let file = File::create(dir.join(".lock")).with_context(folder)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => bail!(
            "folder {} is in use by another cluster: give this one another (--dir), or stop that one",
            config.dir.display()
        ),
        // A file system without locks: nobody is kept out.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    let _ = std::fs::remove_dir_all(dir.join("pods"));
    config.dir = dir;
    Ok(file)
}

/// Copies a file; one that is itself what it would be copied to is left as it is, where a copy would empty it.
fn copy_unless_there(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.canonicalize().is_ok_and(|to| from.canonicalize().is_ok_and(|from| from == to)) {
        return Ok(());
    }
    let content = std::fs::read(from)?;
    std::fs::write(to, content)
}

fn start_node(
    config: NodeConfig,
    client: &Client,
    end: &End,
) -> anyhow::Result<(Arc<Running>, JoinHandle<()>)> {
    let running = Arc::new(Running::default());
    let helper = config.helper.as_deref();
    running
        .watch_over(helper, &config.mark)
        .with_context(|| format!("cannot start {}", helper.unwrap_or(Path::new("")).display()))?;
    let node = node::run(config, client.clone(), running.clone(), end.clone());
    let node = tokio::spawn(async move {
        if let Err(error) = node.await {
            tracing::error!("the node failed: {error:#}");
        }
    });
    Ok((running, node))
}

/// A container's processes. When the container is started again, that is others.
#[derive(Debug, Clone)]
pub struct Process {
    running: Weak<Running>,
    key: (String, String, String),
    group: Pid,
}

impl Process {
    /// Signals them; false if they have ended.
    pub fn signal(&self, signal: Signal) -> bool {
        self.running.upgrade().is_some_and(|running| running.signal(&self.key, self.group, signal))
    }
}

fn node_config(config: &ClusterConfig, octet: u8, identities: Option<Identities>) -> NodeConfig {
    NodeConfig {
        name: config.name.clone(),
        octet,
        dir: config.dir.clone(),
        kubeconfig: config.dir.join("kubeconfig"),
        identities,
        programs: config.programs.clone(),
        restart_backoff: config.restart_backoff,
        log_max_bytes: config.log_max_bytes,
        pods_max: config.pods_max,
        seed: config.seed.map(|seed| hash(seed, [&*config.name])),
        helper: config.helper.clone().or_else(|| config.programs.get("gauntlet").cloned()),
        // Of no other cluster on this machine, nor of an earlier one.
        mark: format!("{}-{octet}-{:x}", std::process::id(), Timestamp::now().as_nanosecond()),
    }
}

fn client(url: &str) -> anyhow::Result<Client> {
    let config = Config::new(url.parse().context("the API server's URL")?);
    Client::try_from(config).context("a client of the embedded API server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_copied_onto_itself_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "text").unwrap();
        std::os::unix::fs::symlink(path("a"), path("b")).unwrap();
        std::fs::hard_link(path("a"), path("c")).unwrap();
        for (from, to) in [("a", "a"), ("b", "a"), ("a", "b"), ("c", "a"), ("a", "d")] {
            copy_unless_there(&path(from), &path(to)).unwrap();
            assert_eq!(std::fs::read_to_string(path(to)).unwrap(), "text", "{from} to {to}");
        }
    }
}
