//! `gauntlet demo`: two meshed clusters under real load, scaled by what the querier answers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use simulations_load::schedule::{Arrivals, Stage};
use thanos_telemetry::{Context, RunError};

use crate::judge::{Bound, Expectation};
use crate::run::run as run_scenario;
use crate::scenario::{Fault, FaultKind, Phase, Scenario};
use crate::view::View;
use crate::world::World;

/// Watch two meshed clusters take real load and scale.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Args {
    /// Keep everything up after the verdict, until Ctrl-C.
    #[arg(long)]
    pub hold: bool,
    /// Where pods, logs and data live; kept when given, else a temporary folder that is removed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the load's randomness starts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

const QUIET_RPS: f64 = 20.0;
const BUSY_RPS: f64 = 200.0;

fn phase(name: &'static str, seconds: u64, rps: f64) -> Phase {
    Phase { name, stage: Stage::steady(Duration::from_secs(seconds), rps) }
}

/// Load steps up tenfold, holds, and drops; the west's metrics are cut while it holds.
///
/// At 12 requests per second and pod, 20 rps want 2 pods, the minimum, and 200 rps want 17.
pub fn scenario(seed: u64) -> Scenario {
    let cut = Fault {
        name: "west metrics cut",
        at: Duration::from_secs(33),
        lasts: Duration::from_secs(13),
        kind: FaultKind::Pause,
        cluster: "west",
        namespace: "monitoring",
        app: "scrape",
        container: "scrape",
    };
    let secs = Duration::from_secs;
    let mut expectations = Vec::new();
    for target in [("east", "web"), ("west", "web")] {
        let reaches = |bound, after, within| Expectation::Reaches { target, bound, after, within };
        expectations.push(reaches(Bound::AtLeast(15), "step", secs(25)));
        expectations.push(reaches(Bound::AtMost(2), "drop", secs(50)));
    }
    for target in [("east", "receive"), ("west", "receive")] {
        let reaches = |bound, after, within| Expectation::Reaches { target, bound, after, within };
        expectations.push(reaches(Bound::AtLeast(3), "step", secs(30)));
        expectations.push(reaches(Bound::AtMost(2), "drop", secs(50)));
    }
    expectations.push(Expectation::NeverLowered { from: "west metrics cut", to: "west metrics cut ended" });
    for policy in [("east", "web"), ("west", "web")] {
        expectations.push(Expectation::Lied {
            policy,
            from: "west metrics cut",
            to: "west metrics cut ended",
            share: 0.6,
        });
        expectations.push(Expectation::Recovers {
            policy,
            after: "west metrics cut ended",
            within: secs(15),
        });
    }
    expectations.push(Expectation::FailedShare { at_most: 0.0 });
    expectations.push(Expectation::ValidLoad);
    Scenario {
        name: "demo",
        clusters: vec!["east", "west"],
        phases: vec![
            phase("quiet", 15, QUIET_RPS),
            phase("step", 40, BUSY_RPS),
            phase("drop", 50, QUIET_RPS),
        ],
        arrivals: Arrivals::Poisson,
        seed,
        faults: vec![cut],
        expectations,
    }
}

/// Thresholds did not hold (k6's exit code for the same).
pub const EXIT_THRESHOLDS: u8 = 99;

/// Runs the demo.
///
/// # Errors
/// [`RunError::Verdict`] 99 when an expectation did not hold, 130 when broken off.
pub async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    let temporary = tempfile_dir(&args)?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.clone().unwrap_or_default());
    let result = run_in(&args, &dir, &ctx).await;
    if let Some(temporary) = temporary {
        match &result {
            Ok(()) => drop(std::fs::remove_dir_all(temporary)),
            Err(_) => View::new().say(&format!("\nlogs and data are kept in {}", temporary.display())),
        }
    }
    result
}

/// A folder of our own, unless one was given.
fn tempfile_dir(args: &Args) -> Result<Option<PathBuf>, RunError> {
    let wanted = match &args.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("gauntlet-demo-{}", std::process::id())),
    };
    std::fs::create_dir_all(&wanted)
        .map_err(|e| RunError::Config(format!("--dir {}: {e}", wanted.display())))?;
    Ok(args.dir.is_none().then_some(wanted))
}

async fn run_in(args: &Args, dir: &std::path::Path, ctx: &Context) -> Result<(), RunError> {
    let scenario = scenario(args.seed);
    let mut view = View::new();
    let program = std::env::current_exe().context("own program")?;
    let tell = |line: &str| view.say(line);
    let world = tokio::select! {
        world = World::start(dir, &program, &scenario.clusters, &tell) => world?,
        () = ctx.shutdown.started() => return Err(broken_off()),
    };
    let url = world.query_url().await?;
    view.say(&format!("\nquerier     {url}"));
    for c in world.clusters() {
        view.say(&format!("api server  {} ({})", c.api_url(), c.name()));
    }
    view.say(&format!(
        "kubectl     KUBECONFIG={} kubectl --context east get scalingpolicies -A",
        world.kubeconfig().display()
    ));
    view.say(&format!(
        "load        {QUIET_RPS} → {BUSY_RPS} → {QUIET_RPS} requests per second on each cluster, seed {}\n",
        args.seed
    ));
    let outcome = run_scenario(&scenario, &world, &ctx.shutdown, |journal| view.second(journal)).await;
    view.finish();
    let result = match outcome {
        Err(e) => Err(RunError::Failed(e)),
        Ok(outcome) => {
            view.summary(&outcome.timeline);
            view.verdict(&outcome.rows);
            if outcome.interrupted {
                Err(broken_off())
            } else if outcome.passed() {
                view.say("\nall expectations held");
                Ok(())
            } else {
                let failed = outcome.rows.iter().filter(|r| !r.held).count();
                let message = format!("{failed} of {} expectations did not hold", outcome.rows.len());
                Err(RunError::Verdict { code: EXIT_THRESHOLDS, message })
            }
        }
    };
    if args.hold && !ctx.shutdown.is_started() {
        view.say(&format!("\nholding: querier {url}; Ctrl-C ends everything"));
        ctx.shutdown.started().await;
    }
    view.say("stopping");
    world.stop().await;
    result
}

fn broken_off() -> RunError {
    RunError::Verdict { code: 130, message: "broken off".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_name_marks_that_the_scenario_makes() {
        let s = scenario(1);
        let mut marks: Vec<String> = s.phase_marks().iter().map(|(n, _)| (*n).to_owned()).collect();
        marks.extend(s.faults.iter().flat_map(|f| [f.name.to_owned(), format!("{} ended", f.name)]));
        for e in &s.expectations {
            let named = match e {
                Expectation::Reaches { after, .. }
                | Expectation::Recovers { after, .. }
                | Expectation::Restarted { after, .. } => vec![*after],
                Expectation::NeverLowered { from, to } | Expectation::Lied { from, to, .. } => {
                    vec![*from, *to]
                }
                Expectation::FailedShare { .. } | Expectation::ValidLoad => vec![],
            };
            assert!(named.iter().all(|n| marks.iter().any(|m| m == n)), "{e:?}");
        }
    }
}
