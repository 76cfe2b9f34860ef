//! Autoscalers in thousands of simulated worlds: what must hold in each, and how they compare.
//!
//! ```text
//!  seeds ─► Scene ─► Contestant lives in it ─► Life ─┬─► laws: what was broken     (a seed and one command replay it)
//!                                                    └─► Sums ─► table             (the same seeds for everybody)
//! ```
//!
//! Invariants:
//! - everybody meets the same worlds, and is judged by the same truth;
//! - a trial is its seed: on any number of threads, in any order, each comes to the same.
//!
//! Modules in reading order: [`autoscaler`], [`contestant`], [`laws`], [`trial`], [`sweep`](mod@sweep), [`sums`].

pub mod autoscaler;
pub mod contestant;
pub mod laws;
pub mod sums;
pub mod sweep;
pub mod trial;

pub use contestant::Contestant;
pub use sums::{Sums, table};
pub use sweep::sweep;
pub use trial::{Outcome, Trial};
