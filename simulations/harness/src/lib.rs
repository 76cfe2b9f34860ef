//! The harness: stands up clusters, runs load and faults through the production processes, and judges.
//!
//! ```text
//!  file, recorded loads ─► scenario ─► world (clusters, manifests, readiness) ─► run: load, faults by its clock
//!                        │ watches                          │
//!                        ▼                                  ▼
//!                    observe ───────────────────────► timeline ─► judge, threshold, workloads (pure) ─► verdict
//!                                                        ├──────► view: a terminal, text, or JSON lines
//!                                                        └──────► record ─► output: page, JSON, JUnit, Markdown
//! ```
//!
//! Invariants:
//! - nothing here touches replicas: they come from the controller reading the query;
//! - the judge sees only the timeline;
//! - a run whose load generator was late, or whose scenario did not happen, does not pass;
//! - a scenario that is wrong in any way is refused before anything starts.
//!
//! Modules in reading order: [`scenario`], [`recorded`], [`timeline`], [`judge`], [`threshold`], [`slo`], [`workloads`],
//! [`record`], [`link`], [`world`], [`observe`], [`faults`], [`run`], [`calibrate`], [`view`], [`output`], [`builtin`],
//! [`command`].

pub mod builtin;
pub mod calibrate;
pub mod command;
pub mod faults;
pub mod judge;
pub mod link;
mod manifests;
pub mod observe;
pub mod output;
pub mod record;
pub mod recorded;
pub mod run;
pub mod scenario;
pub mod slo;
pub mod threshold;
pub mod timeline;
pub mod view;
pub mod workloads;
pub mod world;
