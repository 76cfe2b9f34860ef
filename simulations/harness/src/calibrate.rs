//! `gauntlet run FILE --calibrate`: what one replica sustains, found in the world that the scenario runs in.
//!
//! ```text
//!  scenario ─► alone: one cluster, one replica of the service, no policy for it, enough of what it calls
//!               │ World
//!               ▼
//!  Search ─ rate ─► probe: warm-up, then a fixed time at that rate, through the service's sidecar
//!    ▲                │ the slo, on the requests that were due after the warm-up
//!    └─── held? ──────┘        … until the gap is small ─► sustainsRps
//! ```
//!
//! A probe is short, and its arrivals are those of its seed: near the edge another seed may say otherwise, so take a
//! figure that is used for months from several seeds.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use simulations_judge::record::{Figures, figures};
use simulations_judge::threshold::judge;
use simulations_load::generator::{Generator, Plan, slots_for};
use simulations_load::recorder::{Invalid, SEND_LAG_P99_MAX, Summary};
use simulations_load::schedule::{Arrivals, Stage};
use simulations_load::seed::seed_of;
use simulations_scenario::names::nearest;
use simulations_scenario::platform::RING;
use simulations_scenario::{Condition, Loaded, REQUEST_TIMEOUT, Scenario};
use thanos_telemetry::Shutdown;
use tokio::sync::watch;

use crate::run::in_flight_bound;
use crate::world::World;

pub(crate) mod command;
mod search;

pub use search::Search;

/// The value of [`Calibration::format`].
pub const FORMAT: &str = "gauntlet/calibration/v1";

/// Connections are made and caches filled before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// A probe that a late generator spoiled is repeated so often.
const REPEATS: u32 = 2;

/// Replicas of what the service calls: it must not be what breaks.
const UPSTREAM_REPLICAS: u16 = 8;

/// What is calibrated, and how.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The world: the service alone, and what it calls.
    pub world: Loaded,
    /// The service.
    pub service: String,
    /// What must hold.
    pub slo: Condition,
    /// As of the load that reaches it.
    pub arrivals: Arrivals,
    /// Length of a probe after its warm-up.
    pub probe: Duration,
    /// How late the generator may send in one that counts.
    pub max_send_lag: Duration,
}

impl Setup {
    /// For the service of that name, or where it is empty the only one with an `slo`.
    ///
    /// # Errors
    /// There is no such service, or what it has to hold is not said.
    pub fn new(loaded: &Loaded, service: &str, probe: Duration) -> Result<Self, String> {
        let s = &loaded.scenario;
        let with_slo: Vec<&str> =
            s.services.iter().filter(|(_, s)| s.slo.is_some()).map(|(name, _)| name.as_str()).collect();
        let name = match (service, &with_slo[..]) {
            ("", [only]) => (*only).to_owned(),
            ("", []) => {
                return Err("--calibrate: no service has an slo; add for example slo: p(95)<200".into());
            }
            ("", several) => {
                return Err(format!(
                    "--calibrate: name one of the services with an slo: {}",
                    several.join(", ")
                ));
            }
            (name, _) => name.to_owned(),
        };
        let Some(service) = s.services.get(&name) else {
            let hint = nearest(&name, s.services.keys().map(String::as_str)).unwrap_or_default();
            return Err(format!("--calibrate: no service {name:?}{hint}"));
        };
        if let Some(why) = service.answers_none() {
            return Err(format!("--calibrate: {name} {why}, and cannot be sent to by itself"));
        }
        let slo = service.slo.clone();
        let slo =
            slo.ok_or_else(|| format!("--calibrate: give services.{name}.slo, for example p(95)<200"))?;
        let entries = s.entries(&name);
        let arrivals =
            s.load.iter().find(|l| entries.contains(l.to.as_str())).map(|l| l.arrivals).unwrap_or_default();
        let world = Loaded {
            scenario: alone(s, &name),
            policies: loaded.policies.iter().filter(|p| p.target == RING).cloned().collect(),
            counterexample: None,
            ..loaded.clone()
        };
        let max_send_lag = SEND_LAG_P99_MAX;
        Ok(Self { world, service: name, slo, arrivals, probe, max_send_lag })
    }
}

