//! A world for autoscalers, drawn from a seed: a Deployment whose load comes and goes, other clusters beside it, what is
//! asked of whoever scales it, and what goes wrong.
//!
//! ```text
//!  0 ─► metrics fill windows ─► begin ─── load comes and goes ───► load stands ───────────────────► end
//!                                    faults: API, metrics, pods, actors ─────► over    ten minutes
//! ```
//!
//! Everybody who is put into the scene of a seed meets the same load, the same faults and the same luck.

use std::time::Duration;

use simulations_kernel::{Fault, Schedule, Stream, Streams, Trace, swarm};
use thanos_telemetry::Shutdown;

use crate::fleet::Scrape;
use crate::load::Load;
use crate::scaled::Scaled;
use crate::truth::{Tally, Truth};
use crate::world::{self, Member, Setup, Size, Source, World, WorldFault};

/// The namespace of all that is in a scene.
pub const NAMESPACE: &str = "default";
/// The Deployment that is scaled, in the first cluster.
pub const DEPLOYMENT: &str = "web";
/// The lease of those on trial, where they have one.
pub const LEASE: &str = "autoscaler";
/// Those on trial, at most, for whose clocks faults are drawn.
pub const ACTORS: usize = 2;
/// An hour, in milliseconds: how long scenes last unless somebody says otherwise.
pub const HOUR_MS: i64 = 3_600_000;

/// Whoever scales comes this long after the pods, in milliseconds: when every window is full of samples.
pub const BEGIN_MS: i64 = 180_000;

/// At the end nothing goes wrong for so long, in milliseconds, or for half of a shorter scene.
const CALM_MS: i64 = 600_000;

/// Requests a second that a replica is meant to have, and what it can serve.
const PER_REPLICA: f64 = 50.0;
const CAPACITY: f64 = 62.5;

/// A world and what is asked for in it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The world.
    pub setup: Setup,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: i64,
    /// What is asked.
    pub task: Task,
    /// What the load asks for.
    pub truth: Truth,
    /// From when on nothing goes wrong and the load stands, in milliseconds since the world began.
    pub calm_from_ms: i64,
}

/// What is asked of whoever scales, in terms that all of them know.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// PromQL for the requests a second on all clusters.
    pub query: String,
    /// The range that it reads, in milliseconds.
    pub window_ms: i64,
    /// Names of the clusters, the one with the Deployment first.
    pub clusters: Vec<String>,
    /// Whether these names may be told to whoever scales; one in three has to find out by itself.
    pub names_clusters: bool,
    /// How old samples may be, in milliseconds.
    pub max_age_ms: i64,
    /// How often to evaluate, in milliseconds, where that can be said.
    pub interval_ms: i64,
    /// Replicas as the world begins.
    pub replicas: i32,
    /// For how long the highest recommendation counts on the way down, in seconds.
    pub down_window_s: i32,
    /// At most so many replicas fewer in so many seconds, if that is asked for.
    pub down_rate: Option<(i32, i32)>,
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// What the seed says.
    Drawn,
}

