//! Scenario files: what a run is, in words; read, judged, and refused before anything starts. Pure.
//!
//! ```text
//!  text ─► tree ─► --set ─► types (unknown keys, wrong units) ─► check ─► Loaded: scenario, policies, inputs
//!                                                                  │
//!              names, marks in order, bounds that can fail, worlds that can start; all problems at once
//! ```
//!
//! Invariants:
//! - nothing here reads a clock, a socket or a file: files that a scenario names come through a function;
//! - a row that could not fail, or could not hold, whatever happens, is refused;
//! - what is wrong is said with file, line, path and the nearest right name.
//!
//! The JSON Schema of [`Scenario`] is `simulations/scenarios/scenario.schema.json`.
//!
//! Modules in reading order: [`scenario`], [`values`], [`service_time`], [`inference`], [`load`], [`fault`], [`platform`],
//! [`condition`], [`threshold`], [`expectation`], [`counterexample`], [`mod@file`], [`names`].

pub mod condition;
pub mod counterexample;
pub mod expectation;
pub mod fault;
pub mod file;
pub mod inference;
pub mod load;
pub mod names;
pub mod platform;
pub mod scenario;
pub mod service_time;
pub mod threshold;
pub mod values;

pub use condition::{Condition, REQUEST_TIMEOUT};
pub use counterexample::Counterexample;
pub use expectation::{ContainerPlace, Excuse, Expectation, Place, SloShare};
pub use fault::{Fault, FaultKind, Lane, Part};
pub use file::{Input, Loaded, PolicyDocument, parse};
pub use inference::Inference;
pub use load::{Load, Loads, Phase, Range, Series};
pub use scenario::{PolicySource, Queue, Scenario, Service};
pub use service_time::ServiceTime;
pub use threshold::{DELAY_ABORT_EVAL, Threshold};
pub use values::{Percent, Rate};
