//! Upstream's own cases (`conformance/hpa`, Kubernetes 1.35.4), one test per group.
//!
//! Cases are read from `$GAUNTLET_CONFORMANCE`, else from `../shared/conformance` beside the workspace. Where
//! they are not there, the tests say so and pass; in CI they fail.
#![allow(clippy::print_stdout, reason = "a group says how many cases it held")]

#[path = "hpa_vectors/cases.rs"]
mod cases;
#[path = "hpa_vectors/decisions.rs"]
mod decisions;
#[path = "hpa_vectors/normalization.rs"]
mod normalization;
