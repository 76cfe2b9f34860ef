//! The harness: stands up clusters, runs load and faults through the production processes, and judges.
//!
//! ```text
//!  scenario ─► world (clusters, manifests, readiness) ─► run: load, faults by the clock of the run
//!                        │ watches                          │
//!                        ▼                                  ▼
//!                    observe ───────────────────────► timeline ─► judge (pure) ─► verdict
//!                                                        └──────► view: a terminal, or lines
//! ```
//!
//! Invariants:
//! - nothing here touches replicas: they come from the controller reading the query;
//! - the judge sees only the timeline, so a verdict can be made again from a record of it;
//! - a run whose load generator was late, or whose scenario did not happen, does not pass.
//!
//! Modules in reading order: [`scenario`], [`timeline`], [`judge`], [`record`], [`world`], [`observe`], [`run`], [`view`],
//! [`demo`].

pub mod demo;
pub mod judge;
pub mod observe;
pub mod record;
pub mod run;
pub mod scenario;
pub mod timeline;
pub mod view;
pub mod world;
