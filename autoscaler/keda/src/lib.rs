//! KEDA's rules for Prometheus triggers, as pure functions: what it does itself, and what it tells the HPA.
//!
//! ```text
//!  ScaledObject ──► hpa_spec ──────────────────────────────────► the HorizontalPodAutoscaler that KEDA owns
//!
//!  every pollingInterval                                    every period of the HPA, for each metric
//!    queries                                                  query, or what the last poll kept
//!      │ prometheus   one number, or an error                   │ prometheus
//!      ▼                                                        ▼
//!      │ fallback     errors are counted,                       │ fallback     by the same counter
//!      ▼              then replaced                             ▼
//!    executor   0 ↔ 1, idle, minReplicaCount                  Answer ──► autoscaler-hpa: 1 ↔ maxReplicaCount
//!      ▼
//!    write of the scale
//! ```
//!
//! As [`autoscaler_hpa`] it is what the autoscaler of this project is compared to. It follows KEDA 2.20 (revision
//! `8b4f083`) as read in its source; unlike the HPA's rules it has not been compared with the running original.
//!
//! # Invariants
//!
//! - Total and deterministic: no clock, I/O, randomness or hash order. Times are milliseconds of one clock.
//! - An [`Operator`] holds all that is remembered between calls; KEDA keeps it in the ScaledObject's status, and the
//!   cache in the process.
//!
//! # What surprises
//!
//! | what | KEDA | here |
//! |---|---|---|
//! | Nothing is seen of a result but its one number: no warnings, no age. | `pkg/scalers/prometheus_scaler.go`, `ExecutePromQuery` | [`prometheus`] |
//! | By default an empty result, NaN and infinity are zero; negative numbers always are. | the same; `pkg/scalers/scaler.go`, `quantityFromFloat64` | [`prometheus::read`] |
//! | A series whose value is `null` is -1, which is told as zero, whatever `ignoreNullValues` says. | `ExecutePromQuery` | [`prometheus::read`] |
//! | `failureThreshold` is a count, not a time, and both polls and the HPA's requests count: six a minute at the defaults. | `pkg/fallback/fallback.go`, `GetMetricsWithFallback` | [`fallback`] |
//! | With `useCachedMetrics`, asking for a value that a fallback gave resets the count. | `pkg/scaling/scale_handler.go`, `GetScaledObjectMetrics` | [`Operator::external_metric`] |
//! | The fallback `scalingModifiers` without a formula tells -1, which the HPA takes for an overflow: the maximum. | `fallback.go` | [`fallback`] |
//! | An error with `fallback.replicas: 0` does not keep a target from zero. | `pkg/scaling/executor/scale_scaledobjects.go`, `RequestScale` | [`executor`] |
//! | While a trigger fails beside an active one, the time of the last activity stands still. | the same | [`executor`] |
//! | A target that was never active goes to zero without the cool-down. | the same, `scaleToZeroOrIdle` | [`executor`] |
//!
//! # Left out
//!
//! Formulas (`scalingModifiers`), other scalers, ScaledJobs, pushed triggers, conditions but their reasons, and
//! `restoreToOriginalReplicaCount`.
//!
//! # Modules in reading order
//!
//! [`scaled_object`], [`prometheus`], [`quantity`], [`fallback`], [`executor`], [`operator`].

pub mod executor;
pub mod fallback;
pub mod operator;
pub mod prometheus;
pub mod quantity;
pub mod scaled_object;

pub use executor::Target;
pub use operator::{Operator, Poll};
pub use prometheus::QueryResult;
pub use scaled_object::{Fallback, FallbackBehavior, PrometheusTrigger, ScaledObject, Trigger};
