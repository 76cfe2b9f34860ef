//! The engine's edge: tells it what happens, and has done what it wants.
//!
//! ```text
//!  watches, electors ──┐                        ┌─► query ─► querier ──┐
//!  outcomes, answers ──┼─► events (bounded) ─► Engine ─► effects ─► write ─► API server
//!                      └────────────────────────┴──────────────────────┘
//! ```
//!
//! One task owns the engine and never waits for anything but its next event. How much is under way is the engine's
//! to decide, so effects are carried out as they come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_core::{FailureKind, Observation};
use autoscaler_engine::effect::{Ended, Query, What, Write};
use autoscaler_engine::{Effect, Engine, Event, Now, Outcome};
use thanos_telemetry::Shutdown;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::evidence::{self, Question};
use crate::lease::Fence;
use crate::metrics::{ClusterLabels, Exposed, KindLabels};
use crate::plan::MetricPlan;
use crate::querier::{Outcome as Answer, QueryError};
use crate::shared::{Events, Shared};
use crate::watches::Watches;

/// Events that may wait for the engine.
pub(crate) const EVENTS: usize = 4_096;
/// Longest sleep, after which gauges are looked at again.
const IDLE: Duration = Duration::from_millis(500);
/// Longest wait for writes under way when the process ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Whoever carries out what the engine wants.
struct Driver {
    shared: Arc<Shared>,
    events: Events,
    watches: Watches,
    exposed: Exposed,
    queries: BTreeMap<u64, AbortHandle>,
    /// Queries and reads: at the end they are dropped.
    asking: JoinSet<()>,
    /// Writes: at the end they are waited for.
    writing: JoinSet<()>,
    /// When gauges are looked at again.
    look_again: Instant,
}

/// Runs the engine until `stop`, then waits for the writes under way.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut engine: Engine,
    events: Events,
    mut inbox: mpsc::Receiver<Event>,
    stop: Shutdown,
) {
    let names = shared.clusters.iter().map(|c| c.name.clone()).collect();
    let mut driver = Driver {
        watches: Watches::new(shared.clone(), events.clone()),
        exposed: Exposed::new(shared.metrics.clone(), names),
        shared,
        events,
        queries: BTreeMap::new(),
        asking: JoinSet::new(),
        writing: JoinSet::new(),
        look_again: Instant::now(),
    };
    let mut batch = Vec::new();
    while !stop.is_started() {
        let idle = Instant::now() + IDLE;
        let wake = engine.next_wake_ms().map_or(idle, |ms| driver.shared.moment(ms).min(idle));
        // In this order, so that a run in virtual time is the same each time. No timer waits for long: each event
        // makes the engine look at what is due.
        tokio::select! {
            biased;
            () = stop.started() => break,
            received = inbox.recv_many(&mut batch, 256) => if received == 0 {
                return;
            },
            () = tokio::time::sleep_until(wake) => batch.push(Event::Wake),
        }
        for event in batch.drain(..) {
            for effect in engine.step(driver.now(), event) {
                driver.carry_out(effect);
            }
        }
        driver.look(&engine);
    }
    if tokio::time::timeout(DRAIN, driver.drain(&mut engine, &mut inbox)).await.is_err() {
        tracing::warn!("writes were cut off at shutdown");
    }
}

impl Driver {
    fn now(&self) -> Now {
        let mono_ms = self.shared.steady_ms(Instant::now());
        Now { mono_ms, wall_ms: self.shared.clock.wall_ms() }
    }

    /// Waits for the writes under way, and hears what became of them; nothing new is begun.
    async fn drain(&mut self, engine: &mut Engine, inbox: &mut mpsc::Receiver<Event>) {
        self.asking.abort_all();
        let mut open = true;
        while open {
            let event = tokio::select! {
                biased;
                ended = self.writing.join_next() => {
                    open = ended.is_some();
                    inbox.try_recv().ok()
                }
                event = inbox.recv() => event,
            };
            let Some(event @ Event::Done { .. }) = event else { continue };
            for effect in engine.step(self.now(), event) {
                if let Effect::Discard { .. } | Effect::Scaled(_) = effect {
                    self.carry_out(effect);
                }
            }
        }
    }

