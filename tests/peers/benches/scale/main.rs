//! From a step of the load to more replicas: our loop, and the real HorizontalPodAutoscaler.
//!
//! Requests go through one of our proxies at 20 a second, then at 80. Every row below sees the same requests, decides by
//! the same query and target, and changes `spec.replicas` of a Deployment of its own from 1 to 4; watches of the
//! Deployments tell when. Rows of one run stand beside each other, so that every step is a step for all of them:
//!
//! ```text
//!  a   embedded API server; our scrape (1 s) ─► our Receive ─► our querier ─► our controller, interval 1 s
//!  b   real control plane; real Prometheus (1 s) ─► our controller, interval 1 s
//!  b2  real control plane; real Prometheus (1 s) ─► real Thanos sidecar ─► real Thanos querier ─► our controller
//!  b3  as b, interval 200 ms
//!  c   real control plane; real Prometheus (1 s) ─► external.metrics.k8s.io ─► the real HPA, its default: every 15 s
//!  c2  the same with --horizontal-pod-autoscaler-sync-period=1s
//!  s   no row but a bound: who asked that Prometheus all the time and took no time to decide
//! ```
//!
//! `cargo bench -p peers --bench scale [-- WORD…]`
//!
//! Words: rows of one run; without any there are two, `a b b2 c2` of ten minutes and `b c` of sixteen. `steps=N` (20),
//! `seed=N` (1): where the random pauses before the steps come from. `quick` is `steps=3`.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod adapter;
mod bed;
mod load;
mod rows;
mod steps;
mod table;
mod watched;

use std::error::Error;

use crate::bed::Bed;
use crate::rows::Kind;

/// What may go wrong.
type Outcome<T> = Result<T, Box<dyn Error>>;

struct Settings {
    runs: Vec<Vec<Kind>>,
    steps: usize,
    seed: u64,
}

fn settings(words: impl Iterator<Item = String>) -> Outcome<Settings> {
    let mut settings = Settings { runs: Vec::new(), steps: 20, seed: 1 };
    let mut kinds = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some(("steps", n)) => settings.steps = n.parse()?,
            Some(("seed", n)) => settings.seed = n.parse()?,
            // Cargo's own word.
            None if word == "--bench" => {}
            None if word == "quick" => settings.steps = 3,
            _ => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
                kinds.push(kind.ok_or_else(|| format!("{word}: no such row or setting"))?);
            }
        }
    }
    settings.runs = match kinds.as_slice() {
        [] => vec![vec![Kind::A, Kind::B, Kind::B2, Kind::C2], vec![Kind::B, Kind::C]],
        some if some.contains(&Kind::B) && some.contains(&Kind::B3) => {
            return Err("b and b3: the controllers of one API server are one another's stand-ins".into());
        }
        some if some.contains(&Kind::C) && some.contains(&Kind::C2) => {
            return Err("c and c2: a controller manager has one sync period".into());
        }
        _ => vec![kinds],
    };
    settings.runs.iter_mut().for_each(|kinds| kinds.retain(is_possible));
    settings.runs.retain(|kinds| !kinds.is_empty());
    Ok(settings)
}

fn is_possible(kind: &Kind) -> bool {
    let missing: Vec<_> = kind.needs().iter().filter(|p| peers::binary::binary(p).is_none()).collect();
    if !missing.is_empty() {
        println!("row {} is left out: {missing:?} not built; run tests/peers/build", kind.name());
    }
    missing.is_empty()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let settings = settings(std::env::args().skip(1))?;
    println!(
        "Nothing is pinned: 80 requests a second leave two cores mostly idle, and what is compared are seconds."
    );
    for kinds in &settings.runs {
        let mut bed = Bed::start(kinds).await?;
        let taken = steps::take(&mut bed, settings.steps, settings.seed).await?;
        table::print(&bed, &taken);
        bed.stop().await?;
    }
    Ok(())
}
