//! The decision: a pure function of policy, evidence, replicas and time.

pub mod behavior;
pub mod decision;
pub mod history;
pub mod input;
pub mod number;
pub mod policy;
pub mod reasons;

pub use behavior::{Behavior, RateKind, RatePolicy, Rules, SelectPolicy};
pub use decision::{Condition, ConditionType, Decision, Doubt, Evidence, Limit, LimitKind, Verdict};
pub use history::{History, Recommendation, ScaleEvent};
pub use input::{FailureKind, Input, Observation, Reading, Scale};
pub use number::Float;
pub use policy::{
    DEFAULT_MAX_AGE_MS, Defaults, EvidenceSpec, Fallback, FallbackBehavior, MetricSpec, Mode, Policy, Target,
};
