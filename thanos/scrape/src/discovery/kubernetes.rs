//! `kubernetes_sd_configs`, role `pod`: watches pods, publishes their targets.

use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{StreamExt, stream};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

use super::{Groups, Pod, pod_targets};
use crate::config::KubernetesSdConfig;

/// Changes that come together are published together.
const SETTLE: Duration = Duration::from_millis(50);
/// Pauses while the API server is away; the longest is how late a new pod can be seen after it returns. kube's
/// own go up to 30 s.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// A client and where it looks.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    /// `None`: everywhere.
    namespaces: Vec<Option<String>>,
}

/// Reads the client's configuration; asks the API server nothing yet.
///
/// # Errors
/// One line: there is no such configuration, or it is wrong.
pub async fn connect(config: &KubernetesSdConfig) -> Result<Connection, String> {
    let found = match &config.kubeconfig_file {
        Some(path) => {
            let wrong = |e| format!("kubeconfig_file {}: {e}", path.display());
            let file = Kubeconfig::read_from(path).map_err(wrong)?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(wrong)?
        }
        None => kube::Config::infer().await.map_err(|e| {
            format!("kubernetes_sd_configs: no cluster to ask; set KUBECONFIG or kubeconfig_file: {e}")
        })?,
    };
    let mut namespaces: Vec<_> = config.namespaces.names.iter().cloned().map(Some).collect();
    if config.namespaces.own_namespace {
        namespaces.push(Some(found.default_namespace.clone()));
    }
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    namespaces.sort();
    namespaces.dedup();
    let client = Client::try_from(found).map_err(|e| format!("kubernetes_sd_configs: {e}"))?;
    Ok(Connection { client, namespaces })
}

pub(super) async fn run(config: KubernetesSdConfig, connection: Connection, sender: watch::Sender<Groups>) {
    let mut stores: Vec<Store<Pod>> = Vec::new();
    let mut events = stream::SelectAll::new();
    for namespace in &connection.namespaces {
        let api: Api<Pod> = match namespace {
            Some(namespace) => Api::namespaced(connection.client.clone(), namespace),
            None => Api::all(connection.client.clone()),
        };
        let (store, writer) = reflector::store();
        stores.push(store);
        let pods = watcher(api, selection(&config)).backoff(pauses()).modify(forget_writers).reflect(writer);
        events.push(pods.boxed());
    }
    let mut failing = false;
    let mut listed = 0;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("kubernetes discovery: API server answers again");
                }
                listed += usize::from(listed < stores.len() && matches!(event, watcher::Event::InitDone));
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "kubernetes discovery: API server is away, known targets stay");
                }
                continue;
            }
        }
        // What else comes within a moment belongs to the same change.
        let deadline = tokio::time::Instant::now() + SETTLE;
        while let Ok(Some(event)) = tokio::time::timeout_at(deadline, events.next()).await {
            listed += usize::from(listed < stores.len() && matches!(event, Ok(watcher::Event::InitDone)));
        }
        if listed == stores.len() {
            publish(&stores, &sender);
        }
    }
}

/// Who wrote which field is often half of an object, and says nothing about targets.
fn forget_writers(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
}

fn selection(config: &KubernetesSdConfig) -> watcher::Config {
    let mut out = watcher::Config::default();
    for selector in &config.selectors {
        if let Some(label) = &selector.label {
            out = out.labels(label);
        }
        if let Some(field) = &selector.field {
            out = out.fields(field);
        }
    }
    out
}

fn publish(stores: &[Store<Pod>], sender: &watch::Sender<Groups>) {
    let mut pods: Vec<Arc<Pod>> = stores.iter().flat_map(Store::state).collect();
    pods.sort_by(|a, b| {
        (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name))
    });
    let groups: Vec<_> = pods.iter().filter_map(|p| pod_targets(p)).collect();
    sender.send_if_modified(|now| {
        let changed = now.as_deref() != Some(&groups);
        if changed {
            *now = Some(Arc::new(groups));
        }
        changed
    });
}

/// Doubling pauses, started over by every success.
fn pauses() -> watcher::ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_FIRST).with_max_delay(PAUSE_LONGEST);
    pauses.without_max_times().into()
}
