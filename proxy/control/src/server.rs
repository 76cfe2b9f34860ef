//! `io.linkerd.proxy.destination.Destination` (linkerd2-proxy-api `destination.proto`).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use linkerd2_proxy_api::destination::destination_server::Destination;
use linkerd2_proxy_api::destination::{DestinationProfile, GetDestination, Update};
use prometheus_client::metrics::gauge::Gauge;
use thanos_telemetry::Shutdown;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::authority::Authority;
use crate::endpoints::Endpoints;
use crate::index::Index;
use crate::metrics::Metrics;

/// How long a proxy waits for the first list before it is told to come again. Below the proxy's own patience.
const LIST_WAIT: Duration = Duration::from_secs(5);

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

type Updates = BoxStream<'static, Result<Update, Status>>;

#[tonic::async_trait]
impl Destination for Server {
    type GetStream = Updates;
    type GetProfileStream = BoxStream<'static, Result<DestinationProfile, Status>>;

    async fn get(&self, request: Request<GetDestination>) -> Result<Response<Updates>, Status> {
        let path = request.into_inner().path;
        let authority = Authority::parse(&path, &self.domains).map_err(|e| {
            self.metrics.refused.inc();
            Status::invalid_argument(e.to_string())
        })?;
        if tokio::time::timeout(LIST_WAIT, self.index.wait_until_listed()).await.is_err() {
            return Err(Status::unavailable("the API server has not been heard yet; come again"));
        }
        let known = self.index.follow(&authority).map_err(|e| Status::resource_exhausted(e.to_string()))?;
        let follower = Follower {
            known,
            told: None,
            waiting: VecDeque::new(),
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            _open: OpenStream::new(&self.metrics.streams),
        };
        let updates = stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Some(update) => Some((Ok(update), Some(follower))),
                // A proxy that is told so goes on with what it knows and asks elsewhere.
                None => Some((Err(Status::unavailable("control plane is shutting down")), None)),
            }
        });
        Ok(Response::new(updates.boxed()))
    }

    async fn get_profile(
        &self,
        _: Request<GetDestination>,
    ) -> Result<Response<Self::GetProfileStream>, Status> {
        Err(Status::unimplemented("service profiles are not supported yet"))
    }
}

/// One open stream. A slow proxy is told of the newest state only, so nothing piles up.
struct Follower {
    known: watch::Receiver<Arc<Endpoints>>,
    told: Option<Arc<Endpoints>>,
    waiting: VecDeque<Update>,
    metrics: Metrics,
    shutdown: Shutdown,
    _open: OpenStream,
}

impl Follower {
    async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.waiting.pop_front() {
                self.metrics.updates.inc();
                return Some(update);
            }
            if self.told.is_some() {
                tokio::select! {
                    changed = self.known.changed() => changed.ok()?,
                    () = self.shutdown.started() => return None,
                }
            }
            let now = self.known.borrow_and_update().clone();
            self.waiting = now.updates_since(self.told.as_deref()).into();
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
