//! The decision: a pure function of policy, evidence, replicas and time.

pub mod behavior;
mod conditions;
mod decide;
pub mod decision;
mod evidence;
mod explain;
pub mod history;
pub mod input;
pub mod normalize;
pub mod number;
pub mod policy;
mod proposals;
pub mod reasons;
pub mod record;
pub mod replicas;

pub use behavior::{Behavior, RateKind, RatePolicy, Rules, SelectPolicy};
pub use decide::decide;
pub use decision::{Condition, ConditionType, Decision, Doubt, Evidence, Limit, LimitKind, Verdict};
pub use explain::explain;
pub use history::{History, Recommendation, ScaleEvent};
pub use input::{FailureKind, Input, Observation, Reading, Scale};
pub use number::Float;
pub use policy::{
    DEFAULT_MAX_AGE_MS, Defaults, EvidenceSpec, Fallback, FallbackBehavior, MetricSpec, Mode, Policy, Target,
};
pub use record::{Record, RecordError, Replay, canonical_json, replay};
