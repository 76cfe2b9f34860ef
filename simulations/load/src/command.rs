//! `gauntlet load`: the generator alone, against any URL.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use http::Uri;
use thanos_model::parse_duration;
use thanos_telemetry::{Context, RunError, cli};
use tokio::sync::watch;

use crate::generator::{Generator, Plan};
use crate::schedule::{Arrivals, Stage};
use crate::series::{parse_csv, stages as series_stages};

/// The run's own limits were exceeded, so its figures say nothing (k6 keeps 104 for configuration).
const EXIT_INVALID_RUN: u8 = 105;

/// Send planned load to a URL and report latency from the planned times.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where to send GET requests; repeat for several, taken in turn.
    #[arg(long = "url", required = true, value_name = "URL")]
    pub urls: Vec<Uri>,
    /// A stretch of load, in order: 30s@200 is 200 requests per second, 10s@20..200 a ramp.
    #[arg(
        long = "stage",
        required_unless_present = "series",
        conflicts_with = "series",
        value_name = "DURATION@RPS"
    )]
    pub stages: Vec<Stage>,
    /// Play a recorded series instead of stages: a CSV file of time,value (RFC 3339, Unix seconds, or seconds from the
    /// start), with straight lines in between; or of one value a row, with --step.
    #[arg(long, value_name = "FILE")]
    pub series: Option<PathBuf>,
    /// Distance of a series' rows, where they have no time.
    #[arg(long, requires = "series", conflicts_with = "stages", value_parser = parse_duration)]
    pub step: Option<Duration>,
    /// Play a series so many times as fast: 10 plays an hour in six minutes, at the same rates.
    #[arg(long, requires = "series", conflicts_with = "stages", default_value_t = 1.0)]
    pub speed: f64,
    /// Multiply a series' values by this.
    #[arg(long, requires = "series", conflicts_with = "stages", default_value_t = 1.0)]
    pub scale: f64,
    /// How arrivals are spread: even, poisson, or bursty:CV, a gamma renewal process whose distances have this
    /// coefficient of variation, from 1 (as poisson) to 20.
    #[arg(long, default_value_t)]
    pub arrivals: Arrivals,
    /// Where the arrivals' randomness starts; the same seed gives the same times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Longest wait for an answer, from the planned time.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Requests under way at once; more are counted as dropped.
    #[arg(long, default_value_t = 10_000)]
    pub max_in_flight: usize,
    /// Print the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the plan, a line a second, and prints the figures.
///
/// # Errors
/// [`RunError::Config`] for a URL without scheme or host, or a series that cannot be played; a [`RunError::Verdict`] (exit 105) for a run that the
/// generator itself spoiled.
#[expect(clippy::print_stdout, reason = "a command's result")]
pub async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    if let Some(bad) = args.urls.iter().find(|u| u.scheme_str() != Some("http") || u.authority().is_none()) {
        return Err(RunError::Config(format!("--url {bad}: write http://HOST[:PORT]/PATH")));
    }
    let stages = match &args.series {
        None => args.stages,
        Some(file) => {
            let bad = |e| RunError::Config(format!("--series {}: {e}", file.display()));
            let points = parse_csv(&cli::read_config(file)?, args.step).map_err(bad)?;
            series_stages(&points, args.speed, args.scale).map_err(bad)?
        }
    };
    let (_keep, targets) = watch::channel(args.urls);
    let plan = Plan {
        stages,
        stretches: Vec::new(),
        arrivals: args.arrivals,
        seed: args.seed,
        targets,
        timeout: args.timeout,
        max_in_flight: args.max_in_flight.clamp(1, 1_000_000),
        by_second: false,
    };
    let generator = Generator::start(plan, ctx.shutdown);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    while !generator.is_finished() {
        tick.tick().await;
        let p = generator.lap();
        let s = &p.second;
        tracing::info!(
            "{:>4.0}s {:>7.0} rps planned, {} ok, {} failed, p50 {:.1} ms, p99 {:.1} ms",
            p.at.as_secs_f64(),
            p.rate_rps,
            s.completed,
            s.failed,
            s.latency_p50_ms,
            s.latency_p99_ms
        );
    }
    let summary = generator.finish().await;
    if args.json {
        let json = serde_json::to_string(&summary).map_err(anyhow_error)?;
        println!("{json}");
    } else {
        println!("planned    {}", summary.planned);
        println!("completed  {}", summary.completed);
        println!("failed     {} {:?}", summary.failed, summary.causes);
        println!("dropped    {}", summary.dropped);
        println!(
            "latency    p50 {:.1} ms  p95 {:.1} ms  p99 {:.1} ms  max {:.1} ms (from the planned time)",
            summary.latency_p50_ms, summary.latency_p95_ms, summary.latency_p99_ms, summary.latency_max_ms
        );
        println!("send lag   p99 {:.2} ms", summary.send_lag_p99_ms);
    }
    summary.validity().map_err(|message| RunError::Verdict { code: EXIT_INVALID_RUN, message })
}

fn anyhow_error(e: serde_json::Error) -> RunError {
    RunError::Failed(e.into())
}
