//! Small services to aim load at. Their time is a timer's, not the processor's, so that two cores can carry fifty
//! pods and a queue still forms where a real one would.
//!
//! ```text
//!  load ─► front ─► web                      works for a service time; over HTTP/1.1 or gRPC
//!  load ─► queue ◄─ worker                   a job waits; its sender is answered when it is done
//!            ▲───── exporter ─► /metrics     how many wait, in RabbitMQ's names
//!  load ─► front ─► inference ─► /metrics    continuous batching, in vLLM's or llama.cpp's names
//! ```
//!
//! The models behind queue and inference are plain structs without a clock: `queue::jobs`, `inference::batch`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use clap::Subcommand;
use thanos_telemetry::{Context, RunError, Running, admin};

mod exporter;
mod front;
mod grpc;
mod inference;
mod queue;
mod service_time;
mod upstream;
mod web;
mod worker;

pub use exporter::Exporter;
pub use front::Front;
pub use inference::{Inference, LONGEST_MEANS, Names};
pub use queue::Queue;
pub use service_time::{CV_MAX, Distribution};
pub use web::Web;
pub use worker::Worker;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which service.
#[derive(Clone, Debug, Subcommand)]
pub enum App {
    /// Answers after a service time, so many requests at once.
    Web(Web),
    /// Asks an upstream for every request it gets.
    Front(Front),
    /// Holds jobs until workers have done them; who sends one is answered then.
    Queue(Queue),
    /// Takes jobs from a queue and works on them.
    Worker(Worker),
    /// Says how many jobs a queue has, in RabbitMQ's metrics.
    Exporter(Exporter),
    /// Generates tokens for many requests at once, as vLLM and llama.cpp do, and says so in their metrics.
    Inference(Inference),
}

/// Runs a service until shutdown.
///
/// # Errors
/// [`RunError::Config`] for an address, a cv or a size that cannot be used.
pub fn run(app: App, ctx: Context) -> Running {
    Box::pin(answer(app, ctx))
}

async fn answer(app: App, ctx: Context) -> Result<(), RunError> {
    match app {
        App::Web(args) => web::run(args, ctx).await,
        App::Front(args) => {
            let router = front::router(&args)?;
            serve(args.listen, router, args.linger, ctx).await
        }
        App::Queue(args) => {
            let router = queue::router(&args);
            serve(args.listen, router, args.linger, ctx).await
        }
        App::Worker(args) => worker::run(args, ctx).await,
        App::Exporter(args) => {
            let router = exporter::router(&args)?;
            serve(args.listen, router, args.linger, ctx).await
        }
        App::Inference(args) => inference::run(args, ctx).await,
    }
}

/// Until shutdown, and for as long as the sidecar in front still sends.
async fn serve(listen: SocketAddr, router: Router, linger: Duration, ctx: Context) -> Result<(), RunError> {
    let listener = admin::bind("--listen", listen).await?;
    let end = async move {
        ctx.shutdown.started().await;
        tokio::time::sleep(linger).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(end).await.map_err(|e| RunError::Failed(e.into()))
}

/// Whether it is time to begin; not if shutdown came before.
async fn started_up(start_up: Duration, ctx: &Context) -> bool {
    tokio::select! {
        () = tokio::time::sleep(start_up) => true,
        () = ctx.shutdown.started() => false,
    }
}

#[cfg(test)]
mod tests;
