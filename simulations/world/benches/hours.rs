//! How many hours a minute a world simulates on one core, with a controller as small as one can be:
//! `cargo bench -p simulations-world --bench hours`.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]
#![expect(clippy::unwrap_used, reason = "without its world there is no figure")]

#[path = "../tests/closed_loop/stand_in.rs"]
mod stand_in;

use std::time::Instant;

use simulations_kernel::{Schedule, Trace};
use simulations_world::Load;

use stand_in::{HOUR_MS, Trust, busy, live, troubled};

fn main() {
    // Whoever only wants to see that it runs gets one of each.
    let seeds = if std::env::args().any(|arg| arg == "--bench") { 50 } else { 1 };
    let constant: fn(u64) -> Load = |_| Load::constant(400.0);
    for (what, load, faulty, trust) in [
        ("a controller that believes anything, constant load", constant, false, Trust::Anything),
        ("one that asks for evidence, constant load", constant, false, Trust::Evidence),
        ("the same, busy load", busy as fn(u64) -> Load, false, Trust::Evidence),
        ("the same, busy load and faults", busy, true, Trust::Evidence),
    ] {
        let began = Instant::now();
        let mut events = 0;
        for seed in 0..seeds {
            let faults = if faulty { troubled(seed, HOUR_MS) } else { Schedule::default() };
            events += live(seed, HOUR_MS, load(seed), faults, trust, &Trace::new()).events;
        }
        let took = began.elapsed().as_secs_f64();
        let hours = seeds as f64;
        println!(
            "{what}: {:.0} simulated hours a minute, {:.1} ms and {:.0} calls an hour",
            hours / took * 60.0,
            took / hours * 1000.0,
            events as f64 / hours
        );
    }
}
