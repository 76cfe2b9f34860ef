//! What a queue holds and was sent, in the metrics of RabbitMQ (`rabbitmq_prometheus`, `/metrics/detailed`, groups
//! `queue_coarse_metrics` and `channel_queue_exchange_metrics`). A process of its own, so that it can be lost while the
//! queue goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args as ClapArgs;
use http::{Method, Uri};
use serde::Deserialize;
use thanos_model::parse_duration;
use thanos_telemetry::RunError;

use super::TEXT;
use super::upstream::Upstream;

/// Flags of an exporter.
#[derive(Clone, Debug, ClapArgs)]
pub struct Exporter {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The queue, as its users name it: `http://jobs.default.svc.cluster.local/`.
    #[arg(long, value_name = "URL")]
    pub queue: Uri,
    /// The queue's name in the metrics.
    #[arg(long, value_name = "NAME", default_value = "jobs")]
    pub name: String,
    /// Send through this HTTP proxy (the sidecar's outbound side) instead of to the queue's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub proxy: Option<SocketAddr>,
    /// Longest wait for the queue's answer.
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub timeout: Duration,
    /// After SIGTERM, how long to go on listening.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub linger: Duration,
}

/// What the queue says of itself.
#[derive(Debug, Deserialize)]
struct Counts {
    ready: u64,
    unacked: u64,
    published: u64,
}

pub(super) fn router(args: &Exporter) -> Result<Router, RunError> {
    if args.name.contains(['"', '\\', '\n']) {
        return Err(RunError::Config(format!("--name {:?}: without quotes and backslashes", args.name)));
    }
    let queue =
        Arc::new((Upstream::new("--queue", &args.queue, args.proxy, args.timeout)?, args.name.clone()));
    let page = move || {
        let queue = queue.clone();
        async move { page(&queue.0, &queue.1).await }
    };
    Ok(Router::new().route("/metrics", get(page)).route("/healthz", get(async || "ok\n")))
}

/// An error where the queue cannot be asked: a page without it would read as if there were no jobs.
async fn page(queue: &Upstream, name: &str) -> Response {
    let counts = match queue.ask(Method::GET, "/counts").await {
        Ok((StatusCode::OK, body)) => serde_json::from_slice::<Counts>(&body).map_err(|e| e.to_string()),
        Ok((status, _)) => Err(format!("the queue answered {status}")),
        Err(e) => Err(e.to_string()),
    };
    match counts {
        Ok(counts) => ([(header::CONTENT_TYPE, TEXT)], text(&counts, name)).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn text(counts: &Counts, queue: &str) -> String {
    let Counts { ready, unacked, published } = *counts;
    let of_queue = format!("vhost=\"/\",queue=\"{queue}\"");
    // All senders as one channel, through the default exchange.
    let of_channel =
        format!("channel=\"1\",queue_vhost=\"/\",queue=\"{queue}\",exchange_vhost=\"/\",exchange=\"\"");
    let metric = |what: &str, kind: &str, help: &str, labels: &str, value: u64| {
        let name = format!("rabbitmq_detailed_queue_{what}");
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{{labels}}} {value}\n")
    };
    let gauge = |what, help, value| metric(what, "gauge", help, &of_queue, value);
    [
        gauge("messages_ready", "Messages ready to be delivered to consumers", ready),
        gauge("messages_unacked", "Messages delivered to consumers but not yet acknowledged", unacked),
        gauge("messages", "Sum of ready and unacknowledged messages", ready.saturating_add(unacked)),
        metric("messages_published_total", "counter", "Messages published to queues", &of_channel, published),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_rabbitmqs_names() {
        let page = text(&Counts { ready: 7, unacked: 2, published: 30 }, "jobs");
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"jobs\"} 7",
                "rabbitmq_detailed_queue_messages_unacked{vhost=\"/\",queue=\"jobs\"} 2",
                "rabbitmq_detailed_queue_messages{vhost=\"/\",queue=\"jobs\"} 9",
                "rabbitmq_detailed_queue_messages_published_total{channel=\"1\",queue_vhost=\"/\",queue=\"jobs\",\
                 exchange_vhost=\"/\",exchange=\"\"} 30",
            ]
        );
    }
}
