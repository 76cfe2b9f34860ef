//! The decision: how many replicas, from policy, evidence, replicas and time, and why; a pure function.
//!
//! ```text
//!  Input {policy, scale, observations, history, now}
//!    │
//!    ├─► evidence    what are the values, at the settled time and now? what speaks against them? who is missing?
//!    ├─► replicas    value ÷ target, tolerance                          per metric, both values: the higher counts
//!    ├─► proposals   what may be counted: insufficient only if it raises; fallbacks; the highest wins
//!    ├─► normalize   stabilization windows ─► support ─► rate policies ─► bounds
//!    ▼
//!  Decision {desired, write, cause, limits, verdicts, next history} ─► Record ─► replay
//!    └─► conditions, cause, explain: words, made when somebody asks
//! ```
//!
//! # Invariants
//!
//! - [`decide()`] is total and deterministic: any input gives a decision, the same input the same bytes. No
//!   clock, no I/O, no randomness, no hash order; floats are compared and stored by their bits.
//! - Replicas within the bounds are never lowered while any metric's evidence is insufficient, except by a
//!   fallback that the user wrote down and that may ([`FallbackBehavior::may_lower`]).
//! - What is written is within `minReplicas..=maxReplicas`, but for a policy that is paused at fewer.
//! - The last replica goes only after sufficient evidence has shown nothing active for the whole cool-down.
//! - Everything that a decision depends on is in its [`Input`]; what the next one needs is in
//!   [`Decision::history`].
//!
//! # The order of things
//!
//! 1. **First sight.** Without a history, the replicas found count as a recommendation and as asked for, and no
//!    sample before was watched: a restarted controller lowers nothing for one stabilization window, nor before
//!    the query's window has passed its start. Rate history is lost, as it is upstream.
//! 2. **What is not for metrics to say.** A policy that contradicts itself ([`Policy::problem`]) and a paused
//!    one change nothing, or go to the replicas that it is paused at; zero replicas with `minReplicas` above zero mean
//!    that somebody switched scaling off; replicas beyond the bounds, which schedules in force narrow ([`schedule`]), go
//!    to the bound at once, past metrics, windows and rates, for bounds are the user's word and not evidence.
//! 3. **Evidence.** An answer has two values: one at the evaluation time, which may only raise, and one at the
//!    settled time ([`History::settled_ms`]), up to which every expected cluster's samples had arrived; that one may
//!    lower. Sufficient is: one series, finite, not negative, nothing warned of, every expected cluster (and of
//!    the target's own, every ready pod) with samples at most `maxAge` old that reach the settled time, from a server
//!    that has samples where the window begins, if they were vouched for ([`StartSamples`]). Anything
//!    else is a named [`Doubt`], with its cure. Who answered once is expected.
//! 4. **Proposals.** `AverageValue`: `⌈value ÷ target⌉`, unless `value ÷ (target × status.replicas)` is within
//!    tolerance. `Value`: `⌈value ÷ target × ready⌉`, unless the ratio is within tolerance, with the replicas that
//!    were ready on average while it was measured. The highest wins. Insufficient metrics are counted only where
//!    they raise, or through their [`Fallback`] once it is due; fallbacks count time in which evidence is missing. A
//!    [`FormulaSpec`] proposes like a metric, from both values of all metrics that it reads, whose evidence is its own.
//! 5. **Holding.** If an insufficient metric forbids lowering and the highest proposal would lower, or there is
//!    none, replicas stay ([`Wish::Hold`], which is not to wish for what is there).
//! 6. **Support.** Replicas fall only to what sufficient evidence has asked for throughout the longest time for
//!    which nobody can vouch that samples were there ([`coverage`]), and not while the query's window begins in a gap
//!    ([`support`]). Static fallbacks wait for it only while a metric beside them has sufficient evidence.
//! 7. **Stabilization and rates** as upstream, with and without `behavior` ([`normalize`]); time spent holding
//!    for want of evidence makes no recommendation older.
//! 8. **The last replica and the first** (`zero`), where [`Policy::zero`] is set and no bound is above zero: from zero
//!    only, and at once, where a value is above its activation threshold; to zero only after the cool-down.
//! 9. **A paused direction** ([`Pause`]) is not gone in.
//!
//! The reasons are in `docs/decisions/001` and `004`.
//!
//! # Where this departs from the HPA
//!
//! Arithmetic is upstream's (Kubernetes 1.35, `pkg/controller/podautoscaler`) to the letter, its floats and ties
//! included, and written once, in [`autoscaler_hpa`]: 50 replicas and ten percent allow 56. It departs, beside the rule
//! on evidence, only where upstream's answer is unsafe:
//!
//! - a negative value is no evidence; upstream takes a negative average for an overflow and goes to the maximum;
//! - a value within tolerance asks for what is ordered; upstream answers an average with `status.replicas`, and so
//!   orders a rollout's surge, or takes back a raise whose replicas have not appeared yet;
//! - a ratio multiplies the replicas that were ready while it was measured, and not those that it raised since;
//! - a ratio does not multiply zero ready replicas, and one above its target never lowers; upstream goes to the
//!   minimum when readiness breaks, and takes replicas from a busy workload whose replicas are starting;
//! - a stale ratio does not raise: it would multiply what it already raised, every tick. Stale averages may;
//! - without `behavior`, a raise is limited by upstream's sync period of 15 s and not by the evaluation, and written
//!   changes are remembered for it;
//! - sums, changes and casts saturate, where upstream's wrap or are undefined;
//! - an empty list of rate policies allows no change in its direction, whatever `selectPolicy` says;
//! - what is dated after now, because a clock was set back, counts as now;
//! - a value above zero is at least one thousandth, so that a trickle does not scale to zero.
//!
//! Metrics of pods (Resource, ContainerResource, Pods) are counted as upstream does, with pods that have no value
//! filled in against the direction; what is safer beyond that stands in `by_pod`. With `compatibility: HPA`
//! ([`Compatibility::Hpa`]) the whole decision is upstream's to the letter (`compat`), and none of the above holds.
//!
//! # Modules in reading order
//!
//! [`name`], `number`, [`reasons`]; [`policy`], [`schedule`], [`pods`], [`observation`], [`input`];
//! `decide`; [`doubt`], `evidence`, [`coverage`], [`readiness`]; [`replicas`], `by_pod`, `proposals`, [`verdict`];
//! [`past`], [`limit`], [`normalize`], [`support`], `zero`, [`history`]; [`decision`], `explain`; `upstream`, `compat`;
//! [`record`]; [`mod@restore`].

