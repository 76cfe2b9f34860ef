//! `gauntlet run` and `gauntlet demo`: a scenario from its file to its verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};
use jiff::Timestamp;
use thanos_telemetry::{Context, RunError, cli};

use crate::calibrate::Setup;
use crate::record::{Line, RunRecord, StartLine, Verdict};
use crate::run::run as run_scenario;
use crate::scenario::Scenario;
use crate::scenario::file::{Loaded, parse};
use crate::view::{Output, View};
use crate::world::World;
use crate::{builtin, calibrate, output, recorded};

/// Thresholds did not hold (k6's exit code for the same).
pub const EXIT_THRESHOLDS: u8 = 99;
/// The scenario is wrong (k6's; the rest of the program says 64).
pub const EXIT_CONFIG: u8 = 104;
/// The load generator was late or lost requests, so that the run says nothing.
pub const EXIT_INVALID_GENERATOR: u8 = 105;
/// Broken off.
pub const EXIT_INTERRUPTED: u8 = 130;

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
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct How {
    /// Keep everything up after the verdict, until Ctrl-C.
    #[arg(long)]
    pub hold: bool,
    /// Where pods, logs and data live; kept when given, else a temporary folder that is removed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the load's randomness starts, instead of the scenario's seed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How it is told while it runs.
    #[arg(long, value_enum, default_value = "auto")]
    pub output: Output,
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
pub async fn demo(args: DemoArgs, ctx: Context) -> Result<(), RunError> {
    let file = Some(PathBuf::from("demo"));
    run(Args { file, report: args.report, how: args.how, ..Args::default() }, ctx).await
}

/// Runs a scenario.
///
/// # Errors
/// [`RunError::Verdict`] with one of the exit codes above.
pub async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    if args.list || args.schema.is_some() {
        return list(&args);
    }
    let mut loaded = load(&args)?;
    let calibrated = args.calibrate.as_ref().map(|service| Setup::new(&loaded, service, args.probe));
    let calibrated = calibrated.transpose().map_err(refused)?;
    if calibrated.is_none() {
        // What is recorded is asked for last: everything that is wrong in the file was said by now.
        let file = loaded.file.clone();
        recorded::fetch(&mut loaded.scenario).await.map_err(|e| refused(format!("{file}: {e}")))?;
    }
    if let Some(report) = &args.report {
        // Before the run, not after it, is when to learn that its result cannot be kept.
        std::fs::create_dir_all(report)
            .map_err(|e| refused(format!("--report {}: {e}", report.display())))?;
    }
    let temporary = folder(&args.how)?;
    let dir = args.how.dir.clone().unwrap_or_else(|| temporary.clone().unwrap_or_default());
    let result = match &calibrated {
        Some(setup) => calibrate::command::run(setup, &dir, args.report.as_deref(), &ctx).await,
        None => run_in(&args, &loaded, &dir, &ctx).await,
    };
    if let Some(temporary) = temporary {
        match &result {
            Ok(()) => drop(std::fs::remove_dir_all(temporary)),
            Err(_) => {
                let text = format!("\nlogs and data are kept in {}", temporary.display());
                View::new(args.how.output).say(&text);
            }
        }
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
    RunError::Verdict { code: EXIT_CONFIG, message }
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

/// The file if there is one, else what ships under that name.
fn load(args: &Args) -> Result<Loaded, RunError> {
    let mut set = BTreeMap::new();
    for item in &args.set {
        let (key, value) =
            item.split_once('=').ok_or_else(|| refused(format!("--set {item}: write KEY=VALUE")))?;
        set.insert(key.to_owned(), value.to_owned());
    }
    if let Some(seed) = args.how.seed {
        set.insert("seed".into(), seed.to_string());
    }
    let file = args.file.clone().unwrap_or_default();
    let there = file.exists();
    let loaded = if there { read(&file, &set) } else { builtin::load(&file.display().to_string(), &set) };
    let Some(name) = &args.counterexample else { return loaded.map_err(refused) };
    let changed = |loaded: Loaded| match there {
        true => loaded.counterexample(name, &|other| beside(&file, other)),
        false => loaded.counterexample(name, &builtin::file),
    };
    loaded.and_then(changed).map_err(refused)
}

/// Reads a scenario file and the policy files beside it.
///
/// # Errors
/// Every problem, one a line.
pub fn read(file: &Path, set: &BTreeMap<String, String>) -> Result<Loaded, String> {
    let text = cli::read_config(file).map_err(|e| e.to_string())?;
    parse(&file.display().to_string(), &text, set, &|other| beside(file, other))
}

fn beside(file: &Path, name: &str) -> Result<String, String> {
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    cli::read_config(&folder.join(name)).map_err(|e| e.to_string())
}

/// A folder of our own, unless one was given.
fn folder(how: &How) -> Result<Option<PathBuf>, RunError> {
    let wanted = match &how.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("gauntlet-run-{}", std::process::id())),
    };
    std::fs::create_dir_all(&wanted).map_err(|e| refused(format!("--dir {}: {e}", wanted.display())))?;
    Ok(how.dir.is_none().then_some(wanted))
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
    let outcome = run_scenario(scenario, &world, &ctx.shutdown, |journal| view.second(journal)).await;
    let result = match outcome {
        Err(e) => {
            view.finish();
            Err(RunError::Failed(e))
        }
        Ok(outcome) => {
            view.end(&outcome.timeline);
            let record = RunRecord::new(loaded, &outcome, started_at);
            view.verdict_line(&record);
            view.summary(&outcome.timeline);
            view.verdict(&outcome.rows);
            let written = match &args.report {
                None => Ok(()),
                Some(dir) => {
                    output::write_all(dir, &record).with_context(|| format!("--report {}", dir.display()))
                }
            };
            let failed = outcome.rows.iter().filter(|r| !r.held).count();
            let no = |code, message: String| Err(RunError::Verdict { code, message });
            // A result that could not be kept does not hide a verdict that says no.
            match (outcome.verdict, &loaded.counterexample) {
                (Verdict::Pass | Verdict::Thresholds, Some(c)) => {
                    let rows = c.judge(&outcome.rows);
                    view.say(&format!("\ncounterexample {:?}: {}", c.name, c.why));
                    view.verdict(&rows);
                    let held: Vec<&str> = rows.iter().filter(|r| !r.held).map(|r| r.key.as_str()).collect();
                    if held.is_empty() {
                        let named: Vec<&str> = rows.iter().map(|r| r.key.as_str()).collect();
                        view.say(&format!("\nfailed as it should: {}", named.join(", ")));
                        written.map_err(RunError::Failed)
                    } else {
                        no(EXIT_THRESHOLDS, format!("should have failed and did not: {}", held.join(", ")))
                    }
                }
                (Verdict::Pass, None) => {
                    view.say("\nall expectations held");
                    written.map_err(RunError::Failed)
                }
                (Verdict::Thresholds, None) => no(
                    EXIT_THRESHOLDS,
                    format!("{failed} of {} expectations did not hold", outcome.rows.len()),
                ),
                (Verdict::InvalidGenerator, _) => no(
                    EXIT_INVALID_GENERATOR,
                    "the load generator was not on time, so the run says nothing".into(),
                ),
                (Verdict::Interrupted, _) => Err(broken_off()),
            }
        }
    };
    if args.how.hold && !ctx.shutdown.is_started() {
        view.say(&format!("\nholding: querier {url}; Ctrl-C ends everything"));
        ctx.shutdown.started().await;
    }
    view.say("stopping");
    world.stop().await;
    result
}

fn broken_off() -> RunError {
    RunError::Verdict { code: EXIT_INTERRUPTED, message: "broken off".into() }
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
