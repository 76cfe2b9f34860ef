//! `compatibility: HPA` is upstream's answer: its own test cases (`conformance/hpa`, Kubernetes 1.35.4) and runs of
//! the real controller (`oracle/hpa`), all of them through `decide`, with a record of every decision that replays.
//!
//! What reads them is `autoscaler-hpa`'s, and so is where they are looked for. Metrics of objects are asked as queries
//! of one value, which differ from them by the names of reasons alone.
#![allow(clippy::print_stdout, reason = "a group says how many cases it held")]

#[allow(dead_code, reason = "some of it is for autoscaler-hpa's own tests")]
#[path = "../../hpa/tests/upstream/cases.rs"]
mod cases;
#[path = "compat/express.rs"]
mod express;
#[path = "../../hpa/tests/upstream/generate.rs"]
mod generate;
#[path = "compat/judge.rs"]
mod judge;
#[allow(dead_code, reason = "some of it is for autoscaler-hpa's own tests")]
#[path = "../../hpa/tests/upstream/lines.rs"]
mod lines;
#[path = "../../hpa/tests/upstream/oracle.rs"]
mod oracle;
#[path = "compat/runs.rs"]
mod runs;
#[path = "compat/vectors.rs"]
mod vectors;
#[path = "../../hpa/tests/upstream/wire.rs"]
mod wire;