    /// Gauges, and tasks that ended.
    fn look(&mut self, engine: &Engine) {
        while self.asking.try_join_next().is_some() {}
        while let Some(ended) = self.writing.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a write ended in a panic; it counts as unanswered");
            }
        }
        self.exposed.counted(engine.counters());
        let now = Instant::now();
        // Counting goes over all policies, and events come by the thousand a second.
        if now < self.look_again {
            return;
        }
        self.look_again = now + IDLE;
        for (id, cluster) in (0_u16..).zip(&self.shared.clusters) {
            let labels = ClusterLabels { cluster: cluster.name.clone() };
            let leads = cluster.fences.iter().any(|f| f.holds(now));
            self.shared.metrics.leader.get_or_create(&labels).set(i64::from(leads));
            let known = i64::try_from(engine.policies_of(id).0).unwrap_or(i64::MAX);
            self.shared.metrics.policies.get_or_create(&labels).set(known);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(watch) => self.watches.begin(watch),
            Effect::Unwatch(watch) => self.watches.end(&watch),
            Effect::ReadTarget { read, key, version } => {
                let (shared, events) = (self.shared.clone(), self.events.clone());
                self.asking.spawn(async move {
                    let Some(cluster) = shared.cluster(key.cluster) else { return };
                    let target = cluster.read(&key, &version).await.map_err(|e| e.to_string());
                    let _ = events.send(Event::Read { read, target }).await;
                });
            }
            Effect::Query(query) => {
                let (shared, events, id) = (self.shared.clone(), self.events.clone(), query.id);
                let task = self.asking.spawn(async move {
                    let observation = ask(&shared, &query).await;
                    let _ = events.send(Event::Answer { query: query.id, observation }).await;
                });
                self.queries.insert(id, task);
                // Those that ended before are of no use any more.
                if self.queries.len() > 2 * EVENTS {
                    self.queries.retain(|_, task| !task.is_finished());
                }
            }
            Effect::ReadUsage(read) => {
                let (shared, events) = (self.shared.clone(), self.events.clone());
                self.asking.spawn(async move {
                    let Some(cluster) = shared.cluster(read.cluster) else { return };
                    let deadline = Duration::from_millis(read.deadline_ms);
                    let usage = cluster.read_usage(&read.namespace, &read.selector, deadline).await;
                    let _ = events.send(Event::Usage { read: read.id, usage }).await;
                });
            }
            Effect::Abandon { query } => {
                if let Some(task) = self.queries.remove(&query) {
                    task.abort();
                }
            }
            Effect::Record(record) => self.shared.records.keep(&record),
            Effect::Discard { policy, digest } => self.shared.records.discard(&policy, &digest),
            Effect::Write(write) => {
                self.log(&write);
                let (shared, events) = (self.shared.clone(), self.events.clone());
                self.writing.spawn(async move {
                    let (write, outcome) = (write.id, carry_out(&shared, &write).await);
                    let _ = events.send(Event::Done { write, outcome }).await;
                });
            }
            Effect::Evaluated(evaluated) => self.exposed.evaluated(*evaluated),
            Effect::Scaled(scaled) => {
                if scaled.ended == Ended::Written {
                    tracing::info!(
                        cluster = self.shared.name(scaled.policy.cluster),
                        policy = %format_args!("{}/{}", scaled.policy.namespace, scaled.policy.name),
                        from = scaled.from,
                        to = scaled.to,
                        cause = scaled.cause,
                        "scaled"
                    );
                }
                self.exposed.scaled(&scaled);
            }
            Effect::Forget(name) => self.exposed.forget(&name),
        }
    }

    fn log(&self, write: &Write) {
        match &write.what {
            What::Event(note) => tracing::info!(
                cluster = self.shared.name(note.policy.cluster),
                policy = %format_args!("{}/{}", note.policy.namespace, note.policy.name),
                reason = note.reason,
                message = note.note,
                "event"
            ),
            What::Status(_) => drop(self.shared.metrics.status_writes.inc()),
            What::Scale(_) | What::Ring(_) | What::Finalizers(_) => {}
        }
    }
}

