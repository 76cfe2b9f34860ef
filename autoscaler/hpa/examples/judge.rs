//! Compares this crate with the real HPA controller over many random syncs.
//!
//! ```text
//! judge seeds  SYNCS PROCESSES SEED PROGRAM     scenarios of this crate's tests, given to PROGRAM
//! judge lines  PROGRAM < SCENARIOS              scenarios from elsewhere, one a line
//! judge replay SCENARIOS RUNS                   files of lines that belong together
//! judge print  SEED COUNT                       scenarios to standard output
//! ```
//!
//! `PROGRAM` is the real controller in virtual time: reads a scenario a line, writes its run a line. Ends with 1
//! where anything differs.
#![allow(clippy::print_stdout, reason = "a command line")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[path = "../tests/upstream/harness.rs"]
mod harness;
#[path = "../tests/upstream/judge.rs"]
mod judge;

use harness::{generate, oracle};
use judge::{Verdict, judge};

/// How long one scenario may take.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    let verdict = match arguments.as_slice() {
        ["seeds", syncs, processes, seed, program] => {
            seeds(number(syncs), number(processes), number(seed), program)
        }
        ["lines", program] => {
            let scenarios = std::io::stdin().lock().lines().map_while(Result::ok).collect::<Vec<_>>();
            one(program, scenarios.into_iter(), |_| true)
        }
        ["replay", scenarios, runs] => replay(scenarios, runs),
        ["print", seed, count] => {
            (0..number(count)).for_each(|k| println!("{}", generate::scenario(number(seed), k)));
            return ExitCode::SUCCESS;
        }
        _ => panic!("see the head of {}", file!()),
    };
    let took = start.elapsed().as_secs_f64();
    for difference in verdict.differences.iter().take(20) {
        println!("{difference}");
    }
    println!(
        "{} syncs, {} of them writes, {} differ; {} scenarios refused; {took:.1} s, {:.0} syncs/s",
        verdict.syncs,
        verdict.writes,
        verdict.differences.len(),
        verdict.invalid,
        verdict.syncs as f64 / took
    );
    ExitCode::from(u8::from(!verdict.differences.is_empty()))
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// One process a seed, counting from the first.
fn seeds(syncs: u64, processes: u64, first: u64, program: &str) -> Verdict {
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (first..first + processes)
        .map(|seed| {
            let (done, program) = (Arc::clone(&done), program.to_owned());
            std::thread::spawn(move || {
                one(&program, oracle::seeded(seed), |more| {
                    done.fetch_add(more, Ordering::Relaxed) + more < syncs
                })
            })
        })
        .collect();
    let mut verdict = Verdict::default();
    for thread in threads {
        verdict.add(thread.join().expect("no panic"));
    }
    verdict
}

fn one(
    program: &str,
    scenarios: impl Iterator<Item = String> + Send + 'static,
    mut go_on: impl FnMut(u64) -> bool,
) -> Verdict {
    let mut verdict = Verdict::default();
    oracle::run(Path::new(program), scenarios, LIMIT, |scenario, run| {
        let one = judge(scenario, run);
        let more = one.syncs;
        verdict.add(one);
        go_on(more)
    })
    .expect("the real controller runs");
    verdict
}

fn replay(scenarios: &str, runs: &str) -> Verdict {
    let lines = |path: &str| {
        let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        std::io::BufReader::new(file).lines().map_while(Result::ok)
    };
    let mut verdict = Verdict::default();
    for (scenario, run) in lines(scenarios).zip(lines(runs)) {
        verdict.add(judge(&scenario, &run));
    }
    verdict
}
