//! `compatibility: HPA` is upstream's answer: its own test cases (`conformance/hpa`, Kubernetes 1.35.4) and runs of
//! the real controller (`oracle/hpa`), all of them through `decide`, with a record of every decision that replays.
//!
//! What reads them is `autoscaler-hpa`'s, and so is where they are looked for. Metrics of objects are asked as queries
//! of one value, which differ from them by the names of reasons alone.
#![allow(clippy::print_stdout, reason = "a group says how many cases it held")]

#[path = "compat/express.rs"]
mod express;
#[path = "../../hpa/tests/upstream/harness.rs"]
mod harness;
#[path = "compat/judge.rs"]
mod judge;
#[path = "compat/runs.rs"]
mod runs;
#[path = "compat/vectors.rs"]
mod vectors;