impl Scene {
    /// The scene of a seed.
    pub fn drawn(seed: u64, lasts_ms: i64, trouble: Trouble) -> Self {
        let streams = Streams::new(seed).of("scene");
        let mut s = streams.stream("shape");
        let scrape_ms = s.pick(&[1000, 1000, 1000, 5000, 15_000]).copied().unwrap_or(1000);
        let (window_ms, max_age_ms) = match scrape_ms {
            1000 => s.pick(&[(30_000, 20_000), (10_000, 5000), (60_000, 20_000)]),
            5000 => s.pick(&[(30_000, 20_000), (60_000, 30_000)]),
            _ => s.pick(&[(60_000, 45_000), (120_000, 60_000)]),
        }
        .copied()
        .unwrap_or((60_000, 45_000));
        let interval_ms = s.pick(&[1000, 5000, 5000, 15_000]).copied().unwrap_or(5000);
        let (down_window_s, down_rate) = s
            .pick(&[(0, None), (30, None), (60, None), (300, None), (30, Some((5, 60))), (0, Some((2, 15)))])
            .copied()
            .unwrap_or((60, None));
        let others = s.below(3);
        let calm_from_ms = lasts_ms - CALM_MS.min(lasts_ms / 2);
        let stands_from_ms = calm_from_ms * 9 / 10;
        let load = home_load(&mut streams.stream("load"), stands_from_ms);
        let mut clusters = vec!["east".to_owned()];
        clusters.extend(
            ["west", "north"].into_iter().take(usize::try_from(others).unwrap_or(0)).map(str::to_owned),
        );
        let scrape = Scrape { interval_ms: scrape_ms, ..Scrape::default() };
        let labels = vec![("deployment".to_owned(), DEPLOYMENT.to_owned())];
        let mut members = Vec::new();
        let mut begin = load.rate(0);
        for (i, name) in clusters.iter().enumerate() {
            let (load, pods) = if i == 0 {
                (load.clone(), Source::Api { manifests: String::new(), start_ms: (2000, 8000) })
            } else {
                let mut s = streams.stream(name);
                let load = Load::constant(s.uniform(20.0, 300.0));
                begin += load.rate(0);
                (load, Source::Fixed(u32::try_from(2 + s.below(4)).unwrap_or(2)))
            };
            let (scrape, labels) = (scrape.clone(), labels.clone());
            members.push(Member { name: name.clone(), load, scrape, labels, pods });
        }
        let bounds = (2, 40);
        let replicas = ((begin / PER_REPLICA).ceil() as i32).max(bounds.0).min(bounds.1);
        if let Some(Member { pods: Source::Api { manifests, .. }, .. }) = members.first_mut() {
            *manifests = deployment(replicas);
        }
        let faults = match trouble {
            Trouble::None => Schedule::default(),
            Trouble::Drawn => troubles(&Streams::new(seed), calm_from_ms, clusters.len()),
        };
        let setup = Setup { seed, clusters: members, faults, query_takes_ms: 5, lease: LEASE.to_owned() };
        let task = Task {
            query: format!("sum(rate(request_total{{deployment=\"{DEPLOYMENT}\"}}[{}s]))", window_ms / 1000),
            window_ms,
            clusters,
            names_clusters: !streams.stream("names").chance(0.33),
            max_age_ms,
            interval_ms,
            replicas,
            down_window_s,
            down_rate,
        };
        // Evaluated up to an interval before it is written, which may take as long as a call may.
        let looks_back_ms = window_ms + max_age_ms + interval_ms + 5000;
        let truth = Truth { per_replica: PER_REPLICA, capacity: CAPACITY, bounds, looks_back_ms };
        Self { setup, lasts_ms, task, truth, calm_from_ms }
    }

    /// Lives through it with those whom `begin` puts into it. What they spawn ends with the world.
    ///
    /// # Panics
    /// The world's own manifests are refused: then nothing can be said.
    pub fn live(&self, trace: &Trace, begin: impl FnOnce(&World, &Shutdown)) -> Life {
        crate::run(async {
            let world =
                World::begin(self.setup.clone(), trace.clone()).expect("a scene's manifests are sound");
            let end = Shutdown::new();
            tokio::time::sleep(Duration::from_millis(BEGIN_MS.unsigned_abs())).await;
            begin(&world, &end);
            let left = u64::try_from(self.lasts_ms - BEGIN_MS).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(left)).await;
            let scaled = world.journal.all();
            let during = BEGIN_MS..self.lasts_ms;
            let tally = self.truth.tally(&world.metrics, 0, self.task.replicas, &scaled, during);
            let suits = self.truth.suits(&world.metrics, self.lasts_ms);
            let ordered = scaled.last().map_or(self.task.replicas, |s| s.to);
            end.start();
            world.end();
            Life { tally, scaled, ordered, suits, events: trace.count() }
        })
    }
}

