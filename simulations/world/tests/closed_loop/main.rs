//! A controller in a world: it scales a Deployment through the faulty API server on what the faulty querier says, for a
//! simulated hour; and the same seed is the same hour, in another process too.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod stand_in;

use std::process::Command;

use simulations_kernel::shrink::shrink;
use simulations_kernel::{Schedule, Trace};
use simulations_world::world::EPOCH_MS;
use simulations_world::{Load, WorldFault};

use stand_in::{HOUR_MS, Trust, busy, live, troubled};

/// A world of the tests that have many.
const SHORT_MS: i64 = HOUR_MS / 12;

#[test]
fn replicas_follow_the_load_in_virtual_time() {
    let load = Load::through([
        (0, 100.0),
        (600_000, 100.0),
        (600_000, 900.0),
        (1_800_000, 900.0),
        (1_800_000, 200.0),
    ]);
    let life = live(1, HOUR_MS, load, Schedule::default(), Trust::Evidence, &Trace::new());
    assert_eq!((life.wanted, life.asked, life.range), (6, 6, (4, 20)), "{life:?}");
    assert_eq!(life.ticks, 721, "{life:?}");
}

#[test]
fn after_the_faults_replicas_are_what_the_load_asks_for() {
    for seed in 0..8 {
        let life = live(
            seed,
            HOUR_MS / 2,
            Load::constant(400.0),
            troubled(seed, HOUR_MS / 2),
            Trust::Evidence,
            &Trace::new(),
        );
        assert!((9..=10).contains(&life.wanted), "seed {seed}: {life:?}");
    }
}

fn of_seed(seed: u64, trace: &Trace) -> stand_in::Life {
    live(seed, SHORT_MS, busy(seed), troubled(seed, SHORT_MS), Trust::Evidence, trace)
}

#[test]
fn the_same_seed_is_the_same_world() {
    let first = Trace::complete();
    let once = of_seed(7, &first);
    assert!(once.events > 60, "{once:?}");
    for _ in 0..19 {
        let again = Trace::complete();
        assert_eq!(of_seed(7, &again), once);
        assert_eq!(first.first_difference(&again), None);
    }
    assert_ne!(once.digest, of_seed(8, &Trace::new()).digest);
    let digests: Vec<String> = (0..2).map(|_| elsewhere(7)).collect();
    assert_eq!(digests, [once.digest.clone(), once.digest]);
}

/// Who believes anything is found out in some world, and what it takes is next to nothing.
#[test]
fn a_world_in_which_a_lie_is_believed_shrinks_to_the_lie() {
    let believes = |seed: u64, faults: &Schedule<WorldFault>| {
        let load = Load::constant(400.0);
        let life = live(seed, SHORT_MS, load, faults.clone(), Trust::Anything, &Trace::new());
        !life.lies_ms.is_empty()
    };
    assert!(!believes(0, &Schedule::default()), "without faults nobody lies");
    let is_found = |seed: &u64| believes(*seed, &troubled(*seed, SHORT_MS));
    let seed = (0..20).find(is_found).unwrap();
    let all = troubled(seed, SHORT_MS);
    let least = shrink(&all, 60, |faults| believes(seed, faults));
    assert!(believes(seed, &least), "{least:?}");
    assert_eq!(least.faults.len(), 1, "of {}: {least:#?}", all.faults.len());
}

const PLACE: &str = "WORLD_DIGEST_FILE";

/// A world's digest in a process of its own.
fn elsewhere(seed: u64) -> String {
    let file = std::env::temp_dir().join(format!("world-{}-{seed}", std::process::id()));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_world_elsewhere", "--ignored"])
        .env(PLACE, &file)
        .env("WORLD_SEED", seed.to_string())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let digest = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    digest
}

#[test]
#[ignore = "run by the_same_seed_is_the_same_world, in a process of its own"]
fn a_world_elsewhere() {
    let Ok(file) = std::env::var(PLACE) else { return };
    let seed: u64 = std::env::var("WORLD_SEED").unwrap().parse().unwrap();
    std::fs::write(file, of_seed(seed, &Trace::new()).digest).unwrap();
}

#[test]
fn worlds_begin_when_they_say() {
    assert_eq!("2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond(), EPOCH_MS);
}
