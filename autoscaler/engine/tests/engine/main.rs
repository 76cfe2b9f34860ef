//! The engine in a small world: an API server, queriers and several processes, all in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod budgets;
mod leaders;
mod leaving;
mod reads;
mod rivals;
mod scaling;
mod statuses;
mod terms;
mod usage;
mod world;
