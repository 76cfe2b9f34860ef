//! A policy as the engine follows it: what it asks for, and, while its shard is held, all that is known of it.

use std::sync::Arc;

use autoscaler_api::{DecisionSummary, ScalingPolicyStatus};
use autoscaler_core::{History, Input, Observation, Scale, Verdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::board::Board;
use crate::due::Grid;
use crate::effect;
use crate::hash::Digest;
use crate::judge;
use crate::memory;
use crate::objects::{Held, Name, SeenPolicy, Target, TargetKey, Terms, Watch};
use crate::place::Place;
use crate::ring;
use crate::time::{Now, timestamp};
use crate::told::Told;

/// The first evaluations come within this time, however long the interval is.
const SOON_MS: u64 = 1_000;

/// A policy.
#[derive(Debug)]
pub(crate) struct Followed {
    pub name: Name,
    pub uid: String,
    pub generation: Option<i64>,
    pub shard: u16,
    /// What it asks for, or why that cannot be followed.
    pub terms: Result<Arc<Terms>, String>,
    /// What it scales, and the watch that sees it.
    pub target: Option<(Place, Watch)>,
    /// Further watches that it needs.
    pub watches: Vec<Watch>,
    /// All that is known of it; `None` while somebody else leads.
    pub live: Option<Box<Live>>,
    /// What keeps it, and whether it is deleted.
    pub held: Held,
    /// Its status as the leader wrote it; `None` while that is us.
    pub kept: Option<Box<ScalingPolicyStatus>>,
}

/// What is known of a policy while this process leads.
#[derive(Debug)]
pub(crate) struct Live {
    /// Input of the latest decision, and what the next one begins with.
    pub input: Input,
    pub verdicts: Vec<Verdict>,
    pub grid: Grid,
    pub due_ms: u64,
    pub tick: Option<Tick>,
    /// Evaluate once more as soon as what is under way is over.
    pub again: bool,
    /// Evaluate once more as soon as the write in flight ended: something else is wanted.
    pub after_write: bool,
    pub board: Board,
    pub told: Told,
    pub ring: ring::Memory,
    /// Replicas as the status of the leader before has them, until the target is seen.
    pub remembered: Option<i32>,
    /// A write of replicas that waits or is in flight.
    pub ordered: Option<Ordered>,
    /// A write whose answer never came.
    pub unanswered: Option<Ordered>,
    /// When the status is looked at again, if that is set.
    pub status_timer_ms: Option<u64>,
    /// Whether events are looked at again.
    pub told_timer: bool,
    pub keeping: Keeping,
}

/// Queries under way.
#[derive(Debug)]
pub(crate) struct Tick {
    pub started: Now,
    /// By metric.
    pub observations: Vec<Option<Observation>>,
    /// How many are not there yet.
    pub missing: usize,
}

/// A write of replicas.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    /// The decision in short.
    pub summary: DecisionSummary,
    /// It was news in itself, not only another attempt.
    pub news: bool,
    pub cause: String,
    pub limited_by: String,
}

/// How far it is with a policy's finalizer.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// Not to be written before, since the last attempt failed.
    pub wait_until_ms: u64,
    /// Whether it is looked at again.
    pub timer: bool,
    /// That it was refused is told once.
    pub refused: bool,
    /// The policy is deleted.
    pub leaving: Option<Leaving>,
}

/// How far it is with the replicas of a policy that is deleted.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// From then on it goes as it is.
    pub until_ms: u64,
    /// A write of the replicas waits or is in flight.
    pub sent: bool,
    /// Nothing is left to do for them.
    pub done: bool,
}

impl Followed {
    /// The change of the target, as it was seen, to so many replicas; `None`: it has none.
    pub(crate) fn scale(&self, target: &Target, to: i32) -> Option<effect::Scale> {
        let Some((key, Watch::Targets { kind, .. })) = &self.target else { return None };
        Some(effect::Scale {
            policy: self.name.clone(),
            target: TargetKey::clone(key),
            version: kind.version.clone(),
            uid: target.uid.clone(),
            resource_version: target.resource_version.clone(),
            from: target.spec_replicas,
            to,
        })
    }

    /// A policy that was seen for the first time.
    pub(crate) fn new(seen: SeenPolicy, shard: u16) -> Self {
        Self {
            name: seen.name,
            uid: seen.uid,
            generation: seen.generation,
            shard,
            terms: seen.terms,
            target: None,
            watches: Vec::new(),
            live: None,
            held: seen.held,
            kept: Some(seen.status),
        }
    }

    /// Begins to lead, where the leader before ended.
    /// `cluster` is what its cluster is called in the metrics.
    pub(crate) fn begin(&mut self, now: Now, interval_ms: u64, cluster: autoscaler_core::Name) {
        let status = self.kept.take().map(|s| *s).unwrap_or_default();
        let policy = match &self.terms {
            Ok(terms) => policy_at(terms, interval_ms),
            Err(_) => judge::no_policy(),
        };
        let memory = status.memory.as_ref();
        let restored = memory.and_then(|m| memory::restore(m, &policy, now.wall_ms));
        let remembered = memory.filter(|_| restored.is_some()).map(|m| m.replicas);
        self.live = Some(Box::new(Live {
            input: Input {
                now_ms: now.wall_ms,
                cluster,
                policy,
                scale: Scale::default(),
                schedules: Vec::new(),
                pods: None,
                observations: Vec::new(),
                history: restored.unwrap_or_default(),
            },
            verdicts: Vec::new(),
            grid: Grid::new(&self.uid, interval_ms),
            due_ms: soon_ms(&self.uid, interval_ms, now.mono_ms),
            tick: None,
            again: false,
            after_write: false,
            board: Board::new(status),
            told: Told::default(),
            ring: ring::Memory::default(),
            remembered,
            ordered: None,
            unanswered: None,
            status_timer_ms: None,
            told_timer: false,
            keeping: Keeping::default(),
        }));
    }

    /// Somebody else leads from now on.
    pub(crate) fn end(&mut self, now: Now) {
        if let Some(live) = self.live.take() {
            self.kept = Some(Box::new(live.status(live.board.show(), now)));
        }
    }
}

impl Live {
    /// Adds metrics and memory to what the board shows.
    pub(crate) fn status(&self, mut status: ScalingPolicyStatus, now: Now) -> ScalingPolicyStatus {
        status.metrics = judge::metrics(&self.input, &self.verdicts);
        status.formula = judge::formula(&self.input, &self.verdicts);
        // Whoever reads them elsewhere has to know how old they are.
        status.last_evaluation_time =
            (!status.metrics.is_empty()).then(|| Time(timestamp(self.input.now_ms)));
        let replicas = self.board.current.or(self.remembered);
        status.memory = replicas.and_then(|r| memory::store(&self.input.history, r, now.wall_ms));
        status
    }

    /// What of the metrics matters for a status.
    pub(crate) fn matters<'a>(
        verdicts: &'a [Verdict],
        history: &'a History,
    ) -> impl FnOnce(&mut Digest) + use<'a> {
        move |digest| judge::matters(verdicts, history, digest)
    }
}

/// When a policy is evaluated that has not been yet: soon, but not all at once, by the same phase as later.
pub(crate) fn soon_ms(uid: &str, interval_ms: u64, now_ms: u64) -> u64 {
    Grid::new(uid, interval_ms.clamp(1, SOON_MS)).after(now_ms, now_ms).0
}

/// The decision's policy at the interval at which it is evaluated.
pub(crate) fn policy_at(terms: &Terms, interval_ms: u64) -> autoscaler_core::Policy {
    let mut policy = terms.policy.clone();
    policy.interval_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX);
    policy
}
