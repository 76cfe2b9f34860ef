//! Keeps the [`Registry`] true: resolves names, asks every store for its Info, and publishes a [`View`] that
//! queries read without a lock.

mod tasks;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use thanos_model::{Matcher, TimestampMs};
use thanos_telemetry::{RunError, Shutdown};
use tokio::sync::{Notify, watch};
use tonic::transport::Channel;

use crate::dial;
use crate::discovery::{self, Found};
use crate::dns::Dns;
use crate::endpoint::{EndpointSpec, HostPort, Info};
use crate::registry::{Entry, Keep, Registry, Source};

pub(crate) use tasks::status_text;
use tasks::{Named, watch_store};

const PENDING: &str = "has not finished yet";

/// How stores are found and watched.
#[derive(Clone, Debug)]
pub struct Config {
    /// Stores by address or name.
    pub endpoints: Vec<EndpointSpec>,
    /// Prometheus `file_sd` files that list more.
    pub sd_files: Vec<PathBuf>,
    /// How often files are read again.
    pub sd_file_interval: Duration,
    /// How often names are resolved again.
    pub sd_dns_interval: Duration,
    /// DNS server; `None`: the system's.
    pub dns_server: Option<SocketAddr>,
    /// How often every store is asked for its Info.
    pub info_interval: Duration,
    /// Deadline of one Info request.
    pub info_timeout: Duration,
    /// How long a store that crashed and left discovery stays expected.
    pub forget_after: Duration,
    /// The same for one that left politely.
    pub departed_after: Duration,
    /// Largest gRPC message accepted from a store, bytes.
    pub max_message_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            sd_files: Vec::new(),
            sd_file_interval: Duration::from_secs(5),
            sd_dns_interval: Duration::from_secs(5),
            dns_server: None,
            info_interval: Duration::from_secs(5),
            info_timeout: Duration::from_secs(5),
            forget_after: Duration::from_secs(900),
            departed_after: Duration::ZERO,
            max_message_bytes: 64 << 20,
        }
    }
}

/// One store as a query sees it.
#[derive(Clone, Debug)]
pub(crate) struct StoreView {
    /// Its name for people: key, address, labels.
    pub(crate) name: String,
    pub(crate) info: Option<Info>,
    /// Why it cannot be asked.
    pub(crate) problem: Option<String>,
    pub(crate) channel: Channel,
}

impl StoreView {
    /// A store that never said what it holds may hold anything.
    pub(crate) fn may_hold(&self, matchers: &[Matcher], start_ms: TimestampMs, end_ms: TimestampMs) -> bool {
        self.info.as_ref().is_none_or(|i| i.may_hold(matchers, start_ms, end_ms))
    }
}

/// All expected stores at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) stores: Vec<StoreView>,
    /// Discovery that failed, one sentence each.
    pub(crate) discovery: Vec<String>,
}

/// A line of `/api/v1/stores`.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreStatus {
    /// Name in discovery.
    pub name: String,
    /// Address that is dialled.
    pub address: String,
    /// Last Info request, milliseconds since the epoch.
    pub last_check_ms: Option<TimestampMs>,
    /// Why it does not answer.
    pub problem: Option<String>,
    /// What it said about itself.
    pub info: Option<Info>,
}

struct Live {
    addr: HostPort,
    channel: Channel,
    wake: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    registry: Registry,
    live: HashMap<String, Live>,
    problems: BTreeMap<Source, String>,
}

/// The stores that make an answer complete.
pub struct EndpointSet {
    config: Config,
    dns: Dns,
    state: Mutex<State>,
    view: ArcSwap<View>,
    changed: watch::Sender<u64>,
}

impl EndpointSet {
    /// Checks the configuration and starts watching; everything ends with `shutdown`.
    ///
    /// # Errors
    /// [`RunError::Config`]: nothing to ask, a file that cannot be read, no DNS.
    pub fn start(config: Config, shutdown: &Shutdown) -> Result<Arc<Self>, RunError> {
        if config.endpoints.is_empty() && config.sd_files.is_empty() {
            return Err(RunError::config(
                "--endpoint: no store is named; give --endpoint or --store.sd-files",
            ));
        }
        for path in &config.sd_files {
            discovery::read_file(path).map_err(|e| RunError::Config(format!("--store.sd-files: {e}")))?;
        }
        let dns = Dns::new(config.dns_server).map_err(|e| RunError::Config(format!("--dns-server: {e}")))?;
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let keep =
            Keep { forget_after_ms: ms(config.forget_after), departed_after_ms: ms(config.departed_after) };
        let (fixed, dynamic): (Vec<_>, Vec<_>) =
            config.endpoints.iter().cloned().partition(|e| matches!(e, EndpointSpec::Static(_)));
        let dynamic: Vec<(Source, Named)> = dynamic
            .into_iter()
            .enumerate()
            .map(|(i, spec)| (Source::Dns(i), Named::Dns(spec)))
            .chain(
                config.sd_files.iter().cloned().enumerate().map(|(i, p)| (Source::File(i), Named::File(p))),
            )
            .collect();
        // Until a source was read, an answer may lack what it will name.
        let pending = dynamic.iter().map(|(s, n)| (*s, format!("discovery of {n} {PENDING}"))).collect();
        let state = State { registry: Registry::new(keep), live: HashMap::new(), problems: pending };
        let set = Arc::new(Self {
            dns,
            state: Mutex::new(state),
            view: ArcSwap::default(),
            changed: watch::Sender::new(0),
            config,
        });
        let fixed: Found = fixed
            .iter()
            .filter_map(
                |e| if let EndpointSpec::Static(a) = e { Some((a.to_string(), a.clone())) } else { None },
            )
            .collect();
        set.listed(Source::Static, Ok(&fixed), None);
        for (source, named) in dynamic {
            set.clone().spawn_source(source, named, shutdown);
        }
        let ended = shutdown.wait();
        let weak = Arc::downgrade(&set);
        tokio::spawn(async move {
            ended.await;
            if let Some(set) = weak.upgrade() {
                set.state.lock().live.clear();
            }
        });
        Ok(set)
    }