/// One replica of the service on one cluster, plenty of what it calls, and nothing else.
fn alone(s: &Scenario, service: &str) -> Scenario {
    let mut alone = s.clone();
    alone.clusters.truncate(1);
    alone.services.retain(|name, _| s.reaches(service, name));
    for (name, s) in &mut alone.services {
        s.replicas = if name == service { 1 } else { s.replicas.max(UPSTREAM_REPLICAS) };
    }
    alone.policies.clear();
    alone.faults.clear();
    alone.thresholds.clear();
    alone.expect.clear();
    alone
}

/// One rate, tried.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Requests per second.
    pub rate_rps: f64,
    /// Whether the slo held.
    pub held: bool,
    /// What was found.
    pub found: String,
    /// Of the requests that were due after the warm-up.
    pub figures: Figures,
}

/// What was found: the content of `calibration.json`. Rates are requests per second.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// [`FORMAT`].
    pub format: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Service.
    pub service: String,
    /// What had to hold.
    pub slo: String,
    /// The highest rate at which it held; the lowest tried did not where absent.
    pub sustains_rps: Option<f64>,
    /// The lowest rate at which it did not; the highest tried did where absent.
    pub broke_rps: Option<f64>,
    /// In the order in which they were tried.
    pub probes: Vec<Probe>,
    /// Where the arrivals' randomness started; each probe has its own draws of it.
    pub seed: u64,
    /// Seconds at the beginning of a probe that do not count.
    pub warm_up_s: f64,
    /// Seconds that count.
    pub probe_s: f64,
}

impl Calibration {
    /// The line for the scenario file.
    pub fn line(&self) -> String {
        let Self { slo, probes, seed, .. } = self;
        let how = format!("{} probes, seed {seed}", probes.len());
        match (self.sustains_rps, self.broke_rps) {
            (Some(held), Some(broke)) => {
                format!("sustainsRps: {held}  # {slo} held at {held}, not at {broke}; {how}")
            }
            (Some(held), None) => format!("sustainsRps: {held}  # {slo} held at all that was tried; {how}"),
            (None, broke) => format!("# {slo} did not even hold at {}; {how}", broke.unwrap_or_default()),
        }
    }
}

/// Why there is no figure.
#[derive(Debug)]
pub enum Failure {
    /// The generator was late again and again.
    Generator(String),
    /// Broken off.
    Interrupted,
    /// The world could not be driven.
    World(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::World(error)
    }
}

