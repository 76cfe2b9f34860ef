//! Autoscalers in simulated worlds: `cargo run --profile worlds -p simulations-trials --example worlds -- --help`.

#![expect(clippy::print_stdout, reason = "what came of it is this program's output")]
#![expect(clippy::print_stderr, reason = "and how far it is, beside it")]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;
use simulations_kernel::Trace;
use simulations_trials::{Contestant, Outcome, Sums, Trial, sweep, table};
use simulations_world::scene::HOUR_MS;

/// Puts autoscalers into the worlds of many seeds, and tells what came of it; exit 1 if a law was broken by one that must
/// keep them
#[derive(Parser)]
struct Args {
    /// First seed and the one after the last
    #[arg(long, default_value = "0..100", value_parser = seeds)]
    seeds: Range<u64>,
    /// How long each world lasts, in minutes
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Worlds side by side
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Whom to put into them; everybody by default
    #[arg(long = "who", value_delimiter = ',')]
    who: Vec<Contestant>,
    /// Look for the least that breaks the first broken law, and print it
    #[arg(long)]
    shrink: bool,
    /// What goes wrong instead of what the seed says: a schedule as --shrink prints it
    #[arg(long)]
    faults: Option<String>,
    /// Print the broken laws of those who promise nothing as well
    #[arg(long)]
    tell: bool,
    /// Print all that happens in the world of the first seed
    #[arg(long)]
    trace: bool,
}

/// Lives that looking for the least may take.
const TRIES: usize = 200;

fn main() -> ExitCode {
    let args = Args::parse();
    let faults = match args.faults.as_deref().map(serde_json::from_str).transpose() {
        Ok(faults) => faults,
        Err(error) => {
            eprintln!("--faults: {error}");
            return ExitCode::from(64);
        }
    };
    let lasts_ms = HOUR_MS / 60 * i64::from(args.minutes);
    let trial = |seed| Trial { faults: faults.clone(), ..Trial::of(seed, lasts_ms) };
    let who = if args.who.is_empty() { Contestant::ALL.to_vec() } else { args.who.clone() };
    let mut rows = Vec::new();
    let mut failed = false;
    for contestant in who {
        if args.trace {
            let trace = Trace::complete();
            let outcome = trial(args.seeds.start).run(contestant, &trace);
            trace.lines().iter().for_each(|line| println!("{line}"));
            println!("{outcome:#?}");
            continue;
        }
        let began = Instant::now();
        let (done, count) = (AtomicUsize::new(0), args.seeds.clone().count());
        let outcomes = sweep(
            args.seeds.clone(),
            args.jobs,
            |seed| trial(seed).run(contestant, &Trace::new()),
            |outcome| {
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if must_keep(contestant, outcome) || args.tell && !outcome.broken.is_empty() {
                    tell(&args, contestant, outcome);
                }
                if outcome.late {
                    println!("seed {}: too many replicas at the end, and not an hour later", outcome.seed);
                }
                if done % 100 == 0 {
                    eprintln!("{}: {done} of {count}", contestant.name());
                }
            },
        );
        let mut sums = Sums::default();
        outcomes.iter().for_each(|outcome| sums.add(outcome, lasts_ms));
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let events: u64 = outcomes.iter().map(|o| o.life.events).sum();
        println!(
            "{}: {} worlds, {:.0} simulated hours in {minutes:.1} minutes, {:.0} a minute; {events} calls",
            contestant.name(),
            sums.worlds,
            sums.hours,
            sums.hours / minutes
        );
        let first = outcomes.iter().find(|outcome| must_keep(contestant, outcome));
        failed |= first.is_some();
        if let Some(first) = first.filter(|_| args.shrink) {
            let least = trial(first.seed).shrunk(contestant, TRIES);
            println!("least of seed {}: {}", first.seed, serde_json::to_string(&least).unwrap_or_default());
        }
        rows.push((contestant.title(), sums));
    }
    println!("\n{}", table(&rows));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether this is a failure: others are counted, and not held to our laws.
fn must_keep(contestant: Contestant, outcome: &Outcome) -> bool {
    contestant.keeps_laws() && !outcome.broken.is_empty()
}

fn tell(args: &Args, contestant: Contestant, outcome: &Outcome) {
    let Outcome { seed, broken, .. } = outcome;
    println!("seed {seed}: {}", broken.join("; "));
    println!(
        "  cargo run --profile worlds -p simulations-trials --example worlds -- --who {} --minutes {} --seeds {seed}..{} --shrink",
        contestant.name(),
        args.minutes,
        seed + 1
    );
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?}: write for example 0..1000");
    let (first, after) = text.split_once("..").ok_or_else(wrong)?;
    Ok(first.parse().map_err(|_| wrong())?..after.parse().map_err(|_| wrong())?)
}
