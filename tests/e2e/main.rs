//! The binary as a user runs it, and whole worlds of its processes.

use std::path::PathBuf;

mod cli;
mod exits;
mod heal;
#[path = "../manifests/queries.rs"]
mod queries;
mod run;

/// The binary: the one that `GAUNTLET_BIN` names, or else the one that was built with these tests.
fn program() -> PathBuf {
    std::env::var_os("GAUNTLET_BIN").map_or_else(|| env!("CARGO_BIN_EXE_gauntlet").into(), PathBuf::from)
}

/// Whole worlds share the machine badly: each waits for the one before it.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}
