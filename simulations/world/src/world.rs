//! A world, put together: clusters with their pods, a querier over all of them, and what goes wrong.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use simulations_cluster::{ApiServer, Plane};
use simulations_kernel::{Clock, Fault, Schedule, Skew, Stream, Streams, Trace, shrink, swarm};
use thanos_telemetry::Shutdown;
use tokio::time::{Duration, Instant};

use crate::api::{ApiFault, ApiFaultKind, ApiFaults, Scope, fault as api};
use crate::fleet::{Fleet, Scrape};
use crate::load::Load;
use crate::metrics::{Cluster, MetricFault, Metrics, fault as metrics};
use crate::pods::{self, PodFault};
use crate::querier::Querier;
use crate::scaled::Journal;

/// Anything that can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorldFault {
    /// With the API servers.
    Api(ApiFault),
    /// With metrics and the querier.
    Metric(MetricFault),
    /// With pods that are made meanwhile.
    Pod(PodFault),
    /// With the clock of one on trial.
    Clock {
        /// Which of them.
        actor: usize,
        /// How far ahead it is, in milliseconds; behind below zero.
        ahead_ms: i64,
    },
    /// One on trial is not there: it crashes as this begins, and starts anew as it ends.
    Stopped {
        /// Which of them.
        actor: usize,
    },
    /// One on trial reaches no API server.
    CutOff {
        /// Which of them.
        actor: usize,
        /// Whether its calls hang, instead of failing at once.
        hangs: bool,
    },
    /// Somebody who scales nothing takes the lease from whoever has it, without asking, and keeps it renewed.
    Stolen,
}

impl WorldFault {
    /// For how long after its end a fault that lasted so long can still be felt, in milliseconds.
    pub fn tail_ms(&self, lasted_ms: u64) -> u64 {
        match self {
            Self::Metric(fault) => {
                let tail = fault.tail_ms(i64::try_from(lasted_ms).unwrap_or(i64::MAX));
                u64::try_from(tail).unwrap_or(0)
            }
            Self::Pod(fault) => fault.tail_ms(),
            Self::Stolen => THIEF_LEASE_MS,
            Self::Api(_) | Self::Clock { .. } | Self::Stopped { .. } | Self::CutOff { .. } => 0,
        }
    }
}

/// Who takes a lease from whoever has it.
pub const THIEF: &str = "thief";
/// For how long the thief's last renewal counts, in milliseconds.
const THIEF_LEASE_MS: u64 = 10_000;

/// The name of one on trial.
pub fn actor_name(index: usize) -> String {
    format!("actor-{index}")
}

impl shrink::Kind for WorldFault {
    fn milder(&self) -> Vec<Self> {
        match self {
            Self::Api(fault) => fault.milder().into_iter().map(Self::Api).collect(),
            Self::Metric(fault) => fault.milder().into_iter().map(Self::Metric).collect(),
            Self::Pod(fault) => fault.milder().into_iter().map(Self::Pod).collect(),
            Self::Clock { actor, ahead_ms } if ahead_ms.abs() > 500 => {
                vec![Self::Clock { actor: *actor, ahead_ms: ahead_ms / 2 }]
            }
            Self::Clock { .. } | Self::Stopped { .. } | Self::CutOff { .. } | Self::Stolen => Vec::new(),
        }
    }
}

/// How many of what a world has, as far as faults have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Clusters.
    pub clusters: usize,
    /// Those on trial.
    pub actors: usize,
}

/// All that goes wrong in the world of a seed, of every sort about as much.
pub fn drawn(streams: &Streams, size: Size, bounds: &swarm::Bounds) -> Schedule<WorldFault> {
    let api = swarm::schedule(&streams.of("api"), api::SOURCES, &(), bounds).map(WorldFault::Api);
    let metric = swarm::schedule(&streams.of("metric"), metrics::SOURCES, &size.clusters, bounds)
        .map(WorldFault::Metric);
    let pod = swarm::schedule(&streams.of("pod"), pods::SOURCES, &(), bounds).map(WorldFault::Pod);
    let actor = swarm::schedule(&streams.of("actor"), ACTORS, &size.actors, bounds);
    Schedule { faults: [api, metric, pod, actor].into_iter().flat_map(|s| s.faults).collect() }
}

const ACTORS: &[swarm::Source<WorldFault, usize>] = &[
    swarm::Source {
        name: "actor-clock",
        draw: |s, actors| WorldFault::Clock {
            actor: one_of(s, *actors),
            ahead_ms: s.between(-25_000, 25_000),
        },
    },
    swarm::Source {
        name: "actor-stopped",
        draw: |s, actors| WorldFault::Stopped { actor: one_of(s, *actors) },
    },
    swarm::Source { name: "lease-stolen", draw: |_, _| WorldFault::Stolen },
    swarm::Source {
        name: "actor-cut-off",
        draw: |s, actors| WorldFault::CutOff { actor: one_of(s, *actors), hangs: s.chance(0.5) },
    },
];

