//! `gauntlet run` and `gauntlet demo`: a scenario from its file to its verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};
use futures::future::LocalBoxFuture;
use jiff::Timestamp;
use simulations_judge::record::{Line, RunRecord, StartLine, Verdict};
use simulations_judge::validity::Lateness;
use simulations_judge::{counterexample, verdict::Outcome};
use simulations_scenario::{Loaded, Scenario};
use thanos_telemetry::{Context, RunError};

use crate::calibrate::Setup;
use crate::exit;
use crate::run::{How as RunHow, run as run_scenario};
use crate::view::{Output, Teller, View};
use crate::world::World;
use crate::{builtin, calibrate, output, recorded, size};

mod source;

use source::Source;

/// Run a scenario and judge it. Exit codes: 0 everything held, 99 something did not, 104 the scenario is wrong,
/// 105 the load generator was not on time, 130 broken off.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// A scenario file, or the name of one that ships.
    #[arg(value_name = "FILE", required_unless_present_any = ["list", "schema"])]
    pub file: Option<PathBuf>,
    /// Override a value by its path, for example load.stages.step.rate=300; repeat for several.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Write report.html, result.json, junit.xml and summary.md into this folder.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Run a counterexample of the scenario, the first unless named: exit 0 if the rows that must fail do, 99 if
    /// one of them held.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub counterexample: Option<String>,
    /// Find the highest rate at which one replica of a service holds its slo (the only one that has an slo,
    /// unless named), and print it as `sustainsRps`; calibration.json with --report.
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, default_missing_value = "")]
    pub calibrate: Option<String>,
    /// How long each rate is tried, after a second of warm-up; with --calibrate.
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = probe_length)]
    pub probe: Duration,
    /// Only say which scenarios ship.
    #[arg(long, conflicts_with_all = ["file", "schema"])]
    pub list: bool,
    /// Only print the JSON Schema of scenario files, of result.json, or of the lines of --output json.
    #[arg(long, value_enum, value_name = "OF", num_args = 0..=1, default_missing_value = "scenario", conflicts_with = "file")]
    pub schema: Option<Schema>,
    /// How to run it.
    #[command(flatten)]
    pub how: How,
    /// The demo: what ships, whatever lies in the working directory, and a late generator is told as a warning where it
    /// changed no row.
    #[arg(skip)]
    pub demo: bool,
}

impl Default for Args {
    fn default() -> Self {
        let (set, how) = (Vec::new(), How::default());
        let probe = Duration::from_secs(8);
        Self {
            file: None,
            set,
            report: None,
            counterexample: None,
            calibrate: None,
            probe,
            list: false,
            schema: None,
            how,
            demo: false,
        }
    }
}

fn probe_length(text: &str) -> Result<Duration, String> {
    let probe = thanos_model::parse_duration(text)?;
    let fits = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&probe);
    fits.then_some(probe).ok_or_else(|| format!("a probe is from 1s to 1h, not {text}"))
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    /// Scenario files.
    Scenario,
    /// `result.json`.
    Result,
    /// A line of `--output json`.
    Lines,
}

/// How any scenario is run.
#[derive(Clone, Debug, ClapArgs)]
pub struct How {
    /// Keep everything up after the verdict, until Ctrl-C.
    #[arg(long)]
    pub hold: bool,
    /// Where pods, logs and data live, a new or empty folder; kept when given, else a temporary one that is removed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the load's randomness starts, instead of the scenario's seed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How late the load generator may send: 99th percentile of (sent − planned). Beyond it the run is invalid.
    #[arg(long, value_name = "DURATION", default_value = "5ms", value_parser = thanos_model::parse_duration)]
    pub max_send_lag: Duration,
    /// How it is told while it runs.
    #[arg(long, value_enum, default_value = "auto")]
    pub output: Output,
}

