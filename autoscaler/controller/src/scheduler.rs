//! The heart beat: which policies are due, one batch of queries for all of them, one evaluation each.
//!
//! Invariants:
//! - evaluations of one policy never overlap: one that takes long leaves points of its grid out;
//! - a policy is evaluated as soon as its own queries are answered, whatever the others' do;
//! - only the leader of a cluster evaluates there.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use k8s_openapi::jiff::Timestamp;
use thanos_telemetry::Shutdown;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::metrics::{ClusterLabels, KindLabels, PolicyLabels};
use crate::policies::{Name, Policy, Snapshot, rivals};
use crate::querier::{Outcome, Owner, QueryError};
use crate::schedule;
use crate::shared::Shared;
use crate::tick::{State, Tick};

/// How often leadership and policies are looked at when nothing is due.
const IDLE: Duration = Duration::from_millis(250);
/// Longest wait for evaluations under way when the process ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Cluster and name.
type Key = (usize, Name);

/// A policy under evaluation.
struct Tracked {
    policy: Arc<Policy>,
    /// Locked for the length of an evaluation, so that two never overlap.
    state: Arc<Mutex<State>>,
    due: Instant,
    /// Deleted, or led by somebody else; kept only until an evaluation under way is over.
    gone: bool,
}

impl Tracked {
    /// Whether the policy is as good as not tracked.
    fn is_over(&self) -> bool {
        self.state.try_lock().is_ok()
    }
}

/// One policy of a batch.
struct Job {
    cluster: usize,
    policy: Arc<Policy>,
    state: tokio::sync::OwnedMutexGuard<State>,
    rivals: Vec<String>,
}

/// Runs until `stop`, then waits for what is under way.
pub(crate) async fn run(
    shared: Arc<Shared>,
    policies: Vec<watch::Receiver<Option<Snapshot>>>,
    changed: Arc<Notify>,
    stop: Shutdown,
) {
    let mut tracked: BTreeMap<Key, Tracked> = BTreeMap::new();
    let mut batches: JoinSet<()> = JoinSet::new();
    while !stop.is_started() {
        let now = Instant::now();
        sync(&shared, &policies, &mut tracked, now);
        let jobs = due(&shared, &policies, &mut tracked, now);
        if !jobs.is_empty() {
            batches.spawn(batch(shared.clone(), jobs));
        }
        let next =
            tracked.values().filter(|t| !t.gone).map(|t| t.due).min().unwrap_or(now + IDLE).min(now + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = changed.notified() => {}
            Some(done) = batches.join_next() => if let Err(error) = done {
                tracing::error!(%error, "an evaluation ended in a panic; the policies of its batch go on at their next");
            },
            () = stop.started() => {}
        }
    }
    let drained = async { while batches.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("evaluations were cut off at shutdown");
    }
}

/// Takes over what the watches know.
fn sync(
    shared: &Shared,
    policies: &[watch::Receiver<Option<Snapshot>>],
    tracked: &mut BTreeMap<Key, Tracked>,
    now: Instant,
) {
    let mut there: BTreeSet<Key> = BTreeSet::new();
    for (cluster, receiver) in policies.iter().enumerate() {
        let snapshot = receiver.borrow().clone();
        let labels = ClusterLabels { cluster: shared.clusters[cluster].name.clone() };
        let leads = shared.clusters[cluster].fence.holds(now);
        shared.metrics.leader.get_or_create(&labels).set(i64::from(leads));
        let Some(snapshot) = snapshot else { continue };
        shared.metrics.policies.get_or_create(&labels).set(i64::try_from(snapshot.len()).unwrap_or(i64::MAX));
        // Whoever does not lead forgets: the leader's changes are not in this history.
        for (name, policy) in snapshot.iter().filter(|_| leads) {
            let key = (cluster, name.clone());
            match tracked.get_mut(&key) {
                // Another, or anew: not before the evaluation under way is over, or two would overlap.
                Some(t) if (t.gone || t.policy.uid != policy.uid) && !t.is_over() => {
                    t.gone = true;
                    continue;
                }
                Some(t) if t.policy.uid == policy.uid && !t.gone => {
                    if !Arc::ptr_eq(&t.policy, policy) {
                        forget_metrics(shared, cluster, &t.policy);
                        t.policy = policy.clone();
                        t.due = now;
                    }
                }
                stale => {
                    if let Some(t) = stale {
                        forget_metrics(shared, cluster, &t.policy);
                    }
                    let state = Arc::new(Mutex::new(State::new(policy.status())));
                    tracked.insert(
                        key.clone(),
                        Tracked { policy: policy.clone(), state, due: now, gone: false },
                    );
                }
            }
            there.insert(key);
        }
    }
    tracked.retain(|key, t| {
        if there.contains(key) {
            return true;
        }
        t.gone = true;
        let over = t.is_over();
        if over {
            forget_metrics(shared, key.0, &t.policy);
        }
        !over
    });
}

fn forget_metrics(shared: &Shared, cluster: usize, policy: &Policy) {
    let labels = PolicyLabels {
        cluster: shared.clusters[cluster].name.clone(),
        namespace: policy.namespace.clone(),
        policy: policy.name.clone(),
    };
    let metrics = policy.spec.iter().flat_map(|s| s.metrics.iter().map(|m| m.name.clone()));
    let target = policy.spec.as_ref().map(|s| &s.scale_target_ref);
    let target = target.map(|t| labels.target(&t.kind, &t.name));
    shared.metrics.forget(&labels, target.as_ref(), metrics);
}