fn one_of(stream: &mut Stream, actors: usize) -> usize {
    usize::try_from(stream.below(actors as u64)).unwrap_or(0)
}

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where all that is drawn begins.
    pub seed: u64,
    /// Its clusters, in the order in which faults count them.
    pub clusters: Vec<Member>,
    /// What goes wrong.
    pub faults: Schedule<WorldFault>,
    /// How long the querier takes, in milliseconds.
    pub query_takes_ms: u64,
    /// The lease of those on trial, in the namespace `default`, if they have one: who holds it is noted with each change
    /// of replicas.
    pub lease: String,
}

/// One cluster.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, also in the label `cluster`.
    pub name: String,
    /// What comes down on it.
    pub load: Load,
    /// How its pods are scraped.
    pub scrape: Scrape,
    /// Labels of its series, beside `cluster` and `pod`.
    pub labels: Vec<(String, String)>,
    /// Where its pods come from.
    pub pods: Source,
}

/// Where a cluster's pods come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From an API server of its own: what is applied there, and what is scaled.
    Api {
        /// Applied as the world begins.
        manifests: String,
        /// How long a pod takes to be ready: at least, at most, in milliseconds.
        start_ms: (u64, u64),
    },
    /// Always these many, and nobody changes it.
    Fixed(u32),
}

/// When every world begins, in milliseconds since the Unix epoch: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// A world that goes on.
#[derive(Debug)]
pub struct World {
    /// Its randomness.
    pub streams: Streams,
    /// The right time.
    pub clock: Clock,
    /// What happened so far.
    pub trace: Trace,
    /// What is true, and what was scraped of it.
    pub metrics: Metrics,
    /// Who changed replicas.
    pub journal: Journal,
    querier: Querier,
    servers: Vec<Option<ApiServer>>,
    api_faults: Arc<Schedule<ApiFault>>,
    clock_faults: Schedule<(usize, i64)>,
    stops: Schedule<usize>,
    begin: Instant,
    end: Shutdown,
}

/// What one on trial is given of a world.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Its name in the trace.
    pub name: String,
    /// Its clock, which goes wrong when a fault says so.
    pub clock: Clock,
    /// The querier.
    pub querier: Querier,
    ways: Vec<Option<ApiFaults>>,
}

impl Actor {
    /// A client of a cluster's API server, with all that goes wrong on the way; `None`: it has none.
    pub fn client(&self, cluster: usize) -> Option<kube::Client> {
        self.ways.get(cluster)?.as_ref().map(ApiFaults::client)
    }
}

impl World {
    /// Begins a world, within [`crate::run()`]. What it logs goes into the trace.
    ///
    /// # Errors
    /// A manifest is refused.
    pub fn begin(setup: Setup, trace: Trace) -> Result<Self, String> {
        let streams = Streams::new(setup.seed);
        let clock = Clock::starting_at_ms(EPOCH_MS);
        let end = Shutdown::new();
        let cluster = |member: &Member| Cluster {
            name: member.name.clone(),
            fleet: Fleet::new(
                member.load.clone(),
                member.scrape.clone(),
                streams.of("fleet").seed(&member.name),
            ),
            labels: member.labels.clone(),
        };
        let clusters = setup.clusters.iter().map(cluster).collect();
        let metric_faults =
            setup.faults.only(|f| if let WorldFault::Metric(f) = f { Some(f.clone()) } else { None });
        let pod_faults =
            setup.faults.only(|f| if let WorldFault::Pod(f) = f { Some(f.clone()) } else { None });
        let api_faults = setup.faults.only(|f| match f {
            WorldFault::Api(fault) => Some(fault.clone()),
            WorldFault::CutOff { actor, hangs } => {
                let kind = if *hangs { ApiFaultKind::Hangs } else { ApiFaultKind::Unreachable };
                Some(ApiFault { scope: Scope::all().by(&actor_name(*actor)), permille: 1000, kind })
            }
            _ => None,
        });
        let stops =
            setup.faults.only(|f| if let WorldFault::Stopped { actor } = f { Some(*actor) } else { None });
        let clock_faults = setup.faults.only(|f| match f {
            WorldFault::Clock { actor, ahead_ms } => Some((*actor, *ahead_ms)),
            _ => None,
        });
        let (pod_faults, api_faults) = (Arc::new(pod_faults), Arc::new(api_faults));
        let metrics = Metrics::new(clusters, metric_faults, clock.clone());
        let mut servers = Vec::new();
        for (index, member) in setup.clusters.iter().enumerate() {
            match &member.pods {
                Source::Fixed(count) => {
                    metrics.fleet(index, |fleet, now| {
                        for i in 0..*count {
                            let name = format!("{}-{i}", member.name);
                            fleet.started(&name, now);
                            fleet.served(&name, now);
                        }
                    });
                    servers.push(None);
                }
                Source::Api { manifests, start_ms } => {
                    let server = ApiServer::new(streams.of("api").seed(&member.name), 1, clock.clone());
                    server.apply_yaml(manifests).map_err(|e| format!("{}: {e:#}", member.name))?;
                    let kubelet = pods::Pods::new(&metrics, index, *start_ms, pod_faults.clone(), &streams);
                    tokio::spawn(Plane::new(&server, Box::new(kubelet)).run(end.clone()));
                    servers.push(Some(server));
                }
            }
        }
        let querier = Querier::new(metrics.clone(), &streams, setup.query_takes_ms);
        let begin = Instant::now();
        let thefts = setup.faults.only(|f| matches!(f, WorldFault::Stolen).then_some(()));
        for theft in thefts.faults {
            if let Some(server) = servers.iter().flatten().next() {
                tokio::spawn(steal(server.clone(), setup.lease.clone(), begin, theft.from_ms..theft.to_ms));
            }
        }
        let journal = Journal::beside(&setup.lease);
        Ok(Self {
            streams,
            clock,
            trace,
            metrics,
            journal,
            querier,
            servers,
            api_faults,
            clock_faults,
            stops,
            begin,
            end,
        })
    }

