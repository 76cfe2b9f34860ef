//! One service as this proxy sees it: its endpoints, and which of them takes the next request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use proxy_core::budget::Budget;
use proxy_core::load::{Load, Peers, SlowStart};
use proxy_core::p2c::{self, Candidate, Weights};
use proxy_core::random::Seeded;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::own::Own;
use crate::client::{self, Pool};
use crate::discovery::{Addresses, Described, Follower, Known};
use crate::metrics::{Direction, Discovery, Peer, Registry, Target, Traffic};
use crate::refusal::Refusal;

/// One endpoint. It outlives its service's list as long as a request uses it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    pub(crate) target: Arc<Target>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) load: Arc<Load>,
    labels: BTreeMap<String, String>,
}

/// Endpoints that failed one request.
#[derive(Debug, Default)]
pub(crate) struct Tried([Option<SocketAddr>; Tried::MAX]);

/// What all routes are made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) client: client::Settings,
    pub(crate) slow_start: Duration,
    pub(crate) own: Own,
    pub(crate) random: Arc<Seeded>,
    /// Whether names that discovery does not know are looked for elsewhere.
    pub(crate) pass_through: bool,
}

/// One service.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) authority: String,
    pub(crate) traffic: Arc<Traffic>,
    /// Of retries.
    pub(crate) budget: Budget,
    registry: Arc<Registry>,
    settings: Settings,
    peers: Arc<Peers>,
    endpoints: ArcSwap<Endpoints>,
    state: watch::Sender<State>,
    used_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Endpoints {
    /// In the order of their addresses.
    list: Vec<Arc<Endpoint>>,
    /// Where they differ.
    weights: Option<Weights>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    known: Known,
    empty_since: Option<Instant>,
}

impl Route {
    pub(crate) fn new(authority: String, registry: Arc<Registry>, settings: Settings) -> Self {
        let state = State { known: Known::Unknown, empty_since: Some(Instant::now()) };
        let peers = Arc::<Peers>::default();
        registry.balancer(&authority, peers.clone());
        Self {
            traffic: registry.outbound_traffic(&authority),
            used_ms: AtomicU64::new(registry.now_ms()),
            budget: Budget::default(),
            authority,
            registry,
            settings,
            peers,
            endpoints: ArcSwap::default(),
            state: watch::Sender::new(state),
        }
    }

