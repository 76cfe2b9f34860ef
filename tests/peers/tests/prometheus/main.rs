//! Gauntlet's parts with a real Prometheus on the other side.

#![allow(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod metrics;
mod queries;
mod remote_write;
mod scaling;
mod scrape;