mod by_pod;
mod compat;
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
mod number;
pub mod observation;
pub mod past;
pub mod pods;
pub mod policy;
mod proposals;
pub mod readiness;
pub mod reasons;
pub mod record;
pub mod replicas;
pub mod restore;
pub mod schedule;
pub mod support;
mod upstream;
pub mod verdict;
mod zero;

pub use autoscaler_formula::{Formula, FormulaError, Undefined};
pub use autoscaler_hpa::behavior::{Behavior, RateKind, RatePolicy, Rules, SelectPolicy, tolerance_of_milli};
pub use coverage::{BlindSpan, Coverage, Window};
pub use decide::decide;
pub use decision::{Cause, Condition, ConditionType, Decision, Wish};
pub use doubt::Doubt;
pub use explain::explain;
pub use history::{Course, History, KnownCluster, KnownStart, MAX_AHEAD_MS, MetricHistory};
pub use input::{Input, Scale};
pub use limit::{Limit, LimitKind, Wait, WaitReason};
pub use name::Name;
pub use number::Float;
pub use observation::{
    ClusterSamples, ClusterScope, FailureKind, Observation, Reading, Samples, SelectorSamples, SeriesCount,
    Settled, StartSamples, WindowStart,
};
pub use past::{Recommendation, ScaleEvent};
pub use pods::{MAX_PODS, Pod, PodList, Pods, Sample};
pub use policy::{
    Compatibility, DEFAULT_MAX_AGE_MS, Defaults, EvidenceSpec, Fallback, FallbackBehavior, FormulaSpec,
    MetricKind, MetricSpec, Mode, Pause, PodEvidence, Policy, Problem, Target, Zero,
};
pub use readiness::{Readiness, Ready};
pub use record::{Older, Record, RecordError, Recorded, Replay, canonical_json, replay};
pub use restore::restore;
pub use schedule::{Bounds, InForce};
pub use support::{Ask, Support};
pub use verdict::{Evidence, Verdict};