    /// Changes whenever a store comes, goes, answers or stops answering.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whether every source has been read, or failed, and every store been asked once.
    pub fn settled(&self) -> bool {
        let state = self.state.lock();
        let read = !state.problems.values().any(|p| p.ends_with(PENDING));
        read && state.registry.entries().all(|e| e.last_check_ms.is_some())
    }

    /// All expected stores.
    pub fn statuses(&self) -> Vec<StoreStatus> {
        let state = self.state.lock();
        let entry = |e: &Entry| StoreStatus {
            name: e.key.clone(),
            address: e.addr.to_string(),
            last_check_ms: e.last_check_ms,
            problem: e.problem(),
            info: e.info.clone(),
        };
        state.registry.entries().map(entry).collect()
    }

    /// What discovery could not do.
    pub fn discovery_problems(&self) -> Vec<String> {
        self.view.load().discovery.clone()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(crate) fn max_message_bytes(&self) -> usize {
        self.config.max_message_bytes
    }

    fn listed(self: &Arc<Self>, source: Source, found: Result<&Found, ()>, problem: Option<String>) {
        let mut state = self.state.lock();
        if let Ok(found) = found {
            let left = state.registry.listed(source, found, now_ms());
            for key in &left {
                // Ask now: one that still answers is leaving politely.
                if let Some(live) = state.live.get(key) {
                    live.wake.notify_one();
                }
            }
        }
        let before = match &problem {
            Some(text) => state.problems.insert(source, text.clone()),
            None => state.problems.remove(&source),
        };
        if before != problem {
            match (&problem, before) {
                (Some(problem), _) => tracing::warn!("{problem}"),
                (None, Some(before)) if !before.ends_with(PENDING) => {
                    tracing::info!(%before, "discovery works again")
                }
                (None, _) => {}
            }
        }
        self.reconcile(&mut state);
    }

    /// One task and one channel for every entry, none for others; then the view.
    fn reconcile(self: &Arc<Self>, state: &mut State) {
        state.registry.sweep(now_ms());
        let State { registry, live, problems, .. } = state;
        let wanted: HashMap<&str, &HostPort> =
            registry.entries().map(|e| (e.key.as_str(), &e.addr)).collect();
        live.retain(|key, l| wanted.get(key.as_str()).is_some_and(|addr| **addr == l.addr));
        for (key, addr) in wanted {
            if live.contains_key(key) {
                continue;
            }
            match dial::channel(addr, self.dns.clone()) {
                Ok((channel, goodbye)) => {
                    let wake = Arc::new(Notify::new());
                    let task = tokio::spawn(watch_store(
                        Arc::downgrade(self),
                        self.config.clone(),
                        key.to_owned(),
                        channel.clone(),
                        goodbye,
                        wake.clone(),
                    ));
                    live.insert(key.to_owned(), Live { addr: addr.clone(), channel, wake, task });
                }
                Err(error) => tracing::error!(%error, "a store's address cannot be dialled"),
            }
        }
        let stores = registry.entries().filter_map(|e| {
            let channel = live.get(&e.key)?.channel.clone();
            Some(StoreView { name: e.to_string(), info: e.info.clone(), problem: e.problem(), channel })
        });
        self.view.store(Arc::new(View {
            stores: stores.collect(),
            discovery: problems.values().cloned().collect(),
        }));
        self.changed.send_modify(|n| *n += 1);
    }

    fn checked(self: &Arc<Self>, key: &str, answer: Result<Info, String>, goodbye: bool) {
        let mut state = self.state.lock();
        let before = state.registry.entries().find(|e| e.key == key).map(Entry::answers);
        match answer {
            Ok(info) => {
                if before == Some(false) {
                    tracing::info!(store = key, %info, "store answers");
                }
                state.registry.answered(key, info, now_ms());
            }
            Err(error) => {
                if before == Some(true) {
                    tracing::warn!(store = key, %error, "store stopped answering");
                }
                state.registry.failed(key, error, goodbye, now_ms());
            }
        }
        self.reconcile(&mut state);
    }
}

pub(crate) fn now_ms() -> TimestampMs {
    Timestamp::now().as_millisecond()
}
