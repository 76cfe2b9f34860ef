//! What reads upstream: its own cases, runs of its controller, and that controller as a process.
//!
//! Written once for who is held to upstream: this crate, and `autoscaler-core` with `compatibility: HPA` and where it
//! departs. A file of the tests, not a package: nothing but tests may name it, and each uses a part.
#![allow(dead_code, reason = "each test uses a part")]

#[path = "harness/behaviors.rs"]
pub(crate) mod behaviors;
#[path = "harness/calculations.rs"]
pub(crate) mod calculations;
#[path = "harness/cases.rs"]
pub(crate) mod cases;
#[path = "harness/generate.rs"]
pub(crate) mod generate;
#[path = "harness/lines.rs"]
pub(crate) mod lines;
#[path = "harness/oracle.rs"]
pub(crate) mod oracle;
#[path = "harness/syncs.rs"]
pub(crate) mod syncs;
#[path = "harness/wire.rs"]
pub(crate) mod wire;
