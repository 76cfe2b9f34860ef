//! The decision: how many replicas, from policy, evidence, replicas and time, and why; a pure function.
//!
//! ```text
//!  Input {policy, scale, observations, history, now}
//!    │
//!    ├─► evidence    is each answer fresh, complete, one finite number? what speaks against it?
//!    ├─► replicas    value ÷ target, tolerance                          per metric
//!    ├─► proposals   what may be counted: insufficient only if it raises; fallbacks; the highest wins
//!    ├─► normalize   stabilization windows ─► support ─► rate policies ─► bounds
//!    ▼
//!  Decision {desired, write, cause, limits, conditions, verdicts, next history} ─► Record ─► replay
//! ```
//!
//! # Invariants
//!
//! - [`decide`] is total and deterministic: any input gives a decision, the same input the same bytes. No
//!   clock, no I/O, no randomness, no hash order; floats are compared and stored by their bits.
//! - Replicas within the bounds are never lowered while any metric's evidence is insufficient, except by a
//!   [`FallbackBehavior::Static`] that the user wrote down.
//! - What is written is within `minReplicas..=maxReplicas`.
//! - Everything that a decision depends on is in its [`Input`]; what the next one needs is in
//!   [`Decision::history`].
//!
//! # The order of things
//!
//! 1. **First sight.** Without a history, the replicas found count as a recommendation and as asked for: a
//!    restarted controller lowers nothing for one window nor before evidence supports it (6), which is longer
//!    than a gap just before it can stay in any value. Rate history is lost, as it is upstream.
//! 2. **What is not for metrics to say.** A policy that contradicts itself ([`Policy::problem`]) and a paused
//!    one change nothing; zero replicas with `minReplicas` above zero mean that somebody switched scaling off;
//!    replicas beyond the bounds go to the bound at once, past metrics, windows and rates, for bounds are the
//!    user's word and not evidence.
//! 3. **Evidence.** A metric's answer is sufficient if it is one series, finite, not negative, without
//!    warnings, and every expected cluster's newest sample is at most `maxAge` old. Anything else is a named
//!    [`Doubt`], with its cure. After missing samples the metric stays insufficient for as long as its range
//!    window holds the gap ([`Doubt::Refilling`]); a failed query says nothing about samples and refills nothing.
//! 4. **Proposals.** `AverageValue`: `⌈value ÷ target⌉`, unless `value ÷ (target × status.replicas)` is within
//!    tolerance. `Value`: `⌈value ÷ target × ready⌉`, unless the ratio is within tolerance. The highest wins.
//!    Insufficient metrics are counted only where they raise, or through their [`Fallback`] once it is due.
//! 5. **Holding.** If an insufficient metric forbids lowering and the highest proposal would lower, or there is
//!    none, replicas stay.
//! 6. **Support.** Replicas fall only to what sufficient evidence has asked for throughout the time for which
//!    a cut could go unnoticed ([`support`]): `maxAge`, the query's range window and one interval. Static
//!    fallbacks wait for it only while a metric beside them has sufficient evidence, which may be such a cut.
//! 7. **Stabilization and rates** as upstream, with and without `behavior` ([`normalize`]).
//!
//! # Where this departs from the HPA
//!
//! Arithmetic is upstream's (Kubernetes 1.35, `pkg/controller/podautoscaler`) to the letter, its floats and
//! ties included: 50 replicas and ten percent allow 56. It departs, beside the rule on evidence, only where
//! upstream's answer is unsafe:
//!
//! - a negative value is no evidence; upstream takes a negative average for an overflow and goes to the maximum;
//! - an average within tolerance never asks for less than what is already ordered; upstream answers with
//!   `status.replicas`, and so takes back a raise whose replicas have not appeared yet;
//! - a ratio does not multiply zero ready replicas, and one above its target never lowers; upstream goes to the
//!   minimum when readiness breaks, and takes replicas from a busy workload whose replicas are starting;
//! - a stale ratio does not raise: it would multiply what it already raised, every tick. Stale averages may;
//! - sums, changes and casts saturate, where upstream's wrap or are undefined;
//! - an empty list of rate policies allows no change in its direction, whatever `selectPolicy` says;
//! - what is dated after now, because a clock was set back, counts as now;
//! - a value above zero is at least one thousandth, so that a trickle does not scale to zero.
//!
//! # Modules in reading order
//!
//! [`input`] and [`policy`] with [`behavior`]; `decide`; `evidence`, [`replicas`], `proposals`;
//! [`normalize`], [`support`], [`history`]; [`decision`], `conditions`, [`reasons`], `explain`; [`record`], [`number`].

pub mod behavior;
pub mod coverage;
mod decide;
pub mod decision;
pub mod doubt;
mod evidence;
mod explain;
pub mod history;
pub mod input;
pub mod limit;
pub mod name;
pub mod normalize;
pub mod number;
pub mod observation;
pub mod past;
pub mod policy;
mod proposals;
pub mod readiness;
pub mod reasons;
pub mod record;
pub mod replicas;
pub mod support;
pub mod verdict;

pub use behavior::{Behavior, RateKind, RatePolicy, Rules, SelectPolicy};
pub use coverage::{BlindSpan, Coverage, Window};
pub use decide::decide;
pub use decision::{Cause, Condition, ConditionType, Decision, Wish};
pub use doubt::Doubt;
pub use explain::explain;
pub use history::{History, KnownCluster, MAX_AHEAD_MS, MetricHistory};
pub use input::{Input, Scale};
pub use limit::{Limit, LimitKind, Wait, WaitReason};
pub use name::Name;
pub use number::Float;
pub use observation::{
    ClusterSamples, FailureKind, Observation, Reading, Samples, SelectorSamples, Settled,
};
pub use past::{Recommendation, ScaleEvent};
pub use policy::{
    DEFAULT_MAX_AGE_MS, Defaults, EvidenceSpec, Fallback, FallbackBehavior, MetricSpec, Mode, PodEvidence,
    Policy, Problem, Target,
};
pub use readiness::{Readiness, Ready};
pub use record::{Older, Record, RecordError, Recorded, Replay, canonical_json, replay};
pub use support::{Ask, Support};
pub use verdict::{Evidence, Verdict};