/// Everything that is due and not still being evaluated.
fn due(
    shared: &Shared,
    policies: &[watch::Receiver<Option<Snapshot>>],
    tracked: &mut BTreeMap<Key, Tracked>,
    now: Instant,
) -> Vec<Job> {
    let mut jobs = Vec::new();
    for ((cluster, _), t) in tracked.iter_mut().filter(|(_, t)| t.due <= now && !t.gone) {
        let interval = t.policy.plan.as_ref().map_or(Duration::from_secs(15), |p| p.interval);
        let (next, missed) = schedule::next(shared.started, t.due, now, interval);
        t.due = next;
        shared.metrics.missed_ticks.inc_by(missed);
        let Ok(state) = t.state.clone().try_lock_owned() else {
            shared.metrics.missed_ticks.inc();
            continue;
        };
        let rivals =
            policies[*cluster].borrow().as_ref().map(|all| rivals(&t.policy, all)).unwrap_or_default();
        jobs.push(Job { cluster: *cluster, policy: t.policy.clone(), state, rivals });
    }
    jobs
}

/// Asks all queries once, and evaluates each policy when its own are answered.
async fn batch(shared: Arc<Shared>, jobs: Vec<Job>) {
    let started = Instant::now();
    let now_ms = Timestamp::now().as_millisecond();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    let mut queries: Vec<String> = Vec::new();
    let mut owners: Vec<Owner> = Vec::new();
    // By metric, the indices of its queries.
    let mut needs: Vec<Vec<Vec<usize>>> = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let plan = job.policy.plan.as_ref().ok().filter(|_| job.rivals.is_empty());
        let owner: Owner = format!("{}/{}/{}", job.cluster, job.policy.namespace, job.policy.name).into();
        let wanted = plan.map(|plan| job.state.queries(plan, now_ms)).unwrap_or_default();
        let mut asked = |query: String| {
            *index.entry(query).or_insert_with_key(|query| {
                queries.push(query.clone());
                owners.push(owner.clone());
                queries.len() - 1
            })
        };
        needs.push(wanted.into_iter().map(|texts| texts.into_iter().map(&mut asked).collect()).collect());
    }
    shared.metrics.queries.inc_by(queries.len() as u64);
    let mut outcomes: Vec<Option<Arc<Outcome>>> = vec![None; queries.len()];
    let asked = owners.into_iter().zip(queries).collect();
    let mut answers = shared.querier.instant_batch(now_ms, asked, shared.query_timeout);
    let missing = |needs: &[Vec<usize>]| needs.iter().flatten().copied().collect();
    let mut waiting: Vec<(Job, BTreeSet<usize>, Vec<Vec<usize>>)> =
        jobs.into_iter().zip(needs).map(|(job, needs)| (job, missing(&needs), needs)).collect();
    let mut running = FuturesUnordered::new();
    let mut open = true;
    loop {
        let mut i = 0;
        while i < waiting.len() {
            if open && !waiting[i].1.is_empty() {
                i += 1;
                continue;
            }
            let (job, _, needs) = waiting.swap_remove(i);
            let of = |q: &usize| outcomes.get(*q).cloned().flatten();
            let mine = needs.iter().map(|metric| metric.iter().map(of).collect()).collect();
            running.push(evaluate(&shared, job, now_ms, mine, started));
        }
        if waiting.is_empty() && running.is_empty() {
            return;
        }
        tokio::select! {
            answer = answers.next(), if open => match answer {
                Some((q, outcome)) => {
                    count(&shared, &outcome);
                    if let Some(slot) = outcomes.get_mut(q) {
                        *slot = Some(Arc::new(outcome));
                    }
                    for (_, missing, _) in &mut waiting {
                        missing.remove(&q);
                    }
                }
                None => open = false,
            },
            Some(()) = running.next() => {}
        }
    }
}

fn count(shared: &Shared, outcome: &Outcome) {
    if let Err(QueryError { kind, .. }) = outcome {
        shared.metrics.query_errors.get_or_create(&KindLabels::of(*kind)).inc();
    }
}

async fn evaluate(
    shared: &Shared,
    mut job: Job,
    now_ms: i64,
    outcomes: Vec<Vec<Option<Arc<Outcome>>>>,
    started: Instant,
) {
    let tick = Tick {
        shared,
        cluster: &shared.clusters[job.cluster],
        policy: &job.policy,
        rivals: job.rivals,
        now_ms,
        outcomes: &outcomes,
    };
    // What is known to panic is fixed; should something else, one policy suffers and not its whole batch.
    if AssertUnwindSafe(tick.run(&mut job.state)).catch_unwind().await.is_err() {
        tracing::error!(
            cluster = shared.clusters[job.cluster].name,
            policy = %format_args!("{}/{}", job.policy.namespace, job.policy.name),
            "an evaluation panicked; it changes nothing and is tried again at its next"
        );
    }
    shared.metrics.evaluation.observe(started.elapsed().as_secs_f64());
}
