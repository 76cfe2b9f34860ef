//! A run: load and faults by one clock, then the verdict.
//!
//! ```text
//!  agenda ─► marks, faults ──┐                      generators (threads of their own) ─► figures, each second
//!                            ▼                                   ▲
//!                         journal ◄── observers          refresh: where the pods are, beside everything else
//! ```
//!
//! Nothing that waits for an API server or a reader stands in the way of a mark: stages begin by the generator's own
//! schedule, what faults hit is looked for beside the loop, and so is where loads are sent.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use http::Uri;
use simulations_cluster::Cluster;
use simulations_judge::rows::{Crossed, SoFar, crossed};
use simulations_judge::slo;
use simulations_judge::timeline::Event;
use simulations_judge::validity::Lateness;
use simulations_judge::verdict::{Ended, Outcome, verdict};
use simulations_load::generator::{Generator, Plan, slots_for};
use simulations_load::seed::seed_of;
use simulations_scenario::{Load, REQUEST_TIMEOUT, Scenario};
use thanos_telemetry::{Shutdown, open_files};
use tokio::sync::watch;

use crate::faults::Faults;
use crate::faults::agenda::{Agenda, Step};
use crate::journal::Journal;
use crate::observe::observe;
use crate::records::Collector;
use crate::world::World;

/// The node, probes, API servers and watches have as many files open as this, at most, and so many more for each load.
const OTHER_FILES: usize = 2_000;

/// How long figures may wait for where a load's pods are; the addresses known stay in use.
const TARGETS_WITHIN: Duration = Duration::from_millis(500);

/// A load that goes on for longer without the policies says nothing of them.
const POLICIES_WITHIN: Duration = Duration::from_secs(2);

/// How long it may take to see how things are before they begin.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// How a run is judged, and what it leaves beside its verdict.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// What a late generator means.
    pub lateness: Lateness,
    /// Where decision records are copied to, with their names below a report's folder.
    pub records: Option<PathBuf>,
}

/// Runs a scenario in a world. `each_second` sees the journal while it grows.
///
/// # Errors
/// The world could not be driven; a scenario that went badly is an [`Outcome`], not an error.
pub async fn run(
    scenario: &Scenario,
    world: &World,
    shutdown: &Shutdown,
    how: &How,
    mut each_second: impl FnMut(&Journal),
) -> anyhow::Result<Outcome> {
    let journal = Journal::default();
    let watching = shutdown.child();
    for cluster in world.clusters() {
        observe(cluster, &journal, &watching);
    }
    let loads = plans(scenario, world).await?;
    all_seen(scenario, world, &journal).await?;

    let sending = watching.child();
    // Together, once every address is known and how things are was seen.
    journal.start();
    let start = |(load, cluster, set, plan)| Running {
        load,
        cluster,
        set,
        generator: Generator::start(plan, sending.clone()),
    };
    let mut loads: Vec<Running<'_>> = loads.into_iter().map(start).collect();
    let mut faults = Faults::new(&scenario.faults, world, &journal);
    let mut records = Collector::new(world, how.records.as_deref());
    let applied = std::cell::Cell::new(false);
    let ended = {
        let beside = async {
            apply_policies(world, &journal).await;
            applied.set(true);
            refresh(&loads, world, &mut records).await;
        };
        let drive = drive(scenario, &loads, &mut faults, &journal, shutdown, &mut each_second);
        tokio::select! {
            biased;
            ended = drive => ended,
            () = beside => Ended::Interrupted,
        }
    };
    if !applied.get() {
        let how = "were not applied while the load went on".to_owned();
        journal.write(Event::Late { what: "policies".to_owned(), how });
    }
    let lasted = journal.elapsed().min(scenario.duration());
    journal.mark_as_planned("end", lasted);
    faults.end_all();
    if ended != Ended::Planned {
        sending.start();
    }
    // What is under way may end: it was sent in the run.
    let broke = join_all(loads.iter_mut().map(Running::account)).await;
    write_seconds(scenario, &loads, Duration::ZERO, &journal);
    for (running, broke) in loads.into_iter().zip(broke) {
        running.total(lasted, &journal);
        let (cluster, load) = (running.cluster.name().to_owned(), running.load.name().to_owned());
        journal.write(Event::Sent { cluster, load, broke });
    }
    watching.start();
    let mut timeline = journal.read(Clone::clone);
    timeline.keep_records(&records.end());
    Ok(verdict(scenario, timeline, &ended, how.lateness))
}

/// Requests that one of so many generators may have under way: each has a connection, and they share the process.
pub(crate) fn in_flight_bound(generators: usize) -> usize {
    let files = usize::try_from(open_files::raise()).unwrap_or(usize::MAX);
    (files.saturating_sub(OTHER_FILES) / generators.max(1)).max(100)
}

