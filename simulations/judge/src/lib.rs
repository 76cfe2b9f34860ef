//! Verdicts: did what happened hold? And the record of a run, from which it can be judged again. Pure.
//!
//! ```text
//!  timeline ─┬─► threshold, slo, workloads ─► rows: one an expectation and threshold ─┐
//!            ├─► validity: did the harness keep its own promises? ────────────────────┼─► verdict ─► record
//!            └─► counterexample: did what had to fail, fail? ─────────────────────────┘
//! ```
//!
//! Invariants:
//! - what never happened does not hold;
//! - a request that failed, or was not sent, was never fast: it counts as the worst that a bound can see;
//! - nothing that goes wrong in addition turns a row that failed into one that held (but for rows that bound a surplus,
//!   `thetaO` and `tauO`: what is down is not too much);
//! - a run that was not driven as planned is invalid, whatever its rows say, and a service that does badly under a run
//!   that was is guilty, never the run;
//! - the same timeline gives the same verdict, whoever drove it.
//!
//! Modules in reading order: [`timeline`], [`threshold`], [`slo`], [`workloads`], [`rows`], [`validity`],
//! [`counterexample`], [`verdict`], [`record`].

pub mod counterexample;
pub mod record;
pub mod rows;
pub mod slo;
pub mod threshold;
pub mod timeline;
pub mod validity;
pub mod verdict;
pub mod workloads;
