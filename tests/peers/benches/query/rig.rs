//! Stores that are full, and queriers over them.

use std::error::Error;
use std::fmt;

use peers::queries::other;
use peers::traffic::now_ms;
use peers::write::push;
use peers::{Server, World, until};

use crate::cores::Cores;
use crate::mesh::Mesh;

/// External label `cluster` of the stores; each has two replicas.
pub(crate) const CLUSTERS: [&str; 2] = ["east", "west"];
const REPLICAS: [&str; 2] = ["a", "b"];

/// A remote write request carries the series of so many pods.
const PODS_A_REQUEST: usize = 4;

/// Who made the stores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Makers {
    Ours,
    Thanos,
}

/// A querier, and how it is run.
#[derive(Clone, Copy)]
pub(crate) enum Querier {
    Ours,
    Thanos,
    /// With Thanos' own engine instead of Prometheus', which is its default.
    ThanosEngine,
}

/// All of them; ours first.
pub(crate) const QUERIERS: [Querier; 3] = [Querier::Ours, Querier::Thanos, Querier::ThanosEngine];

/// Stores, filled.
pub(crate) struct Rig {
    world: World,
    makers: Makers,
    pub(crate) stores: Vec<Server>,
    /// A second whose samples are all there.
    pub(crate) end_ms: i64,
    /// In each store.
    series: usize,
    samples: usize,
}

/// A querier that runs.
pub(crate) struct Side {
    pub(crate) querier: Querier,
    pub(crate) server: Server,
}

impl Rig {
    /// Starts stores and fills them.
    ///
    /// # Errors
    /// A write that fails, a sample that is missing.
    pub(crate) async fn new(makers: Makers, mesh: &Mesh, cores: &Cores) -> Result<Self, Box<dyn Error>> {
        let world = World::new(peers::gauntlet!());
        let mut stores = Vec::new();
        for cluster in CLUSTERS {
            for replica in REPLICAS {
                let (name, flags) =
                    (format!("{cluster}-{replica}"), format!("--label=cluster=\"{cluster}\""));
                stores.push(match makers {
                    Makers::Ours => world.receive(&name, &flags).await,
                    Makers::Thanos => world.thanos_receive(&name, &flags).await,
                });
            }
        }
        let end_ms = now_ms() / 1000 * 1000;
        for (n, replicas) in stores.chunks(REPLICAS.len()).enumerate() {
            fill(mesh, n as u64 + 1, end_ms, replicas).await?;
        }
        let series = mesh.all_pods() * Mesh::series_a_pod();
        let rig = Self { world, makers, stores, end_ms, series, samples: series * mesh.seconds };
        rig.everything_is_there(mesh, cores).await?;
        Ok(rig)
    }

    /// Every kind of querier, running.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn sides(&self, cores: &Cores) -> Result<Vec<Side>, Box<dyn Error>> {
        let mut sides = Vec::new();
        for querier in QUERIERS {
            sides.push(self.side(querier, cores).await?);
        }
        Ok(sides)
    }

    /// One querier that sees all stores.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn side(&self, querier: Querier, cores: &Cores) -> Result<Side, Box<dyn Error>> {
        let mut flags = "--query.replica-label=replica".to_owned();
        for store in &self.stores {
            flags.push_str(&format!(" --endpoint={}:10901", store.at));
        }
        cores.for_querier()?;
        let server = match querier {
            Querier::Ours => self.world.query("query-ours", &flags).await,
            Querier::Thanos => self.world.thanos_query("query-thanos", &flags).await,
            Querier::ThanosEngine => {
                let flags = format!("{flags} --query.promql-engine=thanos");
                self.world.thanos_query("query-thanos-engine", &flags).await
            }
        };
        cores.for_others()?;
        // Of every replica: an answer over one of two looks the same once it is deduplicated. One series of each:
        // what comes next may be about memory.
        let one = r#"count(request_total{direction="inbound",pod=~"web-.*d000"})"#;
        let all = self.stores.len() as f64;
        until("the querier sees all stores", async || {
            let seen = self.number(&server, one).await?;
            if seen == all { Ok(()) } else { Err(format!("{seen} of {all} series")) }
        })
        .await;
        Ok(Side { querier, server })
    }

    /// Series are counted by sides; samples here, once, of each metric.
    async fn everything_is_there(&self, mesh: &Mesh, cores: &Cores) -> Result<(), Box<dyn Error>> {
        let side = self.side(Querier::Ours, cores).await?;
        let names =
            ["request_total", "response_total", "response_latency_ms_sum", "response_latency_ms_count"];
        // Buckets in parts: how many samples a query may hold is not what is measured.
        let parts = ["1.*", "2.*", "3.*", "[^123].*"];
        let parts = parts.map(|le| format!("response_latency_ms_bucket{{le=~\"{le}\"}}"));
        let mut stored = 0.0;
        for selector in names.into_iter().chain(parts.iter().map(String::as_str)) {
            let query = format!("sum(count_over_time({selector}[{}s]))", mesh.seconds + 60);
            stored += self.number(&side.server, &query).await?;
        }
        let wanted = (self.samples * self.stores.len()) as f64;
        if stored == wanted { Ok(()) } else { Err(format!("{stored} of {wanted} samples are stored").into()) }
    }

    /// The one number that a query over every replica gives.
    async fn number(&self, server: &Server, query: &str) -> Result<f64, String> {
        let at = format!("{}", self.end_ms / 1000);
        let params = [("query", query), ("time", at.as_str()), ("dedup", "false")];
        let (status, body) = other(&server.url(9090), "query", &params).await?;
        let number = body["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse().ok());
        number.ok_or_else(|| format!("{query}: {status}: {body:.500}"))
    }
}

async fn fill(mesh: &Mesh, seed: u64, end_ms: i64, replicas: &[Server]) -> Result<(), String> {
    let pods: Vec<usize> = (0..mesh.all_pods()).collect();
    for pods in pods.chunks(PODS_A_REQUEST) {
        let series: Vec<_> = pods.iter().flat_map(|pod| mesh.pod(seed, *pod, end_ms)).collect();
        for store in replicas {
            push(&format!("{}/api/v1/receive", store.url(19291)), &series).await?;
        }
    }
    Ok(())
}

impl fmt::Display for Querier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Thanos => "Thanos",
            Self::ThanosEngine => "Thanos, engine `thanos`",
        })
    }
}

impl fmt::Display for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let makers = if self.makers == Makers::Ours { "our Receives" } else { "Thanos' Receives" };
        write!(
            f,
            "Over {} {makers}: {} clusters of {} replicas, {} series and {} samples in each store",
            self.stores.len(),
            CLUSTERS.len(),
            REPLICAS.len(),
            self.series,
            self.samples
        )
    }
}
