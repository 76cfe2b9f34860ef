//! Gauntlet's parts with a real Prometheus on the other side.

mod metrics;
