//! One trial: load on one side, what it cost, and three counts that must agree.

use std::process::Stdio;
use std::time::{Duration, Instant};

use simulations_load::generator::{Generator, Plan};
use simulations_load::schedule::{Arrivals, Stage};
use thanos_telemetry::Shutdown;
use tokio::sync::watch;

use crate::Result;
use crate::side::Side;
use crate::upstream::Upstream;

/// Connections of the closed loop; each may have a request under way when it ends.
const CONNECTIONS: u64 = 32;

/// How requests come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// When planned, whatever became of those before; on as many connections as that takes.
    Open { rps: f64 },
    /// On each of [`CONNECTIONS`], as soon as the one before is answered; by wrk.
    Closed,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trial {
    /// Answered in each second of the trial.
    pub(crate) rps: f64,
    /// The proxy's processor time for one of them, microseconds; 0 where there is no proxy.
    pub(crate) cost_us: f64,
    /// The proxy's processor time by that of its core.
    pub(crate) busy: f64,
    /// From planned time to the last byte, milliseconds; 0 in a closed loop, as what follows.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// From planned time to sending.
    pub(crate) lag_p99_ms: f64,
}

/// Runs one.
pub(crate) async fn run(
    side: &Side,
    upstream: &Upstream,
    path: &str,
    load: Load,
    length: Duration,
) -> Result<Trial> {
    let uri = format!("http://{}{path}", side.authority());
    let before = (upstream.answered().await?, side.answered().await?, side.usage());
    let started = Instant::now();
    let (said, mut trial) = match load {
        Load::Open { rps } => open(&uri, rps, length).await?,
        Load::Closed => (closed(&uri, length).await?, Trial::default()),
    };
    let took = started.elapsed().as_secs_f64();
    let used = side.usage().zip(before.2).map(|(after, before)| (after.cpu - before.cpu).as_secs_f64());
    let answered = upstream.answered().await? - before.0;
    let slack = if matches!(load, Load::Closed) { CONNECTIONS } else { 0 };
    agree(side, "the upstream", answered, said, slack)?;
    if let Some((after, before)) = side.answered().await?.zip(before.1) {
        agree(side, "the proxy", after - before, said, slack)?;
    }
    trial.rps = answered as f64 / took;
    if let Some(used) = used {
        trial.cost_us = used * 1e6 / answered as f64;
        trial.busy = used / took;
    }
    Ok(trial)
}

fn agree(side: &Side, who: &str, counted: u64, said: u64, slack: u64) -> Result<()> {
    if (said..=said + slack).contains(&counted) {
        return Ok(());
    }
    let name = side.kind.name();
    Err(format!("{name}: {said} requests were answered, {who} counted {counted}").into())
}

/// Requests, all answered well, and their times.
async fn open(uri: &str, rps: f64, length: Duration) -> Result<(u64, Trial)> {
    let (_keep, targets) = watch::channel(vec![uri.parse()?]);
    let plan = Plan {
        stages: vec![Stage::steady(length, rps)],
        stretches: vec![],
        // As independent users come: now and then several at once.
        arrivals: Arrivals::Poisson,
        seed: 1,
        targets,
        timeout: Duration::from_secs(10),
        max_in_flight: 1000,
        by_second: false,
    };
    let s = Generator::start(plan, Shutdown::new()).finish().await;
    if s.completed != s.planned {
        return Err(format!("{uri}: of {} requests {} failed: {:?}", s.planned, s.failed, s.causes).into());
    }
    let (p50_ms, p99_ms) = (s.latency_p50_ms, s.latency_p99_ms);
    Ok((s.planned, Trial { p50_ms, p99_ms, lag_p99_ms: s.send_lag_p99_ms, ..Trial::default() }))
}

/// Whether there can be closed loops.
pub(crate) fn wrk_is_installed() -> bool {
    std::process::Command::new("wrk").arg("--version").output().is_ok()
}

/// Requests, all answered well.
async fn closed(uri: &str, length: Duration) -> Result<u64> {
    let mut wrk = tokio::process::Command::new("wrk");
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}s", length.as_secs()), uri]);
    let output = wrk.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(length + Duration::from_secs(10), output).await?;
    let text = String::from_utf8(output?.stdout)?;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("{uri}: {text}").into());
    }
    let line = text.lines().find(|l| l.contains(" requests in ")).ok_or("wrk says no number of requests")?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}
