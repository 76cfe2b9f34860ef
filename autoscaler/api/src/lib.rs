//! The ScalingPolicy custom resource: types, schema, condition and reason names.
//!
//! ```text
//!  ScalingPolicySpec ─ derive ─► crd() ─► manifests/crds/*.yaml ─► API server: schema and CEL
//!        │                         └────► schema::check(document): the same schema, offline
//!        └► validate(policy): what a schema cannot say, each problem with its field and its cure
//! ```
//!
//! Invariants:
//! - this is data: nothing here calls an API server, reads a clock or awaits;
//! - words are HPA v2's wherever it has one; durations are Prometheus' strings, quantities Kubernetes';
//! - the types read whatever the schema admits, so that a watch never chokes on one object; judging is
//!   [`validate`]'s work;
//! - shapes are its own, also where the decision core has a type of the same name (behaviour, fallbacks): here durations
//!   and tolerances are text, fields have descriptions and bounds, and unknown ones are let pass. The controller makes
//!   the core's types of these in one place, its `plan`, by matches that do not compile while one of these words has
//!   none there. To share the few enums that are alike would take more than it saves: a schema behind a feature of the
//!   core, its docs in the CRD's form, and the core below all that reads a policy.
//!
//! Modules in reading order: [`spec`], [`evidence`], [`terms`], [`source`], [`status`], [`conditions`], [`quantity`], [`validation`], [`schema`].

pub mod conditions;
pub mod evidence;
pub mod quantity;
pub mod schema;
pub mod source;
pub mod spec;
pub mod status;
pub mod terms;
pub mod validation;

pub use evidence::{EmptyMeans, Evidence, Fallback, FallbackBehavior, PodEvidence};
pub use quantity::Quantity;
pub use schema::crd_yaml;
pub use source::{AuthorityValue, BasicAuth, Header, KeyRef, SecretValue, Source, SourceTls};
pub use spec::{
    Behavior, Compatibility, ContainerResourceMetric, FormulaMetric, Metric, MetricTarget, MetricTargetType,
    MetricType, Mode, PolicyType, RatePolicy, ResourceMetric, Ring, Rules, ScaleTargetRef, ScalingPolicy,
    ScalingPolicySpec, SelectPolicy,
};
pub use status::{
    DecisionSummary, MetricStatus, OriginalReplicas, RingStatus, ScalingPolicyStatus, StatusMemory,
};
pub use terms::{OnDelete, Pause, Schedule, Zero};
pub use validation::{Problem, validate};

/// API group of everything here.
pub const GROUP: &str = "autoscaling.gauntlet.dev";
/// Version of everything here.
pub const VERSION: &str = "v1alpha1";
/// What keeps a policy with `onDelete: Restore` until the replicas are as they were.
pub const FINALIZER: &str = "autoscaling.gauntlet.dev/restore";