    /// The endpoint for the next attempt, one that was not tried if there is one. Waits for one to exist, but not after there was none for `patience`
    /// already: requests must not pile up behind a service that is gone.
    pub(crate) async fn endpoint(
        &self,
        tried: &Tried,
        patience: Duration,
        deadline: Instant,
    ) -> Result<Arc<Endpoint>, Refusal> {
        if let Some(endpoint) = self.pick(tried) {
            return Ok(endpoint);
        }
        let started = Instant::now();
        let mut state = self.state.subscribe();
        let found = timeout_at(deadline, async {
            loop {
                let State { known, empty_since } = *state.borrow_and_update();
                if let Some(endpoint) = self.pick(tried) {
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

    /// Replaces the endpoints. An endpoint that stays keeps its connections and its load estimate.
    fn replace(&self, addresses: &Addresses, known: Known) {
        let (now_ns, old) = (self.registry.now_ns(), self.endpoints.load_full());
        // Who comes to others starts slowly; where all are new there is nobody else.
        let window_ns = if old.list.is_empty() { 0 } else { nanos(self.settings.slow_start) };
        let warm = SlowStart { from_ns: now_ns, window_ns };
        let find = |list: &[Arc<Endpoint>], addr: &SocketAddr| {
            list.binary_search_by_key(addr, |e| e.addr).ok().and_then(|i| list.get(i).cloned())
        };
        let new: Vec<_> = addresses
            .iter()
            .filter(|(addr, _)| {
                let own = self.settings.own.is(**addr);
                if own {
                    tracing::warn!(authority = self.authority, %addr, "discovery names this proxy itself");
                }
                !own
            })
            .map(|(addr, described)| match find(&old.list, addr) {
                Some(stays) if stays.labels == described.labels => {
                    stays.load.set_weight(described.weight());
                    stays
                }
                _ => Arc::new(self.make(*addr, described, warm)),
            })
            .collect();
        for endpoint in &old.list {
            if !find(&new, &endpoint.addr).is_some_and(|stays| Arc::ptr_eq(&stays, endpoint)) {
                endpoint.pool.retire();
            }
        }
        let empty = new.is_empty();
        self.registry.discovery(&self.authority, Some(Discovery { endpoints: new.len(), stale: false }));
        let of = |e: &Arc<Endpoint>| addresses.get(&e.addr).map_or(0, Described::parts);
        let weights = Weights::new(new.iter().map(of));
        self.endpoints.store(Arc::new(Endpoints { list: new, weights }));
        self.state.send_modify(|state| {
            state.known = known;
            state.empty_since = if empty { state.empty_since.or(Some(Instant::now())) } else { None };
        });
    }

    /// Whether discovery vouches for its endpoints.
    pub(crate) fn is_discovered(&self) -> bool {
        self.state.borrow().known == Known::Exists
    }

    /// A random number, for whoever speaks for this route.
    pub(crate) fn random(&self) -> u64 {
        self.settings.random.next()
    }

    /// The clock of loads and budgets.
    pub(crate) fn now_ns(&self) -> u64 {
        self.registry.now_ns()
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

    fn pick(&self, tried: &Tried) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.load();
        let (now_ns, random) = (self.registry.now_ns(), self.random());
        let list = &endpoints.list;
        let candidate = |i: usize| match list.get(i) {
            Some(e) if !tried.has(e.addr) => e.load.candidate(now_ns, random ^ i as u64),
            _ => Candidate::Tried,
        };
        let cost = |i: usize| list.get(i).map_or(f64::MAX, |e| e.load.cost(now_ns));
        let drawn = match &endpoints.weights {
            Some(weights) => weights.pair(random),
            None => p2c::pair(list.len(), random),
        };
        let chosen = p2c::choose(list.len(), drawn, random, candidate, cost)?;
        list.get(chosen).cloned()
    }

    fn make(&self, addr: SocketAddr, described: &Described, warm: SlowStart) -> Endpoint {
        let transport = self.registry.transport(Direction::Outbound, Peer::Dst);
        Endpoint {
            addr,
            target: self.registry.outbound_target(&self.authority, addr, &described.labels),
            pool: Arc::new(Pool::new(addr, self.settings.client, transport)),
            load: Arc::new(Load::new(self.peers.clone(), warm, described.weight())),
            labels: described.labels.clone(),
        }
    }
}

impl Follower for Route {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn random(&self) -> u64 {
        Self::random(self)
    }

    fn unused_for_ms(&self) -> u64 {
        Self::unused_for_ms(self)
    }

    fn publish(&self, addresses: &Addresses, known: Known) {
        if known == Known::Missing && self.settings.pass_through {
            // It says so again and again; what was found meanwhile stays.
            let found = self.state.borrow().known;
            if !matches!(found, Known::Perhaps | Known::Elsewhere | Known::Missing) {
                self.replace(addresses, Known::Perhaps);
            }
        } else {
            self.replace(addresses, known);
        }
    }

    fn publish_elsewhere(&self, addresses: &Addresses) {
        if matches!(self.state.borrow().known, Known::Perhaps | Known::Elsewhere) {
            let known = if addresses.is_empty() { Known::Missing } else { Known::Elsewhere };
            self.replace(addresses, known);
        }
    }

    async fn asked_elsewhere(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as we do.
        let _ = state.wait_for(|s| matches!(s.known, Known::Perhaps | Known::Elsewhere)).await;
    }

    fn ask_elsewhere_again(&self) {
        self.state.send_if_modified(|state| {
            let missing = state.known == Known::Missing;
            if missing {
                (state.known, state.empty_since) = (Known::Perhaps, Some(Instant::now()));
            }
            missing
        });
    }

    fn stale(&self) {
        let endpoints = self.endpoints.load().list.len();
        self.registry.discovery(&self.authority, Some(Discovery { endpoints, stale: true }));
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.registry.discovery(&self.authority, None);
    }
}

impl Tried {
    /// Attempts of one request.
    pub(crate) const MAX: usize = 4;

    pub(crate) fn add(&mut self, addr: SocketAddr) {
        if let Some(free) = self.0.iter_mut().find(|t| t.is_none()) {
            *free = Some(addr);
        }
    }

    fn has(&self, addr: SocketAddr) -> bool {
        self.0.contains(&Some(addr))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}
