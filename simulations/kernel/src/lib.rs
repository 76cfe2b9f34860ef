//! What a simulated world is made of: clocks, streams of randomness, schedules of faults, and a digest of what happened.
//!
//! ```text
//!            ┌─► Clock    wall time from the runtime's clock, skewed for whom it has to be
//!  seed ─────┼─► Streams  one independent stream for each purpose, by name
//!            └─► Swarm ─► Schedule of faults ─► world ─► Trace ─► digest
//!                            ▲                             │
//!                            └── shrink: fewer, shorter ◄──┘ a run that broke something
//! ```
//!
//! Invariants:
//! - the same seed gives the same numbers on every machine and in every version: no libm, no hash order, no pointer;
//! - a stream's numbers hang on its name alone, never on who else drew: what is taken out of a world leaves the
//!   randomness of all the rest as it was;
//! - [`Clock`] is the one place that reads a clock, and on a paused runtime it reads that runtime's;
//! - nothing here does I/O.
//!
//! Modules in reading order: [`hash`], [`streams`], [`clock`], [`schedule`], [`swarm`], [`shrink`], [`trace`].

pub mod clock;
pub mod hash;
pub mod schedule;
pub mod shrink;
pub mod streams;
pub mod swarm;
pub mod trace;

pub use clock::{Clock, Skew};
pub use schedule::{Fault, Schedule};
pub use streams::{Stream, Streams};
pub use trace::Trace;
