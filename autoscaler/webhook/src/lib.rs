//! Admission of ScalingPolicies, and of HPAs beside them, as a pure function of the request and of what else is known.
//!
//! ```text
//!  AdmissionReview ─► wire ─► review(request, known, judge) ─► Verdict ─► wire ─► AdmissionReview
//!                               ▲               ▲
//!     other policies, HPAs ─► Known             └─ the problems and notes of `gauntlet autoscaler check`
//! ```
//!
//! Invariants:
//! - what is refused, `check` refuses, or another scaler is on the same target: every problem at once, each with its
//!   field and its cure;
//! - an update is refused only for what it makes wrong: status, labels, finalizers and deletions never are, nor is a
//!   policy that was wrong before and is only paused;
//! - an HPA is refused only for an active policy on its target, when it comes or is pointed there;
//! - what is not known refuses nothing; it is said in a warning;
//! - nothing is changed, so that a dry run needs no care;
//! - nothing here does I/O, awaits, or reads a clock.
//!
//! Modules in reading order: [`verdict`], [`wire`], [`scaler`], [`known`], [`review`](mod@review).

pub mod known;
pub mod review;
pub mod scaler;
pub mod verdict;
pub mod wire;

pub use known::Known;
pub use review::{Judged, review};
pub use scaler::{Scaler, Target};
pub use verdict::Verdict;
pub use wire::{AdmissionRequest, parse, render};
