//! `gauntlet load`: the generator alone, against any URL.

use std::io::Write;
use std::time::Duration;

use thanos_telemetry::{Context, RunError, Running, open_files};
use tokio::sync::watch;

use crate::generator::{Account, Generator, IN_FLIGHT_MAX, Plan, State, slots_for};
use crate::recorder::{Recorder, SEND_LAG_P99_MAX};
use crate::request::shown;
use crate::schedule::{Schedule, Stage};

mod args;
mod print;

pub use args::{Args, Output};
use print::Report;

/// The run's own limits were exceeded, so its figures say nothing (k6 keeps 104 for configuration).
const EXIT_INVALID_RUN: u8 = 105;

/// Broken off by a signal, as in a shell.
const EXIT_INTERRUPTED: u8 = 130;

/// Files that the process has open beside its connections, or may need for a moment.
const OTHER_FILES: usize = 64;

/// What is late is told by p95 in a stage: it may be short, and one in a hundred of few is a single request.
const STAGE_LAG_SHARE: f64 = 0.95;

/// More stages have no figures of their own.
const STAGES_SHOWN: usize = 20;

/// Runs the plan, a line a second, and prints the figures.
///
/// # Errors
/// [`RunError::Config`] for what cannot be sent or planned; a [`RunError::Verdict`] for a run that the generator itself
/// spoiled (exit 105) or that was broken off (exit 130).
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(send(args, ctx))
}

async fn send(args: Args, ctx: Context) -> Result<(), RunError> {
    let urls = args.all_urls()?;
    let request = args.request(&urls)?;
    let stages = args.planned_stages()?;
    if Schedule::new(stages.clone(), args.arrivals, args.seed).next().is_none() {
        let flag = if args.series.is_some() { "--series" } else { "--stage" };
        return Err(RunError::Config(format!(
            "{flag}: no request is due in this plan; raise the rate or the length, or take chance out with --arrivals \
             even"
        )));
    }
    let max_in_flight = slots(&args, &stages, urls.len())?;
    let apart = args.series.is_none() && (2..=STAGES_SHOWN).contains(&stages.len());
    tracing::info!(
        "{} {} to {}, at most {max_in_flight} at once",
        request.method,
        if request.http2 { "HTTP/2" } else { "HTTP/1.1" },
        urls.iter().map(shown).collect::<Vec<_>>().join(", "),
    );
    let (_keep, targets) = watch::channel(urls);
    let plan = Plan {
        stretches: if apart { stages.iter().map(|s| s.duration).collect() } else { Vec::new() },
        stages: stages.clone(),
        arrivals: args.arrivals,
        seed: args.seed,
        targets,
        timeout: args.timeout,
        max_in_flight,
        by_second: false,
    };
    let mut generator = Generator::start_asking(plan, request, ctx.shutdown.clone());
    watch_each_second(&generator).await;
    let account = generator.account().await;
    let (total, stretches) = generator.so_far();
    let names = if apart { stages.iter().map(ToString::to_string).collect() } else { Vec::new() };
    let named: Vec<(String, &Recorder)> = names.into_iter().zip(&stretches).collect();
    let report = Report::new(&account, &total, &named);
    let text = match args.output() {
        Output::Text => report.text(),
        Output::Json => report.json().map_err(|e| RunError::Failed(e.into()))? + "\n",
    };
    // Whoever reads it may be gone, as with `| head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    verdict(&account, &total, &named)
}

async fn watch_each_second(generator: &Generator) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    while !generator.is_finished() {
        tick.tick().await;
        let p = generator.lap();
        let s = &p.second;
        tracing::info!(
            "{:>4.0}s {:>7.0} rps planned, {} ok, {} failed, {} not sent, p50 {:.1} ms, p99 {:.1} ms",
            p.at.as_secs_f64(),
            p.rate_rps,
            s.completed,
            s.failed,
            s.dropped,
            s.latency_p50_ms,
            s.latency_p99_ms
        );
    }
}

/// How many may be under way: as told, else as many as the plan needs and the process may open.
fn slots(args: &Args, stages: &[Stage], targets: usize) -> Result<usize, RunError> {
    let files = usize::try_from(open_files::raise()).unwrap_or(usize::MAX);
    // Many HTTP/2 requests share a connection. To several targets, as many connections again may be idle.
    let bound = match (args.http2, targets) {
        (true, _) => IN_FLIGHT_MAX,
        (_, 1) => files.saturating_sub(OTHER_FILES),
        _ => files.saturating_sub(OTHER_FILES) / 2,
    };
    let cure = "raise it with ulimit -n, or lower --timeout or the rate";
    if let Some(told) = args.max_in_flight {
        if told > bound {
            return Err(RunError::Config(format!(
                "--max-in-flight {told}: at most {bound}, as this process may open {files} files; {cure}"
            )));
        }
        return Ok(told.clamp(1, IN_FLIGHT_MAX));
    }
    let needed = slots_for(stages, args.arrivals, args.timeout, IN_FLIGHT_MAX);
    if needed > bound {
        tracing::warn!(
            "up to {needed} requests may come within a --timeout, and {bound} can be under way, as this process may \
             open {files} files: a service that slows down much makes the run invalid; {cure}"
        );
    }
    Ok(needed.min(bound).max(1))
}

/// The worst first: a generator that died, a run that was broken off, figures that say nothing.
fn verdict(account: &Account, total: &Recorder, stages: &[(String, &Recorder)]) -> Result<(), RunError> {
    let verdict = |code, message| Err(RunError::Verdict { code, message });
    if let (State::Died(_), Err(why)) = (&account.state, account.validity()) {
        return verdict(EXIT_INVALID_RUN, why);
    }
    if let Some(part) = account.interrupted() {
        return verdict(EXIT_INTERRUPTED, part);
    }
    match account.validity().and_then(|()| validity(total)).and_then(|()| each_in_time(stages)) {
        Ok(()) => Ok(()),
        Err(why) => verdict(EXIT_INVALID_RUN, why),
    }
}

/// With the flag that helps.
fn validity(total: &Recorder) -> Result<(), String> {
    let summary = total.summary();
    let few = summary.own_causes.contains_key(crate::generator::TOO_FEW_SLOTS);
    let cure =
        if few { "; raise --max-in-flight (and ulimit -n), or lower --timeout or the rate" } else { "" };
    summary.validity().map_err(|why| why + cure)
}

/// Whether the generator was in time in every stage: a short one that it sent late has a latency of its own, and hardly
/// any weight in the whole.
fn each_in_time(stages: &[(String, &Recorder)]) -> Result<(), String> {
    let limit_ms = SEND_LAG_P99_MAX.as_secs_f64() * 1000.0;
    let late = |(name, stage): &(String, &Recorder)| {
        let lag_ms = stage.send_lag_ms(STAGE_LAG_SHARE);
        (lag_ms > limit_ms).then(|| format!("{name} (p95 {lag_ms:.1} ms)"))
    };
    let late: Vec<String> = stages.iter().filter_map(late).collect();
    if late.is_empty() {
        return Ok(());
    }
    Err(format!(
        "invalid run: the generator itself sent late in {} (limit {limit_ms:.0} ms); lower the rate or free the machine",
        late.join(", ")
    ))
}

#[cfg(test)]
mod tests;
