//! What an API server calls: the validating webhook for ScalingPolicies, and `external.metrics.k8s.io`.
//!
//! ```text
//!               ┌─ watches ─► Known, Statuses (pure: autoscaler-webhook, autoscaler-external-metrics)
//!  API server ──┤                       ▲
//!               └─ TLS ─► tls ─► router ┘ one answer a request, within a deadline
//!                          ▲
//!           autoscaler-certs: shown, renewed, vouched for
//! ```
//!
//! Processes of their own, apart from the controller: every replica answers, none leads, and neither may write what
//! the other writes.
//!
//! Invariants:
//! - every connection, handshake, body, request and answer has a bound or a deadline;
//! - nothing is answered without TLS; `/metrics`, `/live` and `/ready` have a port of their own;
//! - a process is ready once it has a certificate and has seen everything that it judges by.
//!
//! Modules in reading order: [`args`], [`clock`], [`cache`], [`tls`], [`process`], [`metrics`], [`webhook`],
//! [`external`].

mod args;
mod cache;
mod clock;
mod external;
mod metrics;
mod process;
mod tls;
mod webhook;

pub use external::Args as ExternalMetricsArgs;
pub use webhook::Args as WebhookArgs;

use thanos_telemetry::{Context, Running};

/// What `gauntlet autoscaler` can do beside the controller.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Judge ScalingPolicies when they are applied: a second scaler, PromQL that does not parse, impossible bounds
    Webhook(Box<WebhookArgs>),
    /// Serve policies' metrics to HPAs (external.metrics.k8s.io), and no value whose evidence is in doubt
    ExternalMetrics(Box<ExternalMetricsArgs>),
}

/// Does it.
///
/// # Errors
/// [`RunError::Config`](thanos_telemetry::RunError::Config) names a wrong flag, or who holds a port; anything else is a bug or a broken host.
pub fn run(command: Command, ctx: Context) -> Running {
    match command {
        Command::Webhook(args) => Box::pin(webhook::run(*args, ctx)),
        Command::ExternalMetrics(args) => Box::pin(external::run(*args, ctx)),
    }
}
