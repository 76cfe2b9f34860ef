//! What is written to, and what that took.

use std::path::Path;
use std::time::Duration;

use peers::usage::Usage;
use peers::{Server, World};
use serde_json::json;

use crate::load::Load;
use crate::{Result, check, cores};

/// Who takes the writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Thanos,
    Prometheus,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Thanos => "Thanos Receive",
            Self::Prometheus => "Prometheus",
        }
    }

    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Thanos => "thanos",
            Self::Prometheus => "prometheus",
        }
    }
}

/// How a trial is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Sender on one core, subject on the other.
    Pinned,
    /// Both have both.
    Free,
    /// As pinned, the subject being a router before an ingestor: a ring of one with one copy, both on the one core.
    Routed,
}

impl Layout {
    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Free => "free",
            Self::Routed => "routed",
        }
    }
}

/// Processes that take a load together.
struct Subject {
    kind: Kind,
    /// The one that is written to comes first, the one that stores last.
    servers: Vec<Server>,
}

impl Subject {
    async fn start(world: &World, kind: Kind, layout: Layout) -> Self {
        let servers = match (kind, layout) {
            (Kind::Prometheus, _) => vec![world.prometheus("prometheus", "global: {}", "").await],
            (_, Layout::Routed) => {
                let store = receive(world, kind, "ingestor", "").await;
                let ring = json!([{"endpoints": [format!("{}:10901", store.at)]}]).to_string();
                let flags = format!(
                    "--receive.hashrings-algorithm=ketama --receive.hashrings-file={}",
                    world.write("ring.json", &ring).display()
                );
                vec![receive(world, kind, "router", &flags).await, store]
            }
            _ => vec![receive(world, kind, "receive", "").await],
        };
        Self { kind, servers }
    }

    fn url(&self) -> String {
        match self.kind {
            Kind::Prometheus => format!("{}/api/v1/write", self.servers[0].url(9090)),
            _ => format!("{}/api/v1/receive", self.servers[0].url(19291)),
        }
    }

    fn store(&self) -> &Server {
        &self.servers[self.servers.len() - 1]
    }

    /// Of all its processes together.
    fn usage(&self) -> Usage {
        let zero = Usage { cpu: Duration::ZERO, rss_bytes: 0, rss_peak_bytes: 0 };
        self.servers.iter().map(|s| Usage::of(s.id())).fold(zero, |a, b| Usage {
            cpu: a.cpu + b.cpu,
            rss_bytes: a.rss_bytes + b.rss_bytes,
            rss_peak_bytes: a.rss_peak_bytes + b.rss_peak_bytes,
        })
    }
}

async fn receive(world: &World, kind: Kind, name: &str, flags: &str) -> Server {
    match kind {
        Kind::Ours => world.receive(name, flags).await,
        _ => world.thanos_receive(name, flags).await,
    }
}

/// What one load took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Processor seconds of the round that made the series, for a thousand of them.
    pub(crate) create_cpu_ms: f64,
    /// Processor seconds for a million samples of known series.
    pub(crate) steady_cpu_s: f64,
    /// Thereof of the process that was written to.
    pub(crate) front_cpu_s: f64,
    /// Thousand samples a second in the steady phase.
    pub(crate) steady_rate: f64,
    /// Processor seconds of the sender for a million samples.
    pub(crate) sender_cpu_s: f64,
    /// Resident memory, MiB: before any write, with every series, at the end, at most.
    pub(crate) rss_mib: [f64; 4],
    /// The log, bytes for a sample.
    pub(crate) log_bytes: f64,
}

/// Sends the load to a fresh subject, and checks what it then holds.
pub(crate) async fn trial(load: &Load, kind: Kind, layout: Layout) -> Result<Trial> {
    let world = World::new(peers::gauntlet!());
    cores::use_for(cores::Part::Subject, layout)?;
    let subject = Subject::start(&world, kind, layout).await;
    cores::use_for(cores::Part::Sender, layout)?;
    let url = subject.url();
    let started = subject.usage();
    load.send(&url, 0..1).await?;
    let created = subject.usage();
    let front = Usage::of(subject.servers[0].id());
    let sender = Usage::of(std::process::id());
    let took = load.send(&url, 1..load.rounds).await?;
    let done = subject.usage();
    let front_cpu = Usage::of(subject.servers[0].id()).cpu - front.cpu;
    let sender_cpu = Usage::of(std::process::id()).cpu - sender.cpu;

    let samples = load.samples(&(1..load.rounds)) as f64;
    let per_million = |cpu: Duration| cpu.as_secs_f64() / samples * 1e6;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let log = log_bytes(&world.dir().join(store_name(kind, layout)))?;
    let result = Trial {
        create_cpu_ms: (created.cpu - started.cpu).as_secs_f64() * 1e6 / load.series.len() as f64,
        steady_cpu_s: per_million(done.cpu - created.cpu),
        front_cpu_s: per_million(front_cpu),
        steady_rate: samples / took.as_secs_f64() / 1000.0,
        sender_cpu_s: per_million(sender_cpu),
        rss_mib: [started.rss_bytes, created.rss_bytes, done.rss_bytes, done.rss_peak_bytes].map(mib),
        log_bytes: log as f64 / load.samples(&(0..load.rounds)) as f64,
    };
    cores::use_for(cores::Part::Querier, layout)?;
    match kind {
        Kind::Prometheus => check::answers(load, &subject.store().url(9090)).await?,
        _ => {
            let store = format!("--endpoint={}:10901", subject.store().at);
            let query = world.thanos_query("query", &store).await;
            check::answers(load, &query.url(9090)).await?;
        }
    }
    Ok(result)
}

fn store_name(kind: Kind, layout: Layout) -> &'static str {
    match (kind, layout) {
        (Kind::Prometheus, _) => "prometheus",
        (_, Layout::Routed) => "ingestor",
        _ => "receive",
    }
}

/// Bytes of all files below folders named `wal`.
fn log_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            bytes += log_bytes(&entry.path())?;
        } else if dir.components().any(|c| c.as_os_str() == "wal") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
