//! A run: load and faults by one clock, then the verdict.

use std::time::Duration;

use anyhow::Context as _;
use http::Uri;
use simulations_cluster::Cluster;
use simulations_load::generator::{Generator, Plan};
use thanos_telemetry::Shutdown;
use tokio::sync::watch;

use crate::faults::Faults;
use crate::faults::agenda::{Agenda, Step};
use crate::judge::{Crossed, Row, SoFar, broken_off, crossed, judge, judge_generator};
use crate::observe::{Journal, observe};
use crate::record::Verdict;
use crate::scenario::{Load, Scenario};
use crate::slo;
use crate::timeline::{Event, Timeline};
use crate::world::World;

/// A request that takes longer has failed its user.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests under way at once, per cluster.
pub(crate) const MAX_IN_FLIGHT: usize = 8_000;

/// How long faults and figures may wait for where a load's pods are; the addresses known stay in use.
const TARGETS_WITHIN: Duration = Duration::from_millis(500);

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    /// A row an expectation and a threshold, and one for the load generator.
    pub rows: Vec<Row>,
    /// How it ended.
    pub verdict: Verdict,
    /// The threshold that ended it early, where one did.
    pub aborted_by: Option<String>,
    /// What happened.
    pub timeline: Timeline,
}

/// Runs a scenario in a world. `each_second` sees the journal while it grows.
///
/// # Errors
/// The world could not be driven; a scenario that went badly is an [`Outcome`], not an error.
pub async fn run(
    scenario: &Scenario,
    world: &World,
    shutdown: &Shutdown,
    mut each_second: impl FnMut(&Journal),
) -> anyhow::Result<Outcome> {
    let journal = Journal::start();
    let watching = shutdown.child();
    for cluster in world.clusters() {
        observe(cluster, &journal, &watching);
    }

    let mut loads = Vec::new();
    let sent = scenario.load.iter().flat_map(|load| world.clusters().iter().map(move |c| (load, c)));
    for (i, (load, cluster)) in sent.enumerate() {
        if !load.runs_on(cluster.name()) {
            continue;
        }
        let (set, targets) = watch::channel(world.targets(cluster, &load.to).await?);
        let plan = Plan {
            stages: load.course(),
            stretches: load.stretches().into_iter().map(|(_, lasts)| lasts).collect(),
            arrivals: load.arrivals,
            // By position, so that one load more changes no other's arrivals.
            seed: scenario.seed.wrapping_add(i as u64),
            targets,
            timeout: REQUEST_TIMEOUT,
            max_in_flight: MAX_IN_FLIGHT,
            by_second: scenario.services.values().any(|s| s.slo.is_some()),
        };
        loads.push((load, cluster, set, plan));
    }
    let sending = watching.child();
    // Together, once every address is known.
    let start = |(load, cluster, set, plan)| Running {
        load,
        cluster,
        set,
        generator: Generator::start(plan, sending.clone()),
    };
    let mut loads: Vec<Running<'_>> = loads.into_iter().map(start).collect();

    let mut agenda = Agenda::new(scenario);
    let mut faults = Faults::new(&scenario.faults, world, &journal);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let end = scenario.duration();
    let mut broken = None;
    loop {
        let now = journal.elapsed();
        while let Some(step) = agenda.due(now) {
            match step {
                Step::Stage(name) => journal.write(Event::Mark(name)),
                Step::Begin(fault) => faults.begin(fault).await?,
                Step::End(fault) => faults.end(fault),
            }
        }
        if now >= end || shutdown.is_started() {
            break;
        }
        let next = agenda.next_at().map_or(end, |at| at.min(end)).saturating_sub(now);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = shutdown.started() => {}
            _ = second.tick() => {
                for load in &loads {
                    load.second(world, &journal).await;
                }
                write_seconds(scenario, &loads, REQUEST_TIMEOUT, &journal);
                each_second(&journal);
                broken = crossed_now(scenario, &loads, journal.elapsed());
                if broken.is_some() {
                    break;
                }
            }
        }
    }
    if broken.is_some() {
        sending.start();
    }
    let lasted = journal.elapsed();
    let interrupted = shutdown.is_started();
    faults.end_all();
    for Running { generator, .. } in &mut loads {
        let drain = tokio::time::timeout(REQUEST_TIMEOUT * 2, generator.drain());
        drain.await.context("the load generator did not finish")?;
    }
    write_seconds(scenario, &loads, Duration::ZERO, &journal);
    for Running { load, cluster, generator, .. } in loads {
        let (recorder, stages) = generator.so_far();
        let ran = |from: Duration, length: Duration| lasted.saturating_sub(from).min(length);
        let total = |stage: Option<&str>, lasted, recorder| Event::LoadTotal {
            cluster: cluster.name().to_owned(),
            load: load.name().to_owned(),
            to: load.to.clone(),
            stage: stage.map(str::to_owned),
            lasted,
            recorder,
        };
        journal.write(total(None, ran(Duration::ZERO, load.duration()), recorder));
        let starts = load.phase_marks().into_iter().map(|(_, from)| from);
        for (((name, length), from), recorder) in load.stretches().into_iter().zip(starts).zip(stages) {
            journal.write(total(Some(name), ran(from, length), recorder));
        }
    }
    journal.write(Event::Mark("end".into()));
    watching.start();
    let timeline = journal.read(Timeline::clone);
    let mut rows = judge(scenario, &timeline);
    if let Some(crossed) = &broken {
        rows = broken_off(scenario, &timeline, crossed, rows);
    }
    let aborted_by = broken.and_then(|c| scenario.thresholds.get(c.threshold)).map(ToString::to_string);
    let generator = judge_generator(&timeline);
    let verdict = if interrupted {
        Verdict::Interrupted
    } else if !generator.held {
        Verdict::InvalidGenerator
    } else if rows.iter().all(|r| r.held) {
        Verdict::Pass
    } else {
        Verdict::Thresholds
    };
    rows.push(generator);
    Ok(Outcome { rows, verdict, aborted_by, timeline })
}

