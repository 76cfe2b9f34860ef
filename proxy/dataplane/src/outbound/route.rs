//! One service as this proxy sees it: its endpoints, and which of them takes the next request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_core::ewma::SEED_RTT_NS;
use proxy_core::load::Load;
use proxy_core::p2c;
use proxy_core::random::Seeded;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::client::{Pool, Settings};
use crate::metrics::{Direction, Discovery, Peer, Registry, Target, Traffic};
use crate::refusal::Refusal;

/// Endpoints of a service with the labels that discovery gave them.
pub(crate) type Addresses = BTreeMap<SocketAddr, BTreeMap<String, String>>;

/// What discovery knows of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Not yet answered.
    Unknown,
    /// There is no such service.
    Missing,
    /// It exists, perhaps without a ready endpoint.
    Exists,
}

/// One endpoint. It outlives its service's list as long as a request uses it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    pub(crate) target: Arc<Target>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) load: Load,
    labels: BTreeMap<String, String>,
}

/// A request that an endpoint is working on, until it is dropped.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Endpoint>);

/// One service.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) authority: String,
    pub(crate) traffic: Arc<Traffic>,
    registry: Arc<Registry>,
    client: Settings,
    random: Arc<Seeded>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    state: watch::Sender<State>,
    used_ms: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    known: Known,
    empty_since: Option<Instant>,
}

impl Route {
    pub(crate) fn new(
        authority: String,
        registry: Arc<Registry>,
        client: Settings,
        random: Arc<Seeded>,
    ) -> Self {
        let state = State { known: Known::Unknown, empty_since: Some(Instant::now()) };
        Self {
            traffic: registry.outbound_traffic(&authority),
            used_ms: AtomicU64::new(registry.now_ms()),
            authority,
            registry,
            client,
            random,
            endpoints: ArcSwap::default(),
            state: watch::Sender::new(state),
        }
    }

    /// The endpoint for the next request. Waits for one to exist, but not after there was none for `patience`
    /// already: requests must not pile up behind a service that is gone.
    pub(crate) async fn endpoint(
        &self,
        patience: Duration,
        deadline: Instant,
    ) -> Result<Arc<Endpoint>, Refusal> {
        if let Some(endpoint) = self.pick() {
            return Ok(endpoint);
        }
        let started = Instant::now();
        let mut state = self.state.subscribe();
        let found = timeout_at(deadline, async {
            loop {
                let State { known, empty_since } = *state.borrow_and_update();
                if let Some(endpoint) = self.pick() {
                    return Ok(endpoint);
                }
                if known == Known::Missing {
                    return Err(Refusal::UnknownService(self.authority.clone()));
                }
                let give_up = empty_since.unwrap_or(started) + patience;
                if timeout_at(give_up, state.changed()).await.is_err() {
                    return Err(Refusal::NoEndpoint(self.authority.clone()));
                }
            }
        })
        .await;
        self.traffic.waited(started.elapsed());
        found.unwrap_or_else(|_| Err(Refusal::NoEndpoint(self.authority.clone())))
    }

    /// Replaces the endpoints. An endpoint that stays keeps its connections and its load estimate. Called by one
    /// task only.
    pub(crate) fn publish(&self, addresses: &Addresses, known: Known) {
        let (now_ns, old) = (self.registry.now_ns(), self.endpoints.load_full());
        // A newcomer is assumed to be as slow as its peers, see [`Load::new`].
        let mean = old.iter().map(|e| e.load.rtt_ns(now_ns)).sum::<f64>() / old.len().max(1) as f64;
        let seed = SEED_RTT_NS.max(mean as u64);
        // Both lists are in the order of their addresses.
        let find = |list: &[Arc<Endpoint>], addr: &SocketAddr| {
            list.binary_search_by_key(addr, |e| e.addr).ok().and_then(|i| list.get(i).cloned())
        };
        let new: Vec<_> = addresses
            .iter()
            .map(|(addr, labels)| match find(&old, addr) {
                Some(stays) if stays.labels == *labels => stays,
                _ => Arc::new(self.make(*addr, labels, seed, now_ns)),
            })
            .collect();
        for endpoint in old.iter() {
            if !find(&new, &endpoint.addr).is_some_and(|stays| Arc::ptr_eq(&stays, endpoint)) {
                endpoint.pool.retire();
            }
        }
        let empty = new.is_empty();
        self.registry.discovery(&self.authority, Some(Discovery { endpoints: new.len(), stale: false }));
        self.endpoints.store(Arc::new(new));
        self.state.send_modify(|state| {
            state.known = known;
            state.empty_since = if empty { state.empty_since.or(Some(Instant::now())) } else { None };
        });
    }

    /// Discovery cannot be reached: the endpoints stay, and the scrape says so.
    pub(crate) fn stale(&self) {
        let endpoints = self.endpoints.load().len();
        self.registry.discovery(&self.authority, Some(Discovery { endpoints, stale: true }));
    }

    /// A random number, for whoever speaks for this route.
    pub(crate) fn random(&self) -> u64 {
        self.random.next()
    }

    pub(crate) fn used(&self) {
        let now = self.registry.now_ms();
        if self.used_ms.load(Relaxed).saturating_add(1_000) < now {
            self.used_ms.store(now, Relaxed);
        }
    }

    pub(crate) fn unused_for_ms(&self) -> u64 {
        self.registry.now_ms().saturating_sub(self.used_ms.load(Relaxed))
    }

    fn pick(&self) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.load();
        let now_ns = self.registry.now_ns();
        let cost = |i: usize| endpoints.get(i).and_then(|e| e.load.cost(now_ns));
        let chosen = p2c::choose(endpoints.len(), self.random.next(), cost)?;
        endpoints.get(chosen).cloned()
    }

    fn make(&self, addr: SocketAddr, labels: &BTreeMap<String, String>, seed: u64, now_ns: u64) -> Endpoint {
        let transport = self.registry.transport(Direction::Outbound, Peer::Dst);
        Endpoint {
            addr,
            target: self.registry.outbound_target(&self.authority, addr, labels),
            pool: Arc::new(Pool::new(addr, self.client, transport)),
            load: Load::new(seed, now_ns),
            labels: labels.clone(),
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.registry.discovery(&self.authority, None);
    }
}

impl InUse {
    pub(crate) fn start(endpoint: Arc<Endpoint>) -> Self {
        endpoint.load.start();
        Self(endpoint)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.load.end();
    }
}
