//! Keeps the index's stores like the cluster: lists, watches, and keeps the last known state while the API server
//! is away.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{FutureExt, Stream, StreamExt, stream};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};

use crate::index::Index;
use crate::metrics::Metrics;
use crate::objects::{Pod, Service};

/// Pauses while the API server is away; kube's own go up to 30 s, in which pods come and go.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// Reads the client's configuration; asks the API server nothing yet.
///
/// # Errors
/// One line: there is no such configuration, or it is wrong.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, String> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    let config = match (kubeconfig, context) {
        (Some(path), _) => {
            let wrong = |e| format!("--kubeconfig {}: {e}", path.display());
            let file = Kubeconfig::read_from(path).map_err(wrong)?;
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(wrong)?
        }
        (None, Some(_)) => {
            kube::Config::from_kubeconfig(&options).await.map_err(|e| format!("--context: {e}"))?
        }
        (None, None) => kube::Config::infer()
            .await
            .map_err(|e| format!("no cluster to watch; set KUBECONFIG or --kubeconfig: {e}"))?,
    };
    Client::try_from(config).map_err(|e| e.to_string())
}

/// What happened to one of the stores.
enum Change {
    Store,
    Listed,
    Away(String),
}

/// The stores and the stream of changes that fills them.
pub struct Watches {
    /// All services.
    pub services: Store<Service>,
    /// All pods.
    pub pods: Store<Pod>,
    changes: stream::BoxStream<'static, Change>,
}

impl Watches {
    /// Prepares to watch a cluster; nothing is asked until [`fill`](Self::fill) runs.
    pub fn new(client: &Client) -> Self {
        let (services, service_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let config = watcher::Config::default;
        let service_events =
            watch(Api::<Service>::all(client.clone()), config()).backoff(pauses()).modify(forget_writers);
        let pod_events =
            watch(Api::<Pod>::all(client.clone()), config()).backoff(pauses()).modify(forget_writers);
        let (service_events, pod_events) =
            (service_events.reflect(service_writer), pod_events.reflect(pod_writer));
        let changes = stream::select(changes(service_events), changes(pod_events)).boxed();
        Self { services, pods, changes }
    }

    /// Fills the stores for as long as it is polled.
    pub async fn fill(self, index: Arc<Index>, metrics: Metrics) {
        let mut changes = pin!(self.changes);
        let mut lists_missing = 2;
        let mut away = false;
        while let Some(first) = changes.next().await {
            let mut next = Some(first);
            // What is there already belongs to one refresh; nothing is waited for, because a pod that leaves
            // must be out of every proxy at once.
            while let Some(change) = next {
                if let Change::Away(error) = &change {
                    metrics.watch_errors.inc();
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(error, "API server is away, the last known endpoints stay");
                    }
                } else if std::mem::take(&mut away) {
                    tracing::info!("API server answers again");
                }
                if matches!(change, Change::Listed) && lists_missing > 0 {
                    lists_missing -= 1;
                    if lists_missing == 0 {
                        index.set_listed();
                    }
                }
                next = changes.next().now_or_never().flatten();
            }
            metrics.api_server_up.set(i64::from(!away));
            index.refresh();
        }
    }
}

fn changes<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
) -> impl Stream<Item = Change> + Send {
    // The first list of each kind counts; later ones are changes like any other.
    let mut listed = false;
    events.map(move |event| match event {
        Ok(Event::InitDone) if !std::mem::replace(&mut listed, true) => Change::Listed,
        Ok(_) => Change::Store,
        Err(error) => Change::Away(error.to_string()),
    })
}

/// Who wrote which field is often half of an object, and says nothing about endpoints.
fn forget_writers(object: &mut impl Resource) {
    object.meta_mut().managed_fields = None;
}

/// Doubling pauses, started over by every success.
fn pauses() -> watcher::ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_FIRST).with_max_delay(PAUSE_LONGEST);
    pauses.without_max_times().into()
}
