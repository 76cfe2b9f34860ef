//! The highest open-loop rate that one core sends on time, beside wrk's and hey's closed loops on the same core
//! against the same server, which has another core to itself:
//! `cargo bench -p simulations-load --bench open_loop`.
//!
//! A rate is sustained if in one of three trials p99 of (sent − planned) is under a millisecond and every
//! request was sent and answered: what else happens on a machine makes a trial worse, never better. The closed
//! loops have no lag to keep: theirs is what the core can do at all, where ours also has to be on time. What a
//! request costs in processor time says the same with less noise.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod server;

use std::process::{Command, Stdio};
use std::time::Duration;

use http::Uri;
use simulations_load::generator::{Generator, Plan};
use simulations_load::recorder::Summary;
use simulations_load::schedule::{Arrivals, Stage};
use thanos_telemetry::Shutdown;
use tokio::sync::watch;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const GENERATOR_CORE: usize = 0;
const SERVER_CORE: usize = 1;
/// The claim that a rate has to keep.
const LAG_P99_MAX_MS: f64 = 1.0;
const TRIAL: Duration = Duration::from_millis(500);
const TRIALS: usize = 3;
/// The rate at which a request's cost is taken.
const COST_RPS: f64 = 8000.0;
const REPETITIONS: usize = 5;
/// Connections of the closed loops.
const CONNECTIONS: &str = "32";
/// The search stops when it knows the rate this well.
const RESOLUTION: f64 = 1.05;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("server") {
        pin(SERVER_CORE)?;
        return Ok(server::run()?);
    }
    pin(GENERATOR_CORE)?;
    let server = server::Child::spawn()?;
    println!("one core, another for the server; median of {REPETITIONS} (least..most)");
    for arrivals in [Arrivals::Even, Arrivals::Poisson] {
        let costs = (0..REPETITIONS).map(|_| cost_us(&server.uri, arrivals)).collect::<Result<Vec<f64>>>()?;
        row(&format!("open loop, {arrivals:?}, a request's cost at {COST_RPS} rps"), costs, "µs");
        let mut rates = Vec::new();
        for _ in 0..REPETITIONS {
            rates.push(highest(&server.uri, arrivals)?);
        }
        row(&format!("open loop, {arrivals:?}, lag p99 < {LAG_P99_MAX_MS} ms"), rates, "rps");
    }
    let uri = server.uri.to_string();
    let wrk = ["-t", "1", "-c", CONNECTIONS, "-d", "1s", &uri];
    let hey = ["-cpus", "1", "-c", CONNECTIONS, "-z", "1s", &uri];
    for (program, args) in [("wrk", &wrk[..]), ("hey", &hey[..])] {
        match (0..REPETITIONS).map(|_| closed_loop(program, args)).collect::<Result<Vec<f64>>>() {
            Ok(rates) => row(&format!("closed loop, {program}, {CONNECTIONS} connections"), rates, "rps"),
            Err(error) => println!("{program}: {error}"),
        }
    }
    Ok(())
}

/// Every thread and process that comes after inherits the core.
fn pin(core: usize) -> Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

fn row(what: &str, mut figures: Vec<f64>, unit: &str) {
    figures.sort_by(f64::total_cmp);
    let [least, .., most] = figures[..] else { return };
    let digits = usize::from(most < 100.0);
    let median = figures[figures.len() / 2];
    println!("{what:<48} {median:>8.digits$} {unit}  ({least:.digits$}..{most:.digits$})");
}

/// Processor time of this process for one request, microseconds.
fn cost_us(uri: &Uri, arrivals: Arrivals) -> Result<f64> {
    let used = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        t.tv_sec as f64 * 1e6 + t.tv_nsec as f64 / 1e3
    };
    let before = used();
    let s = trial(uri, arrivals, COST_RPS)?;
    Ok((used() - before) / s.planned as f64)
}

/// Up by halves until a rate fails, then between the last that held and the first that did not.
fn highest(uri: &Uri, arrivals: Arrivals) -> Result<f64> {
    let (mut held, mut failed) = (0.0, f64::INFINITY);
    let mut rate = 8_000.0;
    while failed / f64::max(held, 1.0) > RESOLUTION {
        let mut sustained = false;
        for _ in 0..TRIALS {
            let s = trial(uri, arrivals, rate)?;
            sustained = s.send_lag_p99_ms < LAG_P99_MAX_MS && s.completed == s.planned;
            if sustained {
                break;
            }
        }
        if sustained {
            held = rate;
        } else {
            failed = rate;
        }
        rate = if failed.is_infinite() { held * 1.5 } else { f64::midpoint(held, failed) };
        if rate < 100.0 {
            break;
        }
    }
    Ok(held)
}

fn trial(uri: &Uri, arrivals: Arrivals, rate_rps: f64) -> Result<Summary> {
    let (_keep, targets) = watch::channel(vec![uri.clone()]);
    let plan = Plan {
        stages: vec![Stage::steady(TRIAL, rate_rps)],
        stretches: vec![],
        arrivals,
        seed: 1,
        targets,
        timeout: Duration::from_secs(10),
        max_in_flight: 1000,
        by_second: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { Generator::start(plan, Shutdown::new()).finish().await }))
}

fn closed_loop(program: &str, args: &[&str]) -> Result<f64> {
    let output = Command::new(program).args(args).stderr(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let rate = text.lines().find_map(|l| l.trim().strip_prefix("Requests/sec:"));
    Ok(rate.ok_or("says no Requests/sec")?.trim().parse()?)
}
