//! Balancer, breakers and retries together, in virtual time: a table of ways in which endpoints go wrong, with bounds
//! on what clients see of it.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]

mod failing;
mod newcomer;
mod sim;
