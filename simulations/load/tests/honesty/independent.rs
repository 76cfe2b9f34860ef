//! The same constant rate from this generator and from hey, which shares no code with it.

use std::process::Command;
use std::time::Duration;

use simulations_load::generator::Generator;
use thanos_telemetry::Shutdown;

use crate::server::{Behaviour, Server};
use crate::{ALONE, plan};

const RATE_RPS: f64 = 200.0;
const LENGTH_S: f64 = 3.0;
/// Closed-loop workers of hey: enough that none is ever late, so that its rate is constant too.
const WORKERS: u32 = 10;
const SERVICE_TIME: Duration = Duration::from_millis(10);

/// One generator's account of a run.
#[derive(Debug)]
struct Account {
    done: f64,
    rate_rps: f64,
    median_ms: f64,
    /// What the server counted.
    answered: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn an_independent_generator_tells_the_same_of_the_same_server() {
    if Command::new("hey").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "hey is not installed: apt-get install hey");
        eprintln!("skipped: hey is not installed (apt-get install hey)");
        return;
    }
    let _alone = ALONE.lock().await;
    let server = Server::bind().start(Behaviour::Takes(SERVICE_TIME));
    let (ours, theirs) = (ours(&server).await, hey(&server));

    let near = |what: &str, a: f64, b: f64, share: f64| {
        assert!((a - b).abs() <= share * b, "{what}: {a} against {b}\nours {ours:?}\nhey {theirs:?}");
    };
    // Each believes what the server saw, to the request.
    near("ours, server", ours.done, ours.answered, 0.0);
    near("hey, server", theirs.done, theirs.answered, 0.0);
    near("done", ours.done, theirs.done, 0.03);
    near("rate", ours.rate_rps, theirs.rate_rps, 0.03);
    near("rate asked for", ours.rate_rps, RATE_RPS, 0.03);
    near("median", ours.median_ms, theirs.median_ms, 0.25);
}

async fn ours(server: &Server) -> Account {
    let stage = format!("{LENGTH_S}s@{RATE_RPS}");
    let summary = Generator::start(plan(server.uri.clone(), &stage), Shutdown::new()).finish().await;
    assert_eq!((summary.failed, summary.dropped), (0, 0), "{summary:?}");
    let done = summary.completed as f64;
    Account {
        done,
        rate_rps: done / LENGTH_S,
        median_ms: summary.latency_p50_ms,
        answered: server.answered() as f64,
    }
}

/// hey's own rows: a line a request, `response-time` first and `offset` last, both in seconds.
fn hey(server: &Server) -> Account {
    let requests = (RATE_RPS * LENGTH_S) as u32;
    let per_worker = RATE_RPS / f64::from(WORKERS);
    let output = Command::new("hey")
        .args(["-n", &requests.to_string(), "-c", &WORKERS.to_string(), "-q", &per_worker.to_string()])
        .args(["-o", "csv", &server.uri.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split(',').collect()).collect();
    let mut latency_s: Vec<f64> = rows.iter().map(|r| r[0].parse().unwrap()).collect();
    let end_s = rows.iter().map(|r| r[r.len() - 1].parse::<f64>().unwrap()).fold(0.0, f64::max);
    latency_s.sort_by(f64::total_cmp);
    Account {
        done: rows.len() as f64,
        rate_rps: rows.len() as f64 / end_s,
        median_ms: latency_s[rows.len() / 2] * 1000.0,
        answered: server.answered() as f64,
    }
}
