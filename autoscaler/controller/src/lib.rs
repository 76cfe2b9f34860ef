//! The controller: the engine's edges. Watches, leases and answers go in; queries, writes and records come out.
//!
//! ```text
//!  policies, targets, HPAs, pods, rings ─ watch ─┐                  ┌─► Prometheus HTTP API ─► evidence ─┐
//!  Lease ─► fence ───────────────────────────────┼─► autoscaler-engine ─► record ─► PUT /scale, ring,    │
//!                                                │        ▲         │               status, events       │
//!                                                └────────┼─────────┴──── outcomes ◄──────┘              │
//!                                                         └──────────────── observations ◄───────────────┘
//! ```
//!
//! Invariants:
//! - what is decided, when, and what may be sent is the engine's; here is only how;
//! - one place writes (`cluster`): fenced by the Lease, `/scale` with the version that was decided on;
//! - every value comes with its evidence, asked for at the same evaluation time;
//! - metrics are reached through the Prometheus HTTP API alone.
//!
//! Modules in reading order: `run`, `drive`, `watches`, `policies`, `plan`, `promql`, `querier`, `evidence`,
//! `cluster`, `pods`, `lease`, `records`, `metrics`, `shared`; beside the controller `check` and `explain`.

mod check;
mod cluster;
mod drive;
mod evidence;
mod explain;
mod lease;
mod metrics;
mod plan;
mod pods;
mod policies;
mod promql;
mod querier;
mod records;
mod run;
mod shared;
mod watches;

pub use check::Args as CheckArgs;
pub use explain::Args as ExplainArgs;
pub use run::Args as RunArgs;

use thanos_telemetry::{Context, RunError, Running};

/// Who we are in managedFields and events.
const FIELD_MANAGER: &str = "gauntlet-autoscaler";

/// What `gauntlet autoscaler` can do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Evaluate ScalingPolicies and scale their targets
    Run(Box<RunArgs>),
    /// Judge policy files without a cluster; exit 64 if anything is wrong
    Check(CheckArgs),
    /// Tell why a recorded decision was taken, and whether it replays bit for bit; exit 64 on a bad file
    Explain(ExplainArgs),
    /// Print the ScalingPolicy CustomResourceDefinition
    Crd,
}

/// Does it.
///
/// # Errors
/// [`RunError::Config`] names a wrong flag or file; [`RunError::Verdict`] says that `check` found problems.
pub fn run(command: Command, ctx: Context) -> Running {
    Box::pin(execute(command, ctx))
}

async fn execute(command: Command, ctx: Context) -> Result<(), RunError> {
    match command {
        Command::Run(args) => run::run(*args, ctx).await,
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Crd => print(&autoscaler_api::crd_yaml().map_err(RunError::config)?),
    }
}

/// Writes to standard output; a reader that went away is no failure.
fn print(text: &str) -> Result<(), RunError> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(RunError::Failed(e.into())),
        _ => Ok(()),
    }
}
