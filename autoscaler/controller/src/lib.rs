//! The controller: one tick per policy from evidence to the scale subresource.
//!
//! ```text
//!  ScalingPolicies ─ watch ─► scheduler ─ one batch ─► Prometheus HTTP API
//!                                │ answers
//!                                ▼
//!           tick: evidence ─► autoscaler-core decides ─► record ─► ring ─► PUT /scale ─► status, events
//!                                                                    ▲
//!  Lease ─► fence ───────────────────────────────────────────────────┘ nothing is written without it
//! ```
//!
//! Invariants:
//! - one place writes `/scale` (`cluster`), fenced by the Lease, with the resourceVersion that was decided on;
//! - every value comes with its evidence, in the same answer;
//! - what goes wrong with one policy, query or cluster stays there, becomes a condition with cause and cure,
//!   and changes no replicas;
//! - metrics are reached through the Prometheus HTTP API alone.
//!
//! Modules in reading order: `run`, `policies`, `plan`, `scheduler`, `schedule`,
//! `querier`, `evidence`, `tick`, `ring`, `cluster`, `pods`, `status`, `events`, `lease`, `records`, `metrics`,
//! `shared`; beside the controller `check`, `explain` and `import`.

mod check;
mod cluster;
mod events;
mod evidence;
mod explain;
mod import;
mod lease;
mod metrics;
mod plan;
mod pods;
mod policies;
mod querier;
mod records;
mod ring;
mod run;
mod schedule;
mod scheduler;
mod shared;
mod status;
mod tick;

pub use check::{Args as CheckArgs, Judged, judge_document};
pub use explain::Args as ExplainArgs;
pub use import::Args as ImportArgs;
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
        Command::Explain(args) => explain::run(&args),
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
