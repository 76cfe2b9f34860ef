//! The whole controller as a process would run it, against a fake API server and a fake querier on real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
mod customs;
mod evidence;
mod explain;
mod leadership;
mod leaving;
mod querier;
mod ring;
mod scaling;
mod sources;
mod terms;
mod usage;
mod world;
