//! `Get` and `GetProfile` of `io.linkerd.proxy.destination.Destination` (linkerd2-proxy-api `destination.proto`).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use linkerd2_proxy_api::destination::GetDestination;
use prometheus_client::metrics::gauge::Gauge;
use thanos_telemetry::Shutdown;
use tonic::Status;

use crate::authority::{Client, Names};
use crate::index::{FollowError, Following, Index, Question};
use crate::metrics::Metrics;
use crate::view::Version;

/// How long a proxy waits for the first list before it is told to come again. Below the proxy's own patience.
const LIST_WAIT: Duration = Duration::from_secs(5);
/// Streams at once, over all proxies.
const STREAMS_MAX: i64 = 100_000;

/// Encoded messages of one stream.
pub type Messages = BoxStream<'static, Result<Bytes, Status>>;

/// The service.
#[derive(Clone, Debug)]
pub struct Server {
    /// What is known.
    pub index: Arc<Index>,
    /// Domains that this cluster's names end in.
    pub domains: Arc<[String]>,
    /// Process-wide counters.
    pub metrics: Metrics,
    /// Ends all streams.
    pub shutdown: Shutdown,
}

impl Server {
    /// Answers a question, and goes on doing so whenever the answer changes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for what names nothing in this cluster, `RESOURCE_EXHAUSTED` for too much at once,
    /// `UNAVAILABLE` while nothing is known yet.
    pub async fn answer(&self, question: Question, request: &GetDestination) -> Result<Messages, Status> {
        let refuse = |e: &dyn std::error::Error| {
            self.metrics.refused.inc();
            Status::invalid_argument(e.to_string())
        };
        let client = Client::parse(&request.context_token);
        let names =
            Names::parse(&request.path, client.ns.as_deref(), &self.domains).map_err(|e| refuse(&e))?;
        if self.metrics.streams.get() + self.metrics.profile_streams.get() >= STREAMS_MAX {
            return Err(Status::resource_exhausted(format!("{STREAMS_MAX} streams are open already")));
        }
        let gauge = match question {
            Question::Endpoints => &self.metrics.streams,
            Question::Profile => &self.metrics.profile_streams,
        };
        let open = OpenStream::new(gauge);
        if tokio::time::timeout(LIST_WAIT, self.index.wait_until_listed()).await.is_err() {
            return Err(Status::unavailable("the API server has not been heard yet; come again"));
        }
        let following = self.index.follow(question, names).map_err(|e| match e {
            FollowError::Outside => refuse(&e),
            FollowError::TooMany => Status::resource_exhausted(e.to_string()),
        })?;
        let follower = Follower {
            following,
            told: None,
            waiting: [].into(),
            next: 0,
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            _open: open,
        };
        let messages = stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Some(message) => Some((Ok(message), Some(follower))),
                // A proxy that is told so goes on with what it knows and asks elsewhere.
                None => Some((Err(Status::unavailable("control plane is shutting down")), None)),
            }
        });
        Ok(messages.boxed())
    }
}

/// One open stream. A slow proxy is told of the newest version only, so nothing piles up: it holds the version
/// that it is told, whatever comes meanwhile.
struct Follower {
    following: Following,
    told: Option<Arc<Version>>,
    waiting: Arc<[Bytes]>,
    next: usize,
    metrics: Metrics,
    shutdown: Shutdown,
    _open: OpenStream,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.waiting.get(self.next) {
                self.next += 1;
                self.metrics.updates.inc();
                return Some(message.clone());
            }
            // Told: the messages are of no further use.
            (self.waiting, self.next) = ([].into(), 0);
            if self.told.is_some() {
                tokio::select! {
                    () = self.following.changed() => {}
                    () = self.shutdown.started() => return None,
                }
            }
            let now = self.following.newest()?;
            self.waiting = now.messages_since(self.told.as_deref());
            self.told = Some(now);
        }
    }
}

/// Counts a stream for as long as it lives, however it ends.
struct OpenStream(Gauge);

impl OpenStream {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