/// Finds what one replica sustains. `tell` hears each probe.
///
/// # Errors
/// See [`Failure`].
pub async fn calibrate(
    setup: &Setup,
    dir: &Path,
    program: &Path,
    shutdown: &Shutdown,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Calibration, Failure> {
    let world = tokio::select! {
        world = World::start(dir, program, &setup.world, tell) => world?,
        () = shutdown.started() => return Err(Failure::Interrupted),
    };
    let probes = probe_all(setup, &world, shutdown, tell).await;
    world.stop().await;
    let (search, probes) = probes?;
    Ok(Calibration {
        format: FORMAT.to_owned(),
        scenario: setup.world.scenario.name.clone(),
        service: setup.service.clone(),
        slo: setup.slo.text().to_owned(),
        sustains_rps: search.held(),
        broke_rps: search.broke(),
        probes,
        seed: setup.world.scenario.seed,
        warm_up_s: WARM_UP.as_secs_f64(),
        probe_s: setup.probe.as_secs_f64(),
    })
}

async fn probe_all(
    setup: &Setup,
    world: &World,
    shutdown: &Shutdown,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<(Search, Vec<Probe>), Failure> {
    let (mut search, mut probes) = (Search::default(), Vec::new());
    while let Some(rate_rps) = search.next() {
        // Each probe's draws are its own, whatever the seed.
        let stream = format!("{} probe {}", setup.service, probes.len());
        let seed = seed_of(setup.world.scenario.seed, &stream, &setup.world.file);
        let mut late = String::new();
        let mut done = None;
        for _ in 0..=REPEATS {
            match probe(setup, world, shutdown, rate_rps, seed).await? {
                Ok(probe) => {
                    done = Some(probe);
                    break;
                }
                Err(why) if shutdown.is_started() => {
                    drop(why);
                    return Err(Failure::Interrupted);
                }
                Err(why) => {
                    tell(&format!("{rate_rps:>8} rps  again: {why}"));
                    late = why;
                }
            }
        }
        let probe = done.ok_or(Failure::Generator(late))?;
        let word = if probe.held { "held" } else { "did not hold" };
        tell(&format!("{rate_rps:>8} rps  {word}: {}", probe.found));
        search.tell(rate_rps, probe.held);
        probes.push(probe);
    }
    Ok((search, probes))
}

/// Tries one rate; `Err` in the answer where the generator was not on time, or was stopped.
async fn probe(
    setup: &Setup,
    world: &World,
    shutdown: &Shutdown,
    rate_rps: f64,
    seed: u64,
) -> anyhow::Result<Result<Probe, String>> {
    let cluster = world.clusters().first().ok_or_else(|| anyhow!("no cluster"))?;
    let targets = world.targets(cluster, &setup.service).await?;
    anyhow::ensure!(targets.len() == 1, "{} replicas of {} are ready, not 1", targets.len(), setup.service);
    let (_keep, targets) = watch::channel(targets);
    let half = setup.probe / 2;
    let stages = vec![Stage::steady(WARM_UP + setup.probe, rate_rps)];
    let plan = Plan {
        max_in_flight: slots_for(&stages, setup.arrivals, REQUEST_TIMEOUT, in_flight_bound(1)),
        stages,
        stretches: vec![WARM_UP, half, setup.probe - half],
        arrivals: setup.arrivals,
        seed,
        targets,
        timeout: REQUEST_TIMEOUT,
        by_second: false,
    };
    let mut generator = Generator::start(plan, shutdown.child());
    let counts = async |wait: Duration| {
        tokio::time::sleep(wait).await;
        let s = generator.so_far().0.summary();
        Counts { due: s.planned, answered: s.completed }
    };
    let at_half = counts(WARM_UP + half).await;
    let at_end = counts(setup.probe - half).await;
    // The last answer is waited for, so that one probe's queue is not the next one's.
    let account = tokio::time::timeout(REQUEST_TIMEOUT * 2, generator.account());
    let account = account.await.context("the load generator did not finish")?;
    if shutdown.is_started() {
        return Ok(Err("broken off".into()));
    }
    let (total, stages) = generator.so_far();
    if let Err(why) = account.validity().and_then(|()| on_time(&total.summary(), setup.max_send_lag)) {
        return Ok(Err(why));
    }
    let [_, first, second] = &stages[..] else { bail!("a probe has three stretches") };
    let mut counted = first.clone();
    counted.merge(second);
    let kept_up = keeps_up(setup.arrivals, at_half, at_end, first.answered_ms(0.5), second.answered_ms(0.5));
    let judged = judge(&setup.slo, &counted, setup.probe);
    let held = judged.is_ok() && kept_up.is_ok();
    let found = match (judged, kept_up) {
        (Ok(found) | Err(found), Ok(())) => found,
        (Ok(found) | Err(found), Err(why)) => format!("{found}; {why}"),
    };
    Ok(Ok(Probe { rate_rps, held, found, figures: figures(&counted.failures_as_slowest().summary()) }))
}

/// Whether the generator could send, and did in time.
fn on_time(s: &Summary, max: Duration) -> Result<(), String> {
    match s.invalid() {
        Some(Invalid::Late(ms)) if ms <= max.as_secs_f64() * 1000.0 => Ok(()),
        Some(why) => Err(why.to_string()),
        None => Ok(()),
    }
}

/// Requests of a probe up to a moment.
#[derive(Clone, Copy, Debug)]
struct Counts {
    due: u64,
    answered: u64,
}

/// Of what is due in the second half of a probe, so much is answered in it, chance aside.
const ANSWERED_SHARE: f64 = 0.98;
/// So many times as long as in the first half, and so much longer, is a queue that grows.
const GROWN_TIMES: f64 = 2.0;
const GROWN_MS: f64 = 100.0;

/// Whether a service does as much as comes: a queue that grows hides for a while what no replica sustains.
fn keeps_up(
    arrivals: Arrivals,
    half: Counts,
    end: Counts,
    first_ms: f64,
    second_ms: f64,
) -> Result<(), String> {
    let due = end.due.saturating_sub(half.due);
    let answered = end.answered.saturating_sub(half.answered);
    let spread = match arrivals {
        Arrivals::Even => 0.0,
        Arrivals::Poisson => 1.0,
        Arrivals::Bursty { cv } => cv,
    };
    // One is on its way, and more may have come late by chance: two standard deviations.
    let by_chance = 1.0 + 2.0 * spread * (due as f64).sqrt();
    if (answered as f64) < ANSWERED_SHARE * due as f64 - by_chance {
        return Err(format!("a queue grows: {answered} answered while {due} came"));
    }
    if second_ms > first_ms * GROWN_TIMES + GROWN_MS {
        return Err(format!(
            "a queue grows: half waited {first_ms:.0} ms at first and {second_ms:.0} ms then"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use simulations_scenario::parse;

    fn loaded(slos: &str) -> Loaded {
        let text = format!(
            "{{name: s, clusters: [east, west], services: {{front: {{calls: web, replicas: 3}}, web: {{calls: store}}, \
             store: {{}}{slos}}}, load: {{to: front, arrivals: even, stages: [{{name: a, for: 10s, rate: 1}}]}}, \
             faults: [{{name: cut, at: 1s, for: 1s, kind: dropMetrics, cluster: west}}], \
             expect: [{{reaches: {{workload: west/web, atLeast: 1, after: a, within: 1s}}}}]}}"
        );
        parse("s.yaml", &text, &BTreeMap::new(), &|_| Err("none".into())).unwrap()
    }

    #[test]
    fn the_service_is_alone_with_enough_of_what_it_calls() {
        let mut loaded = loaded("");
        loaded.scenario.services.get_mut("web").unwrap().slo = Some("p(95)<200".parse().unwrap());
        let setup = Setup::new(&loaded, "", Duration::from_secs(8)).unwrap();
        assert_eq!((setup.service.as_str(), setup.arrivals), ("web", Arrivals::Even));
        let s = &setup.world.scenario;
        let replicas: Vec<(&str, u16)> = s.services.iter().map(|(n, s)| (n.as_str(), s.replicas)).collect();
        assert_eq!(replicas, [("store", 8), ("web", 1)]);
        assert_eq!((s.clusters.len(), s.faults.len(), s.expect.len()), (1, 0, 0));
        assert_eq!(setup.world.policies.iter().map(|p| p.target.as_str()).collect::<Vec<_>>(), ["receive"]);
    }

    #[test]
    fn without_a_service_or_its_slo_it_says_what_is_missing() {
        for (slos, service, want) in [
            ("", "", "no service has an slo"),
            (", a: {slo: p(95)<9}, b: {slo: p(95)<9}", "", "name one of the services with an slo: a, b"),
            ("", "wbe", "did you mean `web`?"),
            ("", "web", "give services.web.slo"),
        ] {
            let error = Setup::new(&loaded(slos), service, Duration::from_secs(8)).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_queue_that_grows_is_no_rate_that_is_sustained() {
        let counts = |due, answered| Counts { due, answered };
        let (even, poisson) = (Arrivals::Even, Arrivals::Poisson);
        for (arrivals, half, end, first_ms, second_ms, want) in [
            // 40 a second are done: at 40, at 39 with chance against it, at 49, and at 128.
            (poisson, counts(160, 158), counts(320, 318), 50.0, 52.0, true),
            (poisson, counts(156, 150), counts(320, 300), 60.0, 90.0, true),
            (poisson, counts(196, 160), counts(392, 320), 300.0, 900.0, false),
            (poisson, counts(512, 160), counts(1024, 320), 1_500.0, 4_500.0, false),
            // Without chance, one more a second is seen.
            (even, counts(160, 160), counts(320, 320), 50.0, 50.0, true),
            (even, counts(168, 160), counts(336, 320), 120.0, 320.0, false),
            // Few requests, one of them on its way.
            (even, counts(4, 4), counts(8, 7), 50.0, 50.0, true),
            // As much is answered as comes, and each waits longer and longer.
            (poisson, counts(400, 360), counts(800, 755), 100.0, 350.0, false),
            (even, counts(0, 0), counts(0, 0), 0.0, 0.0, true),
        ] {
            let found = keeps_up(arrivals, half, end, first_ms, second_ms);
            assert_eq!(found.is_ok(), want, "{half:?} {end:?}");
        }
    }

    #[test]
    fn the_line_is_yaml_for_the_scenario() {
        let mut c = Calibration {
            format: FORMAT.into(),
            scenario: "s".into(),
            service: "web".into(),
            slo: "p(95)<200".into(),
            sustains_rps: Some(27.0),
            broke_rps: Some(28.0),
            probes: Vec::new(),
            seed: 3,
            warm_up_s: 1.0,
            probe_s: 8.0,
        };
        assert_eq!(c.line(), "sustainsRps: 27  # p(95)<200 held at 27, not at 28; 0 probes, seed 3");
        (c.sustains_rps, c.broke_rps) = (None, Some(0.5));
        assert_eq!(c.line(), "# p(95)<200 did not even hold at 0.5; 0 probes, seed 3");
    }
}