/// Whether a threshold ends the run.
fn crossed_now(scenario: &Scenario, loads: &[Running<'_>], now: Duration) -> Option<Crossed> {
    if !scenario.thresholds.iter().any(|t| t.abort_on_fail) {
        return None;
    }
    let so_far: Vec<_> = loads.iter().map(|l| (l, l.generator.so_far())).collect();
    let mut parts = Vec::new();
    for (running, (total, stages)) in &so_far {
        let (cluster, to) = (running.cluster.name(), running.load.to.as_str());
        parts.push(SoFar { cluster, to, stage: None, recorder: total });
        for ((name, _), recorder) in running.load.stretches().into_iter().zip(stages) {
            parts.push(SoFar { cluster, to, stage: Some(name), recorder });
        }
    }
    crossed(scenario, &parts, now)
}

/// Tells whether slos held in the seconds whose requests have all had the time to end.
fn write_seconds(scenario: &Scenario, loads: &[Running<'_>], patience: Duration, journal: &Journal) {
    let whole = match patience {
        Duration::ZERO => u64::MAX,
        // One more for the executor's own delay.
        patience => journal.elapsed().saturating_sub(patience).as_secs().saturating_sub(1),
    };
    let taken: Vec<_> =
        loads.iter().map(|l| (l.cluster.name(), l.load.to.as_str(), l.generator.take_due(whole))).collect();
    slo::seconds(scenario, &taken).into_iter().for_each(|event| journal.write(event));
}

/// A load on a cluster.
struct Running<'a> {
    load: &'a Load,
    cluster: &'a Cluster,
    set: watch::Sender<Vec<Uri>>,
    generator: Generator,
}

impl Running<'_> {
    async fn second(&self, world: &World, journal: &Journal) {
        let (cluster, load, to) = (self.cluster.name().into(), self.load.name().into(), self.load.to.clone());
        journal.write(Event::Load { cluster, load, to, progress: self.generator.lap() });
        // Its pods may move; an API server that is away for a moment changes nothing.
        let targets = tokio::time::timeout(TARGETS_WITHIN, world.targets(self.cluster, &self.load.to)).await;
        if let Ok(Ok(targets)) = targets
            && !targets.is_empty()
        {
            self.set.send_if_modified(|now| {
                let changed = *now != targets;
                *now = targets;
                changed
            });
        }
    }
}