/// What came of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// How whoever scaled did.
    pub tally: Tally,
    /// All changes of replicas.
    pub scaled: Vec<Scaled>,
    /// Replicas ordered at the end.
    pub ordered: i32,
    /// The fewest and the most replicas that suited the load at the end.
    pub suits: (i32, i32),
    /// How much happened.
    pub events: u64,
}

/// One world in four has the same load all the time: what moves there, moves by itself.
fn home_load(s: &mut Stream, stands_from_ms: i64) -> Load {
    let (least, highest) = (40.0, 900.0);
    if s.chance(0.25) {
        return Load::constant(s.uniform(least, highest));
    }
    Load::drawn(s, stands_from_ms, least, highest).held_from(stands_from_ms)
}

fn troubles(streams: &Streams, over_ms: i64, clusters: usize) -> Schedule<WorldFault> {
    let (first_ms, over_ms) = (BEGIN_MS.unsigned_abs() + 30_000, over_ms.unsigned_abs());
    let mean = &mut streams.of("scene").stream("mean");
    let bounds = swarm::Bounds {
        begin_ms: first_ms..=first_ms.max(over_ms * 9 / 10),
        over_ms,
        count: 0..=4,
        mean_ms: mean.pick(&[20_000, 120_000, 400_000]).copied().unwrap_or(120_000),
    };
    let mut drawn = world::drawn(streams, Size { clusters, actors: ACTORS }, &bounds);
    drawn.faults.retain_mut(|fault| settles(fault, over_ms));
    drawn
}

/// Shortens a fault until nothing is felt of it after a time, in milliseconds; whether anything is left of it.
fn settles(fault: &mut Fault<WorldFault>, over_ms: u64) -> bool {
    while fault.to_ms.saturating_add(fault.kind.tail_ms(fault.lasts_ms())) > over_ms {
        let half = fault.lasts_ms() / 2;
        if half < 1000 {
            return false;
        }
        fault.to_ms = fault.from_ms + half;
    }
    true
}

fn deployment(replicas: i32) -> String {
    format!(
        "apiVersion: apps/v1\n\
         kind: Deployment\n\
         metadata: {{name: {DEPLOYMENT}}}\n\
         spec:\n  \
           replicas: {replicas}\n  \
           selector: {{matchLabels: {{app: {DEPLOYMENT}}}}}\n  \
           template:\n    \
             metadata: {{labels: {{app: {DEPLOYMENT}}}}}\n    \
             spec: {{containers: [{{name: c, image: none}}]}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_its_seeds_and_keeps_its_promises() {
        for seed in 0..200 {
            let scene = Scene::drawn(seed, HOUR_MS, Trouble::Drawn);
            let again = Scene::drawn(seed, HOUR_MS, Trouble::Drawn);
            assert_eq!((&scene.task, &scene.truth), (&again.task, &again.truth));
            assert_eq!(scene.setup.faults, again.setup.faults);
            for fault in &scene.setup.faults.faults {
                let felt_until = fault.to_ms + fault.kind.tail_ms(fault.lasts_ms());
                assert!(felt_until <= scene.calm_from_ms.unsigned_abs(), "{fault:?}");
            }
            let load = &scene.setup.clusters[0].load;
            let last = load.rate(HOUR_MS);
            assert_eq!(
                (load.lowest(scene.calm_from_ms, HOUR_MS), load.highest(scene.calm_from_ms, HOUR_MS)),
                (last, last)
            );
        }
    }

    #[test]
    fn nobody_who_scales_nothing_lowers_anything() {
        let scene = Scene::drawn(3, HOUR_MS / 12, Trouble::Drawn);
        let life = scene.live(&Trace::new(), |_, _| {});
        assert_eq!((life.scaled.len(), life.tally.lowered), (0, 0));
        assert_eq!(life.ordered, scene.task.replicas);
        assert!(life.tally.replica_hours > 0.0);
    }
}
