//! A queue of jobs, as a broker holds one. Who sends a job is answered when a worker has done it, so that a load's
//! latency is how long jobs wait and are worked on.
//!
//! ```text
//!  GET /            ─► ready ─► POST /take ─► unacked ─► POST /done/{id} ─► answered
//!                        ▲                       │ not done in time
//!                        └───────────────────────┘
//!  GET /counts      how many, as JSON: what the exporter reads
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args as ClapArgs;
use parking_lot::Mutex;
use thanos_model::parse_duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use jobs::{JobId, Jobs};

pub(super) mod jobs;

/// Flags of a queue.
#[derive(Clone, Debug, ClapArgs)]
pub struct Queue {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Jobs that it holds; more get 503.
    #[arg(long, default_value_t = 100_000)]
    pub length: usize,
    /// How long a worker may take over a job, before another gets it.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub ack_within: Duration,
    /// How long a worker that asks waits for a job.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub poll: Duration,
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

#[derive(Debug)]
struct Broker {
    held: Mutex<Held>,
    /// A job became ready.
    came: Notify,
    started: Instant,
    poll: Duration,
}

#[derive(Debug)]
struct Held {
    jobs: Jobs,
    /// Who waits for which job.
    senders: BTreeMap<JobId, oneshot::Sender<()>>,
}

pub(super) fn router(args: &Queue) -> Router {
    let held = Held { jobs: Jobs::new(args.length, args.ack_within), senders: BTreeMap::new() };
    let broker = Arc::new(Broker {
        held: Mutex::new(held),
        came: Notify::new(),
        started: Instant::now(),
        poll: args.poll,
    });
    Router::new()
        .route("/", get(publish))
        .route("/take", post(take))
        .route("/done/{id}", post(done))
        .route("/counts", get(counts))
        .route("/healthz", get(async || "ok\n"))
        .with_state(broker)
}

/// A sender that leaves takes nothing back: the job stays.
async fn publish(State(broker): State<Arc<Broker>>) -> (StatusCode, &'static str) {
    let (tell, told) = oneshot::channel();
    {
        let mut held = broker.held.lock();
        let Some(id) = held.jobs.publish() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "queue full\n");
        };
        held.senders.insert(id, tell);
    }
    broker.came.notify_one();
    match told.await {
        Ok(()) => (StatusCode::OK, "done\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "closing\n"),
    }
}

/// The next job's number, or 204 if none came in time.
async fn take(State(broker): State<Arc<Broker>>) -> (StatusCode, String) {
    let next = async {
        loop {
            // Before the look, so that what comes in between is not missed.
            let came = broker.came.notified();
            let taken = broker.held.lock().jobs.take(broker.started.elapsed());
            match taken {
                Some(id) => return id,
                None => came.await,
            }
        }
    };
    match tokio::time::timeout(broker.poll, next).await {
        Ok(id) => (StatusCode::OK, id.to_string()),
        Err(_) => (StatusCode::NO_CONTENT, String::new()),
    }
}

async fn done(State(broker): State<Arc<Broker>>, Path(id): Path<JobId>) -> StatusCode {
    let mut held = broker.held.lock();
    if !held.jobs.done(id) {
        return StatusCode::NOT_FOUND;
    }
    if let Some(sender) = held.senders.remove(&id) {
        // Who left meanwhile needs no answer.
        let _ = sender.send(());
    }
    StatusCode::NO_CONTENT
}

async fn counts(State(broker): State<Arc<Broker>>) -> Json<serde_json::Value> {
    let mut held = broker.held.lock();
    held.jobs.expire(broker.started.elapsed());
    let c = held.jobs.counts();
    Json(serde_json::json!({
        "ready": c.ready,
        "unacked": c.unacked,
        "published": c.published,
        "acked": c.acked,
        "redelivered": c.redelivered,
    }))
}
