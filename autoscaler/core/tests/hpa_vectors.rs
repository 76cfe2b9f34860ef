//! Upstream's own cases (`conformance/hpa`, Kubernetes 1.35.4) where this crate decides by its own rules, one test per
//! group.
//!
//! What reads them is `autoscaler-hpa`'s, and so is where they are looked for. Where they are not there, the tests say
//! so and pass; in CI they fail.
#![allow(clippy::print_stdout, reason = "a group says how many cases it held")]

#[path = "hpa_vectors/decisions.rs"]
mod decisions;
#[path = "../../hpa/tests/upstream/harness.rs"]
mod harness;
#[path = "hpa_vectors/normalization.rs"]
mod normalization;
