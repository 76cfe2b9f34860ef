//! The harness: stands up clusters, runs load and faults through the production processes, and records what happens.
//!
//! ```text
//!  file, recorded loads ─► scenario ─► world (clusters, manifests, readiness) ─► run: load, faults by its clock
//!                        │ watches                          │
//!                        ▼                                  ▼
//!                    observe ─────────────────────────► journal ─► judge ─► verdict ─► record ─► output: page,
//!                                                          │         ▲                            JSON, JUnit, Markdown
//!                                                          │         └── records: decisions, replayed
//!                                                          └─► view: a terminal, text, or JSON lines
//! ```
//!
//! What a scenario is, and whether what happened holds, are crates of their own: `simulations-scenario` and
//! `simulations-judge`. Neither knows how a run is driven.
//!
//! Invariants:
//! - nothing here touches replicas: they come from the controller reading the query;
//! - the judge sees only the timeline;
//! - one clock dates everything, and nothing that may wait stands in its way;
//! - a scenario that is wrong in any way is refused before anything starts.
//!
//! Modules in reading order: [`recorded`], [`journal`], [`link`], `manifests`, [`needs`], [`world`], [`observe`], [`faults`], [`records`],
//! [`run`], [`calibrate`], [`view`], [`output`], [`builtin`], [`size`], [`exit`], [`command`].

pub mod builtin;
pub mod calibrate;
pub mod command;
pub mod exit;
pub mod faults;
pub mod journal;
pub mod link;
mod manifests;
pub mod needs;
pub mod observe;
pub mod output;
pub mod recorded;
pub mod records;
pub mod run;
pub mod size;
pub mod view;
pub mod world;
