//! The sidecar over real sockets: an app behind it, clients before it, and what it says of both.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]

mod admin;
mod balance;
mod discovery;
mod drain;
mod ends;
mod forwarding;
mod framing;
mod h2;
mod limits;
mod linkerd;
mod malformed;
mod metrics;
mod resilience;
mod support;
mod times;
mod tunnels;
