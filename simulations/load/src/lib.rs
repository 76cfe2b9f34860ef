//! Load: an open-loop generator with planned arrivals, and the small services it is aimed at.
//!
//! ```text
//!  series ─► stages, seed ─► schedule (pure) ─► pacer thread ─► one task per request ─► recorder ─► Account, Progress
//!                                                                       │ HTTP/1.1, HTTP/2, TLS
//!                                                                       ▼
//!                                          proxy ─► app front ─► proxy ─► proxy ─► app web
//! ```
//!
//! Invariants:
//! - arrival times are planned before anything is sent and never wait for an answer (open loop);
//! - latency counts from the planned time, so a stall of the service or of the sender is in it;
//! - a request that could not be sent is counted as dropped, never left out, and whose failure that is is told;
//! - what was due is held against the schedule at the end, so that a generator that dies cannot pass;
//! - a run whose own send lag is above the limit is invalid, whatever its latencies say.
//!
//! Modules in reading order: [`schedule`], [`seed`], [`series`], [`request`], [`tls`], [`generator`], `client`,
//! [`recorder`], [`due`], [`command`], [`app`].

pub mod app;
mod client;
pub mod command;
pub mod due;
pub mod generator;
pub mod recorder;
pub mod request;
pub mod schedule;
pub mod seed;
pub mod series;
pub mod tls;
