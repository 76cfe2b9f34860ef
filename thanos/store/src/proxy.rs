//! The fan-out as a StoreAPI of its own, so that queriers stack. Series pass through merged but undecoded:
//! whoever asks decodes and deduplicates.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use prost::Message;
use thanos_promql::source::{Budget, SourceError};
use thanos_storepb::convert::{labels_to_wire, matchers_from_wire};
use thanos_storepb::infopb::info_server::{Info, InfoServer};
use thanos_storepb::infopb::{InfoRequest, InfoResponse, StoreInfo};
use thanos_storepb::storepb::store_server::{Store, StoreServer};
use thanos_storepb::storepb::{
    AggrChunk, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    PartialResponseStrategy, Series, SeriesBatch, SeriesRequest, SeriesResponse, ZLabelSet, series_response,
};
use thanos_telemetry::Shutdown;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::fanout::{BATCH, Fanout, Plan, Querier, QueryOptions};
use crate::merge::{Group, Merge};

/// A batch ends beyond this: a client's default message limit is 4 MiB.
const BATCH_BYTES: usize = 1 << 20;

/// What one request may use.
#[derive(Clone, Debug)]
pub struct ProxyLimits {
    /// Longest that a request may take.
    pub timeout: Duration,
    /// A store that sends nothing for so long is left out.
    pub response_timeout: Duration,
    /// Bytes held for stores that cannot sort.
    pub max_memory_bytes: u64,
    /// Series of one request.
    pub max_series: usize,
}

/// Serves StoreAPI and Info until shutdown.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    fanout: Fanout,
    limits: ProxyLimits,
    shutdown: Shutdown,
) -> Result<(), tonic::transport::Error> {
    let proxy = Arc::new(StoreProxy { fanout, limits });
    tonic::transport::Server::builder()
        .add_service(StoreServer::from_arc(proxy.clone()))
        .add_service(InfoServer::from_arc(proxy))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.wait())
        .await
}

struct StoreProxy {
    fanout: Fanout,
    limits: ProxyLimits,
}

impl StoreProxy {
    fn querier(&self, disabled: bool, strategy: i32, replica_labels: Vec<String>) -> Querier {
        self.fanout.querier(QueryOptions {
            replica_labels,
            partial_response: !disabled && strategy != i32::from(PartialResponseStrategy::Abort),
            deadline: Instant::now() + self.limits.timeout,
            response_timeout: self.limits.response_timeout,
            max_series: self.limits.max_series,
        })
    }
}

fn compiled(matchers: &[LabelMatcher]) -> Result<Vec<thanos_model::Matcher>, Status> {
    matchers_from_wire(matchers).map_err(|e| Status::invalid_argument(e.to_string()))
}

fn status(e: SourceError) -> Status {
    match e {
        SourceError::Invalid(m) => Status::invalid_argument(m),
        SourceError::Budget(e) => Status::resource_exhausted(e.to_string()),
        SourceError::Unavailable(m) => Status::unavailable(m),
        SourceError::Timeout(m) => Status::deadline_exceeded(m),
    }
}

