//! The binary as a user runs it, and whole worlds of its processes.

mod cli;
mod heal;
#[path = "../manifests/queries.rs"]
mod queries;
mod run;