impl Default for How {
    fn default() -> Self {
        let max_send_lag = Lateness::default().max;
        Self { hold: false, dir: None, seed: None, max_send_lag, output: Output::default() }
    }
}

/// Watch two meshed clusters take real load and scale.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct DemoArgs {
    /// Write report.html, result.json, junit.xml and summary.md into this folder.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// How to run it.
    #[command(flatten)]
    pub how: How,
}

/// Runs the scenario that ships as `demo`.
///
/// # Errors
/// As [`run`].
pub fn demo(args: DemoArgs, ctx: Context) -> LocalBoxFuture<'static, Result<(), RunError>> {
    let file = Some(PathBuf::from("demo"));
    run(Args { file, report: args.report, how: args.how, demo: true, ..Args::default() }, ctx)
}

/// Runs a scenario.
///
/// # Errors
/// [`RunError::Verdict`] with one of the exit codes above.
pub fn run(args: Args, ctx: Context) -> LocalBoxFuture<'static, Result<(), RunError>> {
    Box::pin(prove(args, ctx))
}

async fn prove(args: Args, ctx: Context) -> Result<(), RunError> {
    if args.list || args.schema.is_some() {
        return list(&args);
    }
    let mut loaded = match args.demo {
        true => load_demo(&args).await?,
        false => load(&args, BTreeMap::new())?,
    };
    let calibrated = args.calibrate.as_ref().map(|service| Setup::new(&loaded, service, args.probe));
    let mut calibrated = calibrated.transpose().map_err(refused)?;
    if let Some(setup) = &mut calibrated {
        setup.max_send_lag = args.how.max_send_lag;
    }
    if calibrated.is_none() {
        if loaded.scenario.expect.is_empty() && loaded.scenario.thresholds.is_empty() {
            let file = &loaded.file;
            return Err(refused(format!(
                "{file}: says neither `thresholds` nor `expect`, so no run of it could fail"
            )));
        }
        // What is recorded is asked for last: everything that is wrong in the file was said by now.
        let file = loaded.file.clone();
        recorded::fetch(&mut loaded.scenario).await.map_err(|e| refused(format!("{file}: {e}")))?;
    }
    if let Some(report) = &args.report {
        // Before the run, not after it, is when to learn that its result cannot be kept.
        std::fs::create_dir_all(report)
            .and_then(|()| output::clear(report))
            .map_err(|e| refused(format!("--report {}: {e}", report.display())))?;
    }
    let temporary = folder(&args.how)?;
    let dir = match &temporary {
        Some(temporary) => temporary.path().to_owned(),
        None => args.how.dir.clone().unwrap_or_default(),
    };
    let result = match &calibrated {
        Some(setup) => calibrate::command::run(setup, &dir, args.report.as_deref(), &ctx).await,
        None => run_in(&args, &loaded, &dir, &ctx).await,
    };
    if let (Some(report), Err(error), None) = (&args.report, &result, &calibrated) {
        // What is wrong is the error that is told anyway.
        let _ = output::write_error(report, &loaded.scenario.name, &error.to_string());
    }
    if let Some(temporary) = temporary.filter(|_| result.is_err()) {
        let text = format!("\nlogs and data are kept in {}", temporary.keep().display());
        View::new(args.how.output).say(&text);
    }
    result
}

/// What `--list` and `--schema` print, whatever the output is said to be.
fn list(args: &Args) -> Result<(), RunError> {
    let print = View::new(Output::Text);
    if let Some(of) = args.schema {
        print.say(schema(of).trim_end());
        return Ok(());
    }
    for (name, _) in builtin::SCENARIOS {
        let loaded = builtin::load(name, &BTreeMap::new()).map_err(refused)?;
        let bad = match loaded.scenario.counterexamples.len() {
            0 => String::new(),
            1 => " (1 counterexample)".to_owned(),
            n => format!(" ({n} counterexamples)"),
        };
        print.say(&format!("{name:<20} {}{bad}", loaded.scenario.description));
    }
    Ok(())
}

