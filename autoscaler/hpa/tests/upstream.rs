//! Judged by upstream: its own test cases (`conformance/hpa`, Kubernetes 1.35.4), and the real controller in
//! virtual time (`oracle/hpa`).
//!
//! Both are looked for in `../shared` beside the workspace, or where `$GAUNTLET_CONFORMANCE` and
//! `$GAUNTLET_HPA_ORACLE` say. Where they are not there, the tests say so and pass; with `CI=true` they fail. A
//! few recorded runs of the real controller are in `testdata` and are compared everywhere.
#![allow(clippy::print_stdout, reason = "a group says how many cases it held")]

#[path = "upstream/calculator.rs"]
mod calculator;
#[path = "upstream/harness.rs"]
mod harness;
#[path = "upstream/judge.rs"]
mod judge;
#[path = "upstream/normalization.rs"]
mod normalization;
#[path = "upstream/reconcile.rs"]
mod reconcile;
#[path = "upstream/runs.rs"]
mod runs;