/// Asks all that one metric needs, at one time.
async fn ask(shared: &Shared, query: &Query) -> Observation {
    let until = Instant::now() + Duration::from_millis(query.deadline_ms);
    let metrics = shared.plans.get(&query.policy, query.generation);
    let Some(metric) = metrics.as_ref().and_then(|metrics| metrics.get(query.metric)) else {
        return evidence::nothing("the policy changed before it was asked");
    };
    let question = Question {
        now_ms: query.at_ms,
        settled_ms: query.settled_ms,
        starts: &query.starts,
        cluster_label: &shared.cluster_label,
        cluster: shared.cluster(query.policy.cluster).map_or("", |cluster| &cluster.name),
    };
    let outcomes = match outcomes(shared, metric, question, until).await {
        Ok(outcomes) => outcomes,
        Err(e) => {
            shared.metrics.query_errors.get_or_create(&KindLabels::of(e.kind)).inc();
            return evidence::failed(metric, question, &e);
        }
    };
    for e in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        shared.metrics.query_errors.get_or_create(&KindLabels::of(e.kind)).inc();
    }
    let outcomes: Vec<Option<&Answer>> = outcomes.iter().map(Some).collect();
    evidence::observe(metric, question, &outcomes)
}

/// What became of a metric's queries, in their order; the error is why none was sent.
async fn outcomes(
    shared: &Shared,
    metric: &MetricPlan,
    question: Question<'_>,
    until: Instant,
) -> Result<Vec<Answer>, QueryError> {
    let querier = match &metric.source {
        None => shared.queriers.own(),
        // Its Secrets may not have been read yet.
        Some(source) => match timeout_at(until, shared.sources.querier(source)).await {
            Ok(found) => found,
            Err(_) => Err(shared.sources.missing(source)),
        }
        .map_err(|problem| QueryError::new(FailureKind::Source, problem.to_string()))?,
    };
    let texts = metric
        .asked
        .as_ref()
        .map(|asked| asked.text.at(question.now_ms, question.settled_ms, question.starts));
    let left = until.saturating_duration_since(Instant::now());
    let texts = texts.unwrap_or_default();
    let asked = texts.iter().map(|text| querier.instant(text, question.now_ms, left));
    Ok(futures::future::join_all(asked).await)
}

async fn carry_out(shared: &Shared, write: &Write) -> Outcome {
    let fence = (write.shard, shared.moment(write.valid_until_ms));
    let name = match &write.what {
        What::Scale(scale) => &scale.policy,
        What::Ring(ring) => &ring.map,
        What::Status(status) => &status.policy,
        What::Event(note) => &note.policy,
        What::Finalizers(finalizers) => &finalizers.policy,
    };
    let Some(cluster) = shared.cluster(name.cluster) else { return Outcome::NotLeader };
    let outcome = match &write.what {
        What::Scale(scale) => cluster.write_scale(scale, fence).await,
        What::Ring(ring) => cluster.write_ring(ring, fence).await,
        What::Status(status) => cluster.write_status(status, fence).await,
        What::Event(note) => cluster.publish(note, write.id, fence).await,
        What::Finalizers(finalizers) => cluster.write_finalizers(finalizers, fence).await,
    };
    match &outcome {
        Outcome::Refused { .. } | Outcome::Busy { .. } | Outcome::Unanswered { .. } => {
            tracing::debug!(cluster = cluster.name, policy = name.name, ?outcome, "not written");
        }
        _ => {}
    }
    outcome
}

/// Tells the engine what an elector says.
pub(crate) async fn follow(shared: Arc<Shared>, events: Events, cluster: u16, shard: u16, fence: Fence) {
    let mut changes = fence.changes();
    loop {
        let until = *changes.borrow_and_update();
        let valid_until_ms = until.map(|at| shared.steady_ms(at));
        if events.send(Event::Fence { cluster, shard, valid_until_ms }).await.is_err() {
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
