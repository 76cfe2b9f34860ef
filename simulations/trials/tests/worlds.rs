//! This project's controller in worlds in which anything goes wrong: nothing that must hold is broken.
//!
//! Minutes of processor time, in an optimised build: `cargo test --profile worlds -p simulations-trials -- --ignored`.
//! `docs/worlds.md` has the command for many long worlds.

use simulations_kernel::{Schedule, Trace};
use simulations_trials::{Contestant, Outcome, Trial, sweep};
use simulations_world::scene::HOUR_MS;

/// Worlds, unless `WORLDS_SEEDS` says how many.
const SEEDS: u64 = 300;
const LASTS_MS: i64 = HOUR_MS / 3;

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn told(outcome: &Outcome) -> Option<String> {
    let Outcome { seed, broken, .. } = outcome;
    let command = format!(
        "cargo run --profile worlds -p simulations-trials --example worlds -- --who autoscaler --minutes {} --seeds {seed}..{} --shrink",
        LASTS_MS / 60_000,
        seed + 1
    );
    (!broken.is_empty()).then(|| format!("seed {seed}: {}\n  {command}", broken.join("; ")))
}

#[test]
#[ignore = "minutes of processor time; run it optimised, see above"]
fn nothing_is_broken_in_any_world() {
    let seeds = std::env::var("WORLDS_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let run = |seed| Trial::of(seed, LASTS_MS).run(Contestant::Autoscaler, &Trace::new());
    let outcomes = sweep(0..seeds, jobs(), run, |_| {});
    let broken: Vec<String> = outcomes.iter().filter_map(told).collect();
    assert!(broken.is_empty(), "{} of {seeds} worlds:\n{}", broken.len(), broken.join("\n"));
    // What holds replicas up for longer than the world lasts is rare.
    let late = outcomes.iter().filter(|outcome| outcome.late).count();
    assert!(late * 100 <= outcomes.len(), "{late} of {seeds} worlds had too many replicas at the end");
    // A controller that does nothing would break nothing.
    let sum = |of: fn(&Outcome) -> u32| outcomes.iter().map(of).sum::<u32>();
    let (raised, lowered) = (sum(|o| o.life.tally.raised), sum(|o| o.life.tally.lowered));
    assert!(
        u64::from(raised) > seeds / 3 && u64::from(lowered) > seeds / 3,
        "{raised} raises, {lowered} lowerings"
    );
}

#[test]
#[ignore = "minutes of processor time; run it optimised, see above"]
fn the_same_seed_is_the_same_world() {
    for seed in 0..4 {
        let run = |seed| {
            let trace = Trace::complete();
            (Trial::of(seed, LASTS_MS).run(Contestant::Autoscaler, &trace), trace)
        };
        let ((once, first), (again, second)) = (run(seed), run(seed));
        assert_eq!(first.first_difference(&second), None, "seed {seed}");
        assert_eq!(once, again);
    }
}

/// After whatever went wrong, replicas are those of a world in which nothing did.
#[test]
#[ignore = "minutes of processor time; run it optimised, see above"]
fn what_went_wrong_leaves_nothing_behind() {
    let run = |seed| {
        let trial = Trial::of(seed, LASTS_MS);
        let calm = Trial { faults: Some(Schedule::default()), ..trial.clone() };
        let ordered = |trial: &Trial| trial.run(Contestant::Autoscaler, &Trace::new()).life;
        (seed, ordered(&trial), ordered(&calm))
    };
    for (seed, troubled, calm) in sweep(0..20, jobs(), run, |_| {}) {
        // Both are within a tenth of what the load asks for, from whichever side they came.
        let (low, high) = calm.suits;
        assert!((low..=high).contains(&calm.ordered), "seed {seed}: {calm:?}");
        assert!(
            (low..=high).contains(&troubled.ordered),
            "seed {seed}: {} and {}",
            troubled.ordered,
            calm.ordered
        );
    }
}