fn refused(message: String) -> RunError {
    RunError::Verdict { code: exit::CONFIG, message }
}

/// A schema as it is committed.
pub fn schema(of: Schema) -> String {
    let schema = match of {
        Schema::Scenario => schemars::schema_for!(Scenario),
        Schema::Result => schemars::schema_for!(RunRecord),
        Schema::Lines => schemars::schema_for!(Line),
    };
    // A schema is a JSON value, which always prints.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// The demo in the size that fits the machine as it is now.
async fn load_demo(args: &Args) -> Result<Loaded, RunError> {
    let measured = tokio::task::spawn_blocking(size::measured).await;
    let (size, told) = measured.map_err(|e| RunError::Failed(e.into()))?;
    View::new(args.how.output).say(&told);
    load(args, size.overrides())
}

/// What was asked for, with what was set.
fn load(args: &Args, mut set: BTreeMap<String, String>) -> Result<Loaded, RunError> {
    for item in &args.set {
        let (key, value) =
            item.split_once('=').ok_or_else(|| refused(format!("--set {item}: write KEY=VALUE")))?;
        set.insert(key.to_owned(), value.to_owned());
    }
    if let Some(seed) = args.how.seed {
        set.insert("seed".into(), seed.to_string());
    }
    let file = args.file.clone().unwrap_or_default();
    let source = if args.demo { Source::Ships("demo".into()) } else { Source::find(&file) };
    let loaded = source.load(&set);
    let Some(name) = &args.counterexample else { return loaded.map_err(refused) };
    loaded.and_then(|l| l.counterexample(name, &|other| source.beside(other))).map_err(refused)
}

/// Reads a scenario file and the policy files beside it.
///
/// # Errors
/// Every problem, one a line.
pub fn read(file: &Path, set: &BTreeMap<String, String>) -> Result<Loaded, String> {
    Source::File(file.to_owned()).load(set)
}

/// A folder of our own, unless one was given, which holds nothing yet: what an earlier run's Receive has written would be
/// read into this one.
fn folder(how: &How) -> Result<Option<tempfile::TempDir>, RunError> {
    let Some(dir) = &how.dir else {
        let made = tempfile::Builder::new().prefix("gauntlet-run-").tempdir();
        let made = made.map_err(|e| refused(format!("no temporary folder: {e}; name one with --dir")));
        return made.map(Some);
    };
    let wrong = |e: &dyn std::fmt::Display| refused(format!("--dir {}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(|e| wrong(&e))?;
    let mut entries = std::fs::read_dir(dir).map_err(|e| wrong(&e))?;
    match entries.next() {
        None => Ok(None),
        Some(_) => Err(wrong(&"is not empty; name a new folder, or an empty one")),
    }
}

async fn run_in(args: &Args, loaded: &Loaded, dir: &Path, ctx: &Context) -> Result<(), RunError> {
    let scenario = &loaded.scenario;
    let mut view = View::new(args.how.output);
    let program = std::env::current_exe().context("own program")?;
    let tell = |line: &str| view.say(line);
    let world = tokio::select! {
        world = World::start(dir, &program, loaded, &tell) => world?,
        () = ctx.shutdown.started() => return Err(broken_off()),
    };
    let url = world.query_url().await?;
    let started_at = Timestamp::now();
    view.start(StartLine {
        querier_url: url.clone(),
        api_urls: world.clusters().iter().map(|c| (c.name().to_owned(), c.api_url())).collect(),
        kubeconfig: world.kubeconfig().display().to_string(),
        ..StartLine::new(loaded, started_at)
    });
    let lateness = Lateness { max: args.how.max_send_lag, only_where_it_matters: args.demo };
    let how = RunHow { lateness, records: args.report.clone() };
    let teller = Teller::start(view);
    let outcome = run_scenario(scenario, &world, &ctx.shutdown, &how, |journal| teller.tick(journal)).await;
    let mut view = teller.end().unwrap_or_else(|| View::new(args.how.output));
    let result = match outcome {
        Err(e) => {
            view.finish();
            Err(RunError::Failed(e))
        }
        Ok(outcome) => {
            view.end(&outcome.timeline);
            let record = RunRecord::new(loaded, &outcome);
            view.verdict_line(&record);
            view.summary(&outcome.timeline);
            view.verdict(&outcome.rows);
            view.warnings(&outcome.warnings);
            let written = match &args.report {
                None => Ok(()),
                Some(dir) => {
                    output::write_all(dir, &record).with_context(|| format!("--report {}", dir.display()))
                }
            };
            // A result that could not be kept does not hide a verdict that says no.
            conclude(&view, loaded, &outcome).and_then(|()| written.map_err(RunError::Failed))
        }
    };
    if args.how.hold && !ctx.shutdown.is_started() {
        view.say(&format!("\nholding: querier {url}; Ctrl-C ends everything"));
        ctx.shutdown.started().await;
    }
    view.say("stopping");
    match args.how.dir {
        // It is kept to be looked at.
        Some(_) => world.stop_politely().await,
        None => world.stop().await,
    }
    result
}

/// Says how it ended; the exit code where that is not 0.
fn conclude(view: &View, loaded: &Loaded, outcome: &Outcome) -> Result<(), RunError> {
    let no = |code, message: String| Err(RunError::Verdict { code, message });
    let failed = || outcome.rows.iter().filter(|r| !r.held);
    match (outcome.verdict, &loaded.counterexample) {
        (Verdict::Pass | Verdict::Thresholds, Some(c)) => {
            let rows = counterexample::judge(c, &outcome.rows);
            view.say(&format!("\ncounterexample {:?}: {}", c.name, c.why));
            view.verdict(&rows);
            let held: Vec<&str> = rows.iter().filter(|r| !r.held).map(|r| r.key.as_str()).collect();
            // What was to go wrong, and to be recorded, did and was, or the rows fail for another reason.
            let otherwise = failed().find(|r| matches!(r.key.as_str(), "fault" | "records"));
            if let Some(row) = otherwise {
                return no(exit::THRESHOLDS, format!("{}: {}", row.expectation, row.found));
            }
            if !held.is_empty() {
                let message = format!("should have failed and did not: {}", held.join(", "));
                return no(exit::THRESHOLDS, message);
            }
            let named: Vec<&str> = rows.iter().map(|r| r.key.as_str()).collect();
            view.say(&format!("\nfailed as it should: {}", named.join(", ")));
            Ok(())
        }
        (Verdict::Pass, None) => {
            view.say("\nall expectations held");
            Ok(())
        }
        (Verdict::Thresholds, None) => {
            no(exit::THRESHOLDS, format!("{} of {} rows did not hold", failed().count(), outcome.rows.len()))
        }
        (Verdict::InvalidGenerator, _) => {
            // The rows on how the run was driven are the last.
            let why = failed().next_back().map(|r| r.found.clone()).unwrap_or_default();
            no(exit::INVALID_GENERATOR, format!("not driven as planned, so the run says nothing: {why}"))
        }
        (Verdict::Interrupted, _) => Err(broken_off()),
    }
}

fn broken_off() -> RunError {
    RunError::Verdict { code: exit::INTERRUPTED, message: "broken off".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
        for (of, file) in [
            (Schema::Scenario, "scenario.schema.json"),
            (Schema::Result, "result.schema.json"),
            (Schema::Lines, "lines.schema.json"),
        ] {
            if std::env::var_os("UPDATE_SCHEMAS").is_some() {
                std::fs::write(folder.join(file), schema(of)).unwrap();
            }
            let committed = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert!(
                committed == schema(of),
                "{file}: write it anew with UPDATE_SCHEMAS=1 cargo test -p simulations-harness schemas"
            );
        }
    }
}