#[tonic::async_trait]
impl Info for StoreProxy {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let set = self.fanout.endpoints();
        if !set.settled() {
            return Err(Status::unavailable("not every store was asked yet"));
        }
        // Silent stores count: who asks for their data must come here to be told that it is missing.
        let statuses = set.statuses();
        let stores = || statuses.iter().filter_map(|s| s.info.as_ref()?.store);
        let mut sets: BTreeSet<_> =
            statuses.iter().filter_map(|s| s.info.as_ref()).flat_map(|i| &i.label_sets).collect();
        if statuses.iter().any(|s| s.info.as_ref().is_none_or(|i| i.label_sets.is_empty())) {
            // One that may hold anything.
            sets.clear();
        }
        let unknown = statuses.iter().any(|s| s.info.is_none());
        let min_time = stores().map(|s| s.min_ms).min().filter(|_| !unknown);
        let max_time = stores().map(|s| s.open_max_ms).max().filter(|_| !unknown);
        Ok(Response::new(InfoResponse {
            component_type: "query".into(),
            label_sets: sets.into_iter().map(|l| ZLabelSet { labels: labels_to_wire(l) }).collect(),
            store: Some(StoreInfo {
                min_time: min_time.unwrap_or(i64::MIN),
                max_time: max_time.unwrap_or(i64::MAX),
                supports_without_replica_labels: true,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl Store for StoreProxy {
    type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesResponse, Status>> + Send>>;

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let mut request = request.into_inner();
        if request.shard_info.as_ref().is_some_and(|s| s.total_shards > 1) {
            return Err(Status::unimplemented("shard_info is not supported; Info says so"));
        }
        let matchers = compiled(&request.matchers)?;
        let querier = self.querier(
            request.partial_response_disabled,
            request.partial_response_strategy,
            request.without_replica_labels.clone(),
        );
        let asked_batch = usize::try_from(request.response_batch_size).unwrap_or(0).clamp(1, BATCH as usize);
        let asked_limit = usize::try_from(request.limit).ok().filter(|l| *l > 0);
        request.response_batch_size = BATCH;
        request.hints = None;
        let plan = querier.plan(&matchers, request.min_time, request.max_time);
        let budget = Budget::new(0, self.limits.max_memory_bytes);
        let merge = querier.open(&plan, &request, &budget).await.map_err(|e| status(e.into()))?;
        let proxying = Proxying {
            querier,
            plan,
            merge: Some(merge),
            tail: VecDeque::new(),
            batch: asked_batch,
            left: asked_limit.unwrap_or(usize::MAX),
            allowed: self.limits.max_series,
        };
        let frames = stream::unfold(proxying, |mut p| async move { p.next().await.map(|frame| (frame, p)) });
        Ok(Response::new(frames.boxed()))
    }

    async fn label_names(
        &self,
        request: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelNamesResponse>, Status> {
        let r = request.into_inner();
        let matchers = compiled(&r.matchers)?;
        let querier =
            self.querier(r.partial_response_disabled, r.partial_response_strategy, r.without_replica_labels);
        let (names, warnings) = querier.label_names(&matchers, r.start, r.end).await.map_err(status)?;
        Ok(Response::new(LabelNamesResponse { names: limited(names, r.limit), warnings, hints: None }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let r = request.into_inner();
        if r.label.is_empty() {
            return Err(Status::invalid_argument("label name parameter cannot be empty"));
        }
        let matchers = compiled(&r.matchers)?;
        let querier =
            self.querier(r.partial_response_disabled, r.partial_response_strategy, r.without_replica_labels);
        let (values, warnings) =
            querier.label_values(&r.label, &matchers, r.start, r.end).await.map_err(status)?;
        Ok(Response::new(LabelValuesResponse { values: limited(values, r.limit), warnings, hints: None }))
    }
}

fn limited(texts: BTreeSet<String>, limit: i64) -> Vec<String> {
    let limit = usize::try_from(limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
    texts.into_iter().take(limit).collect()
}

/// One Series request while it streams.
struct Proxying {
    querier: Querier,
    plan: Plan,
    merge: Option<Merge>,
    /// What follows the series: warnings, or the error.
    tail: VecDeque<Result<SeriesResponse, Status>>,
    batch: usize,
    /// Series that the client still wants.
    left: usize,
    /// Series that it may still have.
    allowed: usize,
}

impl Proxying {
    async fn next(&mut self) -> Option<Result<SeriesResponse, Status>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(merge) = self.merge.as_mut().filter(|_| self.left > 0) {
            match merge.next().await {
                Ok(Some(group)) => {
                    let Some(allowed) = self.allowed.checked_sub(1) else {
                        return self.fail(Status::resource_exhausted("too many series; select fewer"));
                    };
                    self.allowed = allowed;
                    self.left -= 1;
                    let series = united(group);
                    bytes += series.encoded_len();
                    batch.push(series);
                    if batch.len() >= self.batch || bytes >= BATCH_BYTES {
                        break;
                    }
                }
                Ok(None) => {
                    self.finish();
                    break;
                }
                Err(over) => return self.fail(status(over.into())),
            }
        }
        if self.left == 0 {
            self.finish();
        }
        if batch.is_empty() {
            return self.tail.pop_front();
        }
        let result = match (self.batch, batch.len()) {
            (1, _) | (_, 1) => batch.pop().map(series_response::Result::Series),
            _ => Some(series_response::Result::Batch(SeriesBatch { series: batch })),
        };
        Some(Ok(SeriesResponse { result }))
    }

    fn finish(&mut self) {
        let Some(merge) = self.merge.take() else { return };
        let (failed, answered) = self.querier.account(&self.plan, merge.into_incidents());
        match self.querier.verdict(&self.plan, failed, answered) {
            Ok(warnings) => self.tail.extend(
                warnings
                    .into_iter()
                    .map(|w| Ok(SeriesResponse { result: Some(series_response::Result::Warning(w)) })),
            ),
            Err(e) => self.tail.push_back(Err(status(e))),
        }
    }

    fn fail(&mut self, status: Status) -> Option<Result<SeriesResponse, Status>> {
        self.merge = None;
        self.left = 0;
        Some(Err(status))
    }
}

/// One series with each chunk once, in Thanos' order of chunks.
fn united(group: Group) -> Series {
    let labels = labels_to_wire(&group.labels);
    let mut chunks: Vec<AggrChunk> = group.parts.into_iter().flat_map(|(_, chunks)| chunks).collect();
    let key = |c: &AggrChunk| (c.min_time, c.max_time, c.raw.as_ref().map(|r| r.data.clone()));
    chunks.sort_by_cached_key(key);
    let mut seen = HashSet::new();
    chunks.retain(|c| {
        c.raw.as_ref().is_none_or(|r| seen.insert((c.min_time, c.max_time, r.r#type, r.data.clone())))
    });
    Series { labels, chunks }
}
