//! The controller: the engine's edges. Watches, leases and answers go in; queries, writes and records come out.
//!
//! ```text
//!  policies, targets, HPAs, pods, rings ─ watch ─┐                  ┌─► Querier ─► evidence ─────────────┐
//!  Lease ─► fence ───────────────────────────────┼─► autoscaler-engine ─► record ─► PUT /scale, ring,    │
//!                                                │        ▲         │               status, events       │
//!                                                └────────┼─────────┴──── outcomes ◄──────┘              │
//!                                                         └──────────────── observations ◄───────────────┘
//! ```
//!
//! # To run one
//!
//! [`drive()`] is all of it, without a socket, a file, a clock or chance of its own; what it uses is in [`Outside`]:
//! clients of API servers, [`Queriers`], a [`Clock`], and [`Keep`] for records. `gauntlet autoscaler run` makes these
//! of flags, files and sockets; a simulated world makes them of itself and runs it in virtual time.
//!
//! # Invariants
//!
//! - what is decided, when, and what may be sent is the engine's; here is only how;
//! - one place writes (`cluster`): fenced by the Lease, `/scale` with the version that was decided on;
//! - every value comes with its evidence, in the same answer;
//! - metrics are reached through [`Querier`](autoscaler_querier::Querier) alone, which for us is the Prometheus HTTP
//!   API; a policy's source is never answered by another server;
//! - every call has a deadline, and every pause is known beforehand.
//!
//! Modules in reading order: `run`, `controller`, `clock`, `driver`, `watches`, `follow`, `policies`, `plan`, `querier`,
//! `sources`, `evidence`, `cluster`, `pods`, `lease`, `records`, `metrics`, `shared`; beside the controller `check`,
//! `explain`, `replay` and `import`.

mod check;
mod clock;
mod cluster;
mod controller;
mod defaults;
mod driver;
mod evidence;
mod explain;
mod follow;
mod import;
mod lease;
mod metrics;
mod plan;
mod pods;
mod policies;
mod querier;
mod records;
mod replay;
mod run;
mod shared;
mod sources;
mod watches;

pub use check::{Args as CheckArgs, Judged, judge_document};
pub use clock::{Clock, SystemClock};
pub use controller::{Leases, Managed, Outside, Settings, drive};
pub use defaults::{DefaultsArgs, Given};
pub use explain::Args as ExplainArgs;
pub use import::Args as ImportArgs;
pub use lease::Timing;
pub use querier::Queriers;
pub use records::{Keep, KeepNothing};
pub use replay::Args as ReplayArgs;
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
    /// Tell why a policy has the replicas that it has, or why a recorded decision was taken; exit 64 if there is none
    Explain(ExplainArgs),
    /// Decide recorded decisions again and tell which are decided otherwise; exit 1 if any is, 64 if one cannot be read
    Replay(ReplayArgs),
    /// Print policies for HorizontalPodAutoscalers and KEDA ScaledObjects; exit 2 if something does not carry over,
    /// 64 on a bad file
    Import(ImportArgs),
    /// Print the ScalingPolicy CustomResourceDefinition
    Crd,
}

/// Does it.
///
/// # Errors
/// [`RunError::Config`] names a wrong flag or file; [`RunError::Verdict`] says that `check` found problems, or that
/// `import` left something open.
pub fn run(command: Command, ctx: Context) -> Running {
    Box::pin(execute(command, ctx))
}

async fn execute(command: Command, ctx: Context) -> Result<(), RunError> {
    match command {
        Command::Run(args) => run::run(*args, ctx).await,
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args).await,
        Command::Replay(args) => replay::run(&args),
        Command::Import(args) => import::run(&args),
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