/// What is sent where.
async fn plans<'a>(
    scenario: &'a Scenario,
    world: &'a World,
) -> anyhow::Result<Vec<(&'a Load, &'a Cluster, watch::Sender<Vec<Uri>>, Plan)>> {
    let mut plans = Vec::new();
    let bound = in_flight_bound(scenario.load.iter().count() * world.clusters().len());
    let sent = scenario.load.iter().flat_map(|load| world.clusters().iter().map(move |c| (load, c)));
    for (load, cluster) in sent.filter(|(load, cluster)| load.runs_on(cluster.name())) {
        let (set, targets) = watch::channel(world.targets(cluster, &load.to).await?);
        let plan = Plan {
            stages: load.course(),
            stretches: load.stretches().into_iter().map(|(_, lasts)| lasts).collect(),
            arrivals: load.arrivals,
            seed: seed_of(scenario.seed, load.name(), cluster.name()),
            targets,
            timeout: REQUEST_TIMEOUT,
            max_in_flight: slots_for(&load.course(), load.arrivals, REQUEST_TIMEOUT, bound),
            by_second: scenario.services.values().any(|s| s.slo.is_some()),
        };
        plans.push((load, cluster, set, plan));
    }
    Ok(plans)
}

/// Waits until how every service is was seen: what was so at the start counts.
async fn all_seen(scenario: &Scenario, world: &World, journal: &Journal) -> anyhow::Result<()> {
    let all: Vec<_> = world
        .clusters()
        .iter()
        .flat_map(|c| scenario.services.keys().map(|service| (c.name().to_owned(), service.clone())))
        .collect();
    let seen = || journal.read(|t| all.iter().all(|target| t.replicas(target).next().is_some()));
    let wait = async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SEEN_WITHIN, wait).await.context("the clusters' workloads could not be watched")
}

/// Does what is due, until the end.
async fn drive(
    scenario: &Scenario,
    loads: &[Running<'_>],
    faults: &mut Faults<'_>,
    journal: &Journal,
    shutdown: &Shutdown,
    each_second: &mut impl FnMut(&Journal),
) -> Ended {
    let mut agenda = Agenda::new(scenario);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let end = scenario.duration();
    loop {
        let now = journal.elapsed();
        while let Some((planned, step)) = agenda.due(now) {
            match step {
                Step::Stage(name) => journal.mark_as_planned(&name, planned),
                Step::Begin(fault) => faults.begin(fault),
                Step::End(fault) => faults.end(fault),
            }
        }
        if shutdown.is_started() {
            return Ended::Interrupted;
        }
        if now >= end {
            return Ended::Planned;
        }
        let next = agenda.next_at().map_or(end, |at| at.min(end)).saturating_sub(now);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = shutdown.started() => {}
            () = faults.begun() => {}
            _ = second.tick() => {
                for load in loads {
                    load.second(journal);
                }
                write_seconds(scenario, loads, REQUEST_TIMEOUT, journal);
                each_second(journal);
                if let Some(crossed) = crossed_now(scenario, loads, journal.elapsed()) {
                    return Ended::Crossed(crossed);
                }
            }
        }
    }
}

/// The policies begin with the load. What keeps them from it is told; what was sent meanwhile is recorded all the same.
async fn apply_policies(world: &World, journal: &Journal) {
    let applied = world.apply_policies().await;
    let took = journal.elapsed();
    let how = match applied {
        Ok(()) if took <= POLICIES_WITHIN => return,
        Ok(()) => format!("were applied {:.1} s after the load began", took.as_secs_f64()),
        Err(e) => format!("could not be applied: {e:#}"),
    };
    journal.write(Event::Late { what: "policies".to_owned(), how });
}

/// Where pods are, and what controllers recorded: an API server that is away for a moment changes nothing. Goes on for
/// ever.
async fn refresh(loads: &[Running<'_>], world: &World, records: &mut Collector<'_>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        join_all(loads.iter().map(|load| load.refresh(world))).await;
        records.look();
    }
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
    fn second(&self, journal: &Journal) {
        let (cluster, load, to) = (self.cluster.name().into(), self.load.name().into(), self.load.to.clone());
        journal.write(Event::Load { cluster, load, to, progress: self.generator.lap_of_users() });
    }

    async fn refresh(&self, world: &World) {
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

    /// Waits for the last answer; why it did not do what was planned, where it did not.
    async fn account(&mut self) -> Option<String> {
        let account = tokio::time::timeout(REQUEST_TIMEOUT * 2, self.generator.account());
        match account.await {
            Ok(account) => account.validity().err(),
            Err(_) => Some("the load generator did not end".to_owned()),
        }
    }

    /// Tells its figures, of the whole and of each stretch.
    fn total(&self, lasted: Duration, journal: &Journal) {
        let (recorder, stages) = self.generator.so_far();
        let ran = |from: Duration, length: Duration| lasted.saturating_sub(from).min(length);
        let total = |stage: Option<&str>, lasted, recorder| Event::LoadTotal {
            cluster: self.cluster.name().to_owned(),
            load: self.load.name().to_owned(),
            to: self.load.to.clone(),
            stage: stage.map(str::to_owned),
            lasted,
            recorder,
        };
        journal.write(total(None, ran(Duration::ZERO, self.load.duration()), recorder));
        let starts = self.load.phase_marks().into_iter().map(|(_, from)| from);
        for (((name, length), from), recorder) in self.load.stretches().into_iter().zip(starts).zip(stages) {
            journal.write(total(Some(name), ran(from, length), recorder));
        }
    }
}
