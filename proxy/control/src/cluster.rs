//! Keeps the index like the cluster: lists, watches, and keeps the last known state while the API server is away.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use futures::stream::{self, BoxStream, StreamExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

use crate::index::Index;
use crate::metrics::Metrics;
use crate::objects::{EndpointSlice, Pod, Service};
use crate::pause::Pauses;
use crate::slice::WRITTEN_BY_OTHERS;

/// Objects in one answer to a list: what is held at once before it is made small.
const PAGE: u32 = 500;
/// Events between two looks at what they changed.
const BATCH_MAX: usize = 1024;
/// After telling streams, so much is waited for each, a multiple of what one costs, and a multiple of the time that
/// working it out took: a change on a quiet system is told at once, and under load changes gather, so that telling
/// takes a fraction of a core whatever happens.
const PAUSE_A_STREAM: Duration = Duration::from_micros(100);
const PAUSE_FOR_WORK: u32 = 4;
/// Below the second in which a change is promised to be told.
const PAUSE_LONGEST: Duration = Duration::from_millis(250);
/// What is not served, or not allowed, may be one day.
const ABSENT_PAUSE: Duration = Duration::from_secs(30);

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

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pods,
    Services,
    Slices,
}

/// What one of the watches says.
enum Change {
    Pod(Event<Pod>),
    Service(Event<Service>),
    Slice(Event<EndpointSlice>),
    Failed(Kind, watcher::Error),
}

impl Change {
    fn kind(&self) -> Kind {
        match self {
            Self::Pod(_) => Kind::Pods,
            Self::Service(_) => Kind::Services,
            Self::Slice(_) => Kind::Slices,
            Self::Failed(kind, _) => *kind,
        }
    }

    /// Whether a list has become whole.
    fn is_list(&self) -> bool {
        matches!(
            self,
            Self::Pod(Event::InitDone) | Self::Service(Event::InitDone) | Self::Slice(Event::InitDone)
        )
    }

    /// Whether it only says that a list is asked for.
    fn is_intention(&self) -> bool {
        matches!(self, Self::Pod(Event::Init) | Self::Service(Event::Init) | Self::Slice(Event::Init))
    }
}

/// Fills the index for as long as it is polled.
pub async fn fill(client: Client, index: Arc<Index>, metrics: Metrics) {
    let config = || watcher::Config::default().page_size(PAGE);
    let pods = watcher::watcher(Api::<Pod>::all(client.clone()), config());
    let services = watcher::watcher(Api::<Service>::all(client.clone()), config());
    let slices = watcher::watcher(Api::<EndpointSlice>::all(client), config().labels(WRITTEN_BY_OTHERS));
    let changes = stream::select_all([
        patient(pods, Kind::Pods, Change::Pod),
        patient(services, Kind::Services, Change::Service),
        patient(slices, Kind::Slices, Change::Slice),
    ]);
    let mut changes = pin!(changes);
    let mut watches = Watches::default();
    let mut rested = tokio::time::Instant::now();
    while let Some(first) = changes.next().await {
        let mut next = Some(first);
        // What comes until we have rested belongs to one batch. Then nothing is waited for, because a pod that leaves
        // must be out of every proxy at once.
        let mut taken = 0;
        while let Some(change) = next.take() {
            watches.note(&change, &metrics);
            match change {
                Change::Pod(event) => index.pod(event),
                Change::Service(event) => index.service(event),
                Change::Slice(event) => index.slice(event),
                Change::Failed(..) => {}
            }
            taken += 1;
            if taken < BATCH_MAX {
                next = tokio::time::timeout_at(rested, changes.next()).await.ok().flatten();
            }
        }
        metrics.api_server_up.set(i64::from(watches.away.is_empty()));
        if watches.become_listed() {
            index.set_listed();
        }
        let begun = Instant::now();
        let told = index.publish();
        rested = tokio::time::Instant::now() + rest(told, begun.elapsed());
        tokio::task::yield_now().await;
    }
}

/// How long changes gather after some were told.
fn rest(told: usize, worked: Duration) -> Duration {
    let told = u32::try_from(told).unwrap_or(u32::MAX);
    let rest = PAUSE_A_STREAM.saturating_mul(told).saturating_add(worked * PAUSE_FOR_WORK).min(PAUSE_LONGEST);
    // The timer's steps are a millisecond.
    if rest < Duration::from_millis(1) { Duration::ZERO } else { rest }
}

/// How the watches do.
#[derive(Default)]
struct Watches {
    listed: Vec<Kind>,
    away: Vec<Kind>,
    ready: bool,
}

impl Watches {
    fn note(&mut self, change: &Change, metrics: &Metrics) {
        let kind = change.kind();
        match change {
            Change::Failed(kind, error) if is_absent(*kind, error) => {
                if self.list(*kind) {
                    tracing::warn!(%error, "no EndpointSlices: services without selector have no endpoints");
                }
                self.away.retain(|k| k != kind);
            }
            Change::Failed(kind, error) => {
                metrics.watch_errors.inc();
                if !self.away.contains(kind) {
                    self.away.push(*kind);
                    tracing::warn!(%error, ?kind, "API server is away, the last known endpoints stay");
                }
            }
            change if change.is_intention() => {}
            change => {
                if self.away.contains(&kind) {
                    self.away.retain(|k| *k != kind);
                    tracing::info!(?kind, "API server answers again");
                }
                if change.is_list() {
                    self.list(kind);
                }
            }
        }
    }

    /// Returns whether it is the first time.
    fn list(&mut self, kind: Kind) -> bool {
        let first = !self.listed.contains(&kind);
        if first {
            self.listed.push(kind);
        }
        first
    }

    /// Whether everything has just been listed for the first time.
    fn become_listed(&mut self) -> bool {
        self.listed.len() == 3 && !std::mem::replace(&mut self.ready, self.listed.len() == 3)
    }
}

/// Whether the API server says that there are no slices for us: too old, too small, or an older role. Everything
/// else goes on without them.
fn is_absent(kind: Kind, error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else { return false };
    kind == Kind::Slices && matches!(status.code, 403 | 404)
}

/// The stream, with a pause after each failure.
fn patient<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    kind: Kind,
    change: fn(Event<K>) -> Change,
) -> BoxStream<'static, Change> {
    let start = (events.boxed(), Pauses::default(), Instant::now(), None);
    stream::unfold(start, move |(mut events, mut pauses, start, pause)| async move {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let (said, pause) = match events.next().await? {
            Ok(event) => (change(event), None),
            Err(error) if is_absent(kind, &error) => (Change::Failed(kind, error), Some(ABSENT_PAUSE)),
            Err(error) => (Change::Failed(kind, error), Some(pauses.failed(start.elapsed()))),
        };
        Some((said, (events, pauses, start, pause)))
    })
    .boxed()
}
