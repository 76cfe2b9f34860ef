//! `external.metrics.k8s.io/v1beta1` over ScalingPolicies: what an HPA asks, and what it may be told.
//!
//! ```text
//!  HPA ─► API server ─► namespaces/NS/METRIC?labelSelector=policy=NAME
//!                             │ selector
//!                             ▼
//!            Values::get(NS, NAME, METRIC, now) ─┬─► Value: sufficient evidence, fresh ─► ExternalMetricValueList
//!                             ▲                  └─► Why: which doubt ─────────────────► Status, and the HPA holds
//!     statuses of ScalingPolicies ─► Statuses
//! ```
//!
//! Invariants:
//! - a value is given only if the controller found its evidence sufficient, for the spec as it is now, lately: an HPA
//!   lowers on whatever it is told, and holds on an error;
//! - whoever asks has come through the API server, which checked that it may ([`front_proxy`]);
//! - nothing here does I/O, awaits, or reads a clock; no text or status panics.
//!
//! Modules in reading order: [`value`], [`statuses`], [`selector`], [`mod@answer`], [`discovery`], [`front_proxy`].

pub mod answer;
pub mod discovery;
pub mod front_proxy;
pub mod selector;
pub mod statuses;
pub mod value;

pub use answer::{Answer, answer};
pub use front_proxy::FrontProxy;
pub use statuses::Statuses;
pub use value::{Value, Values, Why};

/// API group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its version.
pub const VERSION: &str = "v1beta1";
