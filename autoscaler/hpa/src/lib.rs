//! The HPA v2 controller of Kubernetes 1.35, to the letter: what one sync does, as a pure function of what it sees.
//!
//! ```text
//!  Inputs {now, spec, status, scale, pods, answers}                     upstream's reconcileAutoscaler
//!    │
//!    ├─ scale unknown ───────────────────────────► FailedGetScale, end
//!    ├─ first sight: replicas found become a recommendation
//!    ├─ replicas 0, minReplicas not ─────────────► ScalingDisabled, no write
//!    ├─ replicas out of bounds ──────────────────► to the bound at once ─────────────────────┐
//!    ├─ selector no good ────────────────────────► InvalidSelector, AmbiguousSelector, end   │
//!    ▼                                                                                       │
//!  metrics    one by one: grouping ─► ratio ─► replicas                                      │
//!    │        the highest proposal wins                                                      │
//!    ├─ all failed, or one failed and this lowers ► FailedGet…Metric, end                    │
//!    ▼                                                                                       │
//!  normalize  stabilize ─► rates ─► bounds          AbleToScale, ScalingLimited              │
//!    │                                                                                       │
//!    ├─ as it is ────────────────────────────────► no write                                  │
//!    ▼                                                                                       ▼
//!  Pending ─► write of the scale ─► SucceededRescale, change remembered │ FailedUpdateScale, nothing remembered
//!    ▼
//!  Outputs {proposal, write, status, events, error} ─► status stored, if it differs
//! ```
//!
//! It stands beside the autoscaler of this project, as what that one is compared to and as what users come from. It
//! is judged by upstream's own test cases, and by the real controller, which is run in virtual time: every sync's
//! proposal, write, conditions, metrics, events and number of status writes are compared.
//!
//! # Invariants
//!
//! - A sync is total and deterministic. No clock, I/O, randomness or hash order; the same inputs and state give the
//!   same outputs and state.
//! - Arithmetic is Go's on linux/amd64, wrapping and truncating like it. Floats that fit no integer become the
//!   smallest one ([`amd64`]); a controller on another platform differs there, and only there.
//! - Times are integers of milliseconds of one clock. Upstream's are finer, and those in the API are whole seconds.
//! - Amounts are integers of thousandths, which is all that upstream looks at.
//! - Reasons are upstream's. Messages are this crate's words; those of conditions change when upstream's do and not
//!   otherwise, so that the status is written as often.
//!
//! # What surprises
//!
//! | what | upstream, `pkg/controller/podautoscaler` | here |
//! |---|---|---|
//! | A write at the bounds passes by windows, rates and even `Disabled`, wipes `currentMetrics`, and counts in the rates afterwards. | `horizontal.go`, `reconcileAutoscaler` | [`controller`] |
//! | A failed write is not counted in the rates, but its recommendation stays in the windows. | `horizontal.go`, `reconcileAutoscaler` | [`controller`] |
//! | One failed metric forbids to lower; one that asks for zero gives way to any that comes after it. | `horizontal.go`, `computeReplicasForMetrics` | [`metrics`] |
//! | A negative external average, or a sum that passes through one, is taken for an overflow and asks for the maximum. | `replica_calculator.go`, `GetExternalPerPodMetricReplicas` | [`replicas::shared_total`] |
//! | An Object average above 2³¹ replicas becomes negative, and with that the minimum. | `replica_calculator.go`, `GetObjectPerPodMetricReplicas` | [`replicas::by_share`] |
//! | An average within tolerance answers `status.replicas`: while pods are late, a raise is taken back. | `replica_calculator.go`, both `…PerPodMetricReplicas` | [`replicas::by_share`] |
//! | With no replicas there, a share is the smallest integer. | the same | [`replicas::by_share`] |
//! | A ratio multiplies the pods that are ready, not replicas: at none it asks for none. | `replica_calculator.go`, `getUsageRatioReplicaCount` | [`replicas::by_value`] |
//! | The sum of memory × 100 wraps near 84 TiB, and the utilization is cut to 32 bits. | `metrics/utilization.go`, `GetResourceUtilizationRatio` | [`ratio::utilization`] |
//! | Utilization is a whole percentage, and an average a whole thousandth, before the ratio is taken. | `metrics/utilization.go` | [`ratio`] |
//! | Tolerance is `1 - down ≤ ratio ≤ 1 + up`; the distance of the ratio from one rounds differently at the edges. | `replica_calculator.go`, `isWithin` | [`ratio::Tolerances`] |
//! | Readiness is looked at for CPU alone; other metrics count pods that are not ready. | `replica_calculator.go`, `groupPods` | [`grouping`] |
//! | One pod of the selector without a request, even a failed one, fails the metric. | `replica_calculator.go`, `calculateRequests` | [`pod::requests`] |
//! | Percent policies are floats: 50 replicas and 10 % allow 56. | `horizontal.go`, `calculateScaleUpLimitWithScalingRules` | [`rates`] |
//! | What is exactly as old as a window counts without `behavior`, and does not with it. | `horizontal.go`, both `stabilizeRecommendation…` | [`stabilize`](mod@stabilize) |
//! | With `behavior` only the bound in the direction of travel is applied. | `horizontal.go`, `convertDesiredReplicasWithBehaviorRate` | [`normalize`](mod@normalize) |
//! | A restart forgets rates; windows begin again with the replicas found. | `horizontal.go`, `recordInitialRecommendation` | [`state`] |
//!
//! # Left to the caller
//!
//! The queue (a period after the last sync, whatever came of it; a changed spec does not shorten it), selectors,
//! retries after conflicts, storing the status, aggregation of events, defaults of a spec without metrics, and
//! validation: what the API server refuses is computed here as upstream would, except where upstream would crash.
//!
//! # Modules in reading order
//!
//! [`settings`], [`spec`] with [`behavior`], [`number`], [`pod`], [`sample`]; [`inputs`], [`controller`], [`outputs`]
//! with [`status`], [`reasons`] and [`event`]; [`metrics`], [`replicas`], [`grouping`], [`ratio`], [`amd64`];
//! [`normalize`](mod@normalize), [`stabilize`](mod@stabilize), [`rates`], [`arithmetic`], [`state`]; [`quantity`].

pub mod amd64;
pub mod arithmetic;
pub mod behavior;
pub mod controller;
pub mod event;
pub mod grouping;
pub mod inputs;
pub mod metrics;
pub mod normalize;
pub mod number;
pub mod outputs;
pub mod pod;
pub mod quantity;
pub mod rates;
pub mod ratio;
pub mod reasons;
pub mod replicas;
pub mod sample;
pub mod settings;
pub mod spec;
pub mod stabilize;
pub mod state;
pub mod status;

pub use controller::{Controller, Pending};
pub use event::{Event, EventType};
pub use inputs::{Inputs, Selected};
pub use metrics::{Proposal, Scale};
pub use number::Float;
pub use outputs::{Outputs, SyncError};
pub use pod::{Container, InitContainer, Pod, PodPhase, PodResources, ReadyCondition};
pub use sample::{Answer, PodMetrics, Sample};
pub use settings::Settings;
pub use spec::{HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType, ObjectReference};
pub use state::State;
pub use status::{Condition, ConditionStatus, ConditionType, HpaStatus, MetricStatus, MetricValueStatus};