    /// What the `index`th on trial is given.
    pub fn actor(&self, index: usize) -> Actor {
        let name = actor_name(index);
        let skew = Skew::default();
        let wrong = self.clock_faults.faults.iter().filter(|f| f.kind.0 == index);
        for Fault { kind: (_, ahead_ms), from_ms, to_ms, .. } in wrong.cloned() {
            let (skew, begin) = (skew.clone(), self.begin);
            tokio::spawn(async move {
                tokio::time::sleep_until(begin + Duration::from_millis(from_ms)).await;
                skew.set_ms(skew.ms().saturating_add(ahead_ms));
                tokio::time::sleep_until(begin + Duration::from_millis(to_ms)).await;
                skew.set_ms(skew.ms().saturating_sub(ahead_ms));
            });
        }
        let way = |(cluster, server): (usize, &Option<ApiServer>)| {
            let server = server.as_ref()?;
            let way = ApiFaults::new(server, &name, self.api_faults.clone(), &self.streams, &self.trace);
            Some(way.noted(self.begin, cluster, &self.journal))
        };
        let ways = self.servers.iter().enumerate().map(way).collect();
        Actor { clock: self.clock.skewed(&skew), querier: self.querier.clone(), ways, name }
    }

    /// Runs one on trial while it is there: whoever `make` makes goes on until it stops, is dropped then with all that
    /// it remembers, and is made anew when it starts again. It never ends by itself.
    pub fn keep<M, F>(&self, index: usize, make: M) -> impl Future<Output = ()> + Send + use<M, F>
    where
        M: Fn(Actor) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut gone: Vec<(u64, u64)> =
            self.stops.faults.iter().filter(|f| f.kind == index).map(|f| (f.from_ms, f.to_ms)).collect();
        gone.sort_unstable();
        let (actor, begin) = (self.actor(index), self.begin);
        async move {
            for (from_ms, to_ms) in gone {
                let stop = begin + Duration::from_millis(from_ms);
                if stop > Instant::now() {
                    let _ = tokio::time::timeout_at(stop, make(actor.clone())).await;
                }
                tokio::time::sleep_until(begin + Duration::from_millis(to_ms)).await;
            }
            make(actor).await;
            std::future::pending().await
        }
    }

    /// A cluster's API server, as it is.
    pub fn server(&self, cluster: usize) -> Option<&ApiServer> {
        self.servers.get(cluster)?.as_ref()
    }

    /// Milliseconds since the world began.
    pub fn now_ms(&self) -> i64 {
        self.metrics.now_ms()
    }

    /// Something happened that the digest should go by.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.trace.note(u64::try_from(self.now_ms()).unwrap_or(0), what);
    }

    /// Ends its clusters.
    pub fn end(self) {
        self.end.start();
        self.servers.iter().flatten().for_each(ApiServer::stop);
    }
}

/// Takes the first cluster's lease for a time, in milliseconds since the world began, and renews it each second.
async fn steal(server: ApiServer, lease: String, begin: Instant, during: std::ops::Range<u64>) {
    for at_ms in during.step_by(1000) {
        tokio::time::sleep_until(begin + Duration::from_millis(at_ms)).await;
        let _ = server.apply(serde_json::json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": lease, "annotations": {"renewed": at_ms.to_string()}},
            "spec": {"holderIdentity": THIEF, "leaseDurationSeconds": THIEF_LEASE_MS / 1000},
        }));
    }
}
