//! One store's answer as a stream of series in label order, whatever the store can do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use thanos_model::Labels;
use thanos_promql::source::{Budget, OverBudget};
use thanos_storepb::convert::labels_from_wire_after;
use thanos_storepb::storepb::{
    self, AggrChunk, SeriesRequest, SeriesResponse, series_response, store_client::StoreClient,
};
use tokio::time::Instant;

use crate::metrics::Cause;
use crate::set::{StoreView, status_text};

/// A series as it comes from a store: its chunks are still encoded.
#[derive(Clone, Debug)]
pub(crate) struct WireSeries {
    pub(crate) labels: Labels,
    pub(crate) chunks: Vec<AggrChunk>,
}

/// What a store's stream yields.
pub(crate) enum Item {
    Series(WireSeries),
    /// The store itself says that its answer is incomplete.
    Warning(String),
}

/// Why a stream ended early.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The store failed; others may still answer.
    Store(Cause, String),
    /// The query may hold no more.
    Budget(OverBudget),
}

pub(crate) type SeriesStream = BoxStream<'static, Result<Item, StreamError>>;

/// Limits of one request to one store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A store that sends nothing for so long is left out.
    pub(crate) response_timeout: Duration,
    /// The whole query's end.
    pub(crate) deadline: Instant,
    pub(crate) max_message_bytes: usize,
}

/// Opens the stream. Replica labels are removed and the order is right when it yields.
pub(crate) fn open(
    store: &StoreView,
    mut request: SeriesRequest,
    replica_labels: Arc<[String]>,
    limits: Limits,
    budget: Arc<Budget>,
) -> SeriesStream {
    let removes = store.info.as_ref().and_then(|i| i.store).is_some_and(|s| s.without_replica_labels);
    let resort = !removes && !replica_labels.is_empty();
    if resort {
        request.without_replica_labels.clear();
    }
    let client = StoreClient::new(store.channel.clone()).max_decoding_message_size(limits.max_message_bytes);
    let state = State {
        phase: Phase::Ask(client, Box::new(request)),
        pending: VecDeque::new(),
        last: Labels::empty(),
        limits,
    };
    let items =
        stream::unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) });
    if resort { resorted(items.boxed(), replica_labels, budget) } else { items.boxed() }
}

enum Phase {
    Ask(StoreClient<tonic::transport::Channel>, Box<SeriesRequest>),
    Read(tonic::Streaming<SeriesResponse>),
    Done,
}

struct State {
    phase: Phase,
    /// Series of a batch that were not yielded yet.
    pending: VecDeque<storepb::Series>,
    /// Of the series that was yielded last; the next ones share their texts with it.
    last: Labels,
    limits: Limits,
}

impl State {
    async fn next(&mut self) -> Option<Result<Item, StreamError>> {
        loop {
            if let Some(series) = self.pending.pop_front() {
                let labels = labels_from_wire_after(&series.labels, &self.last);
                self.last = labels.clone();
                return Some(Ok(Item::Series(WireSeries { labels, chunks: series.chunks })));
            }
            match self.receive().await {
                Ok(None) => return None,
                Ok(Some(response)) => match response.result {
                    Some(series_response::Result::Series(s)) => self.pending.push_back(s),
                    Some(series_response::Result::Batch(b)) => self.pending.extend(b.series),
                    Some(series_response::Result::Warning(text)) => return Some(Ok(Item::Warning(text))),
                    Some(series_response::Result::Hints(_)) | None => {}
                },
                Err(error) => {
                    self.phase = Phase::Done;
                    return Some(Err(error));
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<SeriesResponse>, StreamError> {
        let Limits { response_timeout, deadline, .. } = self.limits;
        let until = deadline.min(Instant::now() + response_timeout);
        let step = async {
            loop {
                match &mut self.phase {
                    Phase::Ask(client, request) => {
                        let request = std::mem::take(&mut **request);
                        let stream = client.series(request).await?.into_inner();
                        self.phase = Phase::Read(stream);
                    }
                    Phase::Read(stream) => return stream.message().await,
                    Phase::Done => return Ok(None),
                }
            }
        };
        match tokio::time::timeout_at(until, step).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(status)) => Err(StreamError::Store(Cause::Failed, status_text(&status))),
            Err(_) if until == deadline => {
                Err(StreamError::Store(Cause::Timeout, "no answer by the query's deadline".into()))
            }
            Err(_) => {
                Err(StreamError::Store(Cause::Timeout, format!("sent nothing for {response_timeout:?}")))
            }
        }
    }
}

/// For a store that cannot remove replica labels: reads everything, removes them here, sorts again.
fn resorted(mut items: SeriesStream, replica_labels: Arc<[String]>, budget: Arc<Budget>) -> SeriesStream {
    let all = async move {
        let (mut series, mut others) = (Vec::new(), Vec::new());
        let mut held_bytes = 0u64;
        while let Some(item) = items.next().await {
            match item {
                Ok(Item::Series(mut s)) => {
                    s.labels = s.labels.filtered(|l| !replica_labels.iter().any(|r| **r == *l.name));
                    let bytes = wire_bytes(&s);
                    if let Err(over) = budget.charge(0, bytes) {
                        others.push(Err(StreamError::Budget(over)));
                        break;
                    }
                    held_bytes += bytes;
                    series.push(s);
                }
                other => others.push(other),
            }
        }
        // From here each series is charged again as samples, one by one, while these drain.
        budget.release(0, held_bytes);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let sorted = series.into_iter().map(|s| Ok(Item::Series(s)));
        // Failures last: what came before them is still part of the answer.
        stream::iter(sorted.chain(others))
    };
    stream::once(all).flatten().boxed()
}

fn wire_bytes(series: &WireSeries) -> u64 {
    let chunk = |c: &AggrChunk| size_of::<AggrChunk>() + c.raw.as_ref().map_or(0, |r| r.data.len());
    let labels = series.labels.iter().map(|l| l.name.len() + l.value.len() + 64).sum::<usize>();
    (labels + series.chunks.iter().map(chunk).sum::<usize>()) as u64
}
