//! The rules of the HPA and of KEDA as controllers of a simulated world, to stand beside the autoscaler of this project.
//!
//! ```text
//!            ┌─ hpa   every 15 s ──► adapter ─► querier        autoscaler-hpa decides
//!  Scene ────┤                                                                           ──► target ─► PUT /scale
//!            └─ keda  every 15 s ──► scaler ──► querier        autoscaler-keda tells, autoscaler-hpa decides
//!                     and polls
//! ```
//!
//! Invariants:
//! - what is decided is decided by `autoscaler-hpa` and `autoscaler-keda`, which are compared with the originals; here is
//!   only how they are asked and what is done with their word;
//! - they read the same querier, and write to the same API server through the same faults, as anybody in that world;
//! - nothing is left out of an answer that the originals look at, and nothing is looked at that they do not.
//!
//! # What is simpler than the originals
//!
//! - One process each: no election. Where a world stops it, the HPA starts again without its memory, as the original.
//! - Status, events and the HorizontalPodAutoscaler itself are not in the API server: no write of theirs fails.
//! - KEDA's own copy of the target is read from the API server and not from a cache that follows it.
//!
//! Modules in reading order: [`target`], [`answer`], [`hpa`], [`keda`], [`rule`].

pub mod answer;
pub mod hpa;
pub mod keda;
pub mod rule;
pub mod target;

pub use rule::Rule;
