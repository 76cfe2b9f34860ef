//! Pods and their use of resources, from Kubernetes' words to what a decision takes.
//!
//! ```text
//!  v1 Pods of a selector ──► pod() ──► pods() ─────────────────► autoscaler_core::Pods ────► Input::pods
//!  metrics.k8s.io/v1beta1 PodMetricsList, as bytes ─► usage() ──► PodMetrics, by pod and container
//!                                                                    └─► reading() ─────────► Observation::newest
//! ```
//!
//! One list of PodMetrics serves every resource and every policy whose targets it covers: [`reading`] takes what it
//! needs from it.
//!
//! # Invariants
//!
//! - No clock, I/O or randomness; lists, bodies and texts have limits.
//! - What cannot be read of one pod is missing of that pod alone, and never zero: a missing value is a doubt to the
//!   decision.
//! - Amounts are thousandths, rounded up, as upstream's `Quantity.MilliValue` has them.
//!
//! # Modules in reading order
//!
//! [`pods`](mod@pods), [`usage`](mod@usage), [`duration`].

pub mod duration;
pub mod pods;
pub mod usage;

pub use autoscaler_hpa::PodMetrics;
pub use pods::{PodCondition, PodSpec, PodStatus, pod, pods};
pub use usage::{LIST_BYTES_MAX, reading, usage};
