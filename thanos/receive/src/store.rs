//! StoreAPI and Info over this replica's head (Thanos `pkg/store/tsdb.go`).

mod labels;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thanos_model::{Labels, Matcher};
use thanos_storepb::convert::{labels_to_wire, matchers_from_wire};
use thanos_storepb::infopb::info_server::Info;
use thanos_storepb::infopb::{InfoRequest, InfoResponse, StoreInfo, TsdbInfo};
use thanos_storepb::storepb::series_response::Result as Frame;
use thanos_storepb::storepb::store_server::Store;
use thanos_storepb::storepb::{
    self, AggrChunk, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, SeriesBatch, SeriesRequest, SeriesResponse, ZLabelSet, chunk::Encoding,
};
use thanos_tsdb::{ChunkView, Db, SelectedSeries};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use twox_hash::XxHash64;

use crate::ingest::{Storage, now_ms};
use labels::{Asked, Shard, View, split};

/// Selections at work at once.
const SELECTS: usize = 16;
const SELECT_WAIT: Duration = Duration::from_secs(10);
/// A client that takes nothing for this long has gone.
const SEND_DEADLINE: Duration = Duration::from_secs(60);
/// A batch frame ends near this size, however many series were asked for in one.
const FRAME_BYTES: usize = 1 << 20;
/// Frames made ahead of the client.
const FRAMES_AHEAD: usize = 4;

/// The service. Clones share it.
#[derive(Clone)]
pub(crate) struct HeadStore {
    storage: Arc<Storage>,
    external: Labels,
    tenant_label: Arc<str>,
    series_max: usize,
    retention_ms: i64,
    selects: Arc<Semaphore>,
}

/// A request in our words.
struct Selection {
    db: Arc<Db>,
    matchers: Vec<Matcher>,
    min_ms: i64,
    max_ms: i64,
}

impl HeadStore {
    pub(crate) fn new(
        storage: Arc<Storage>,
        external: Labels,
        tenant_label: Arc<str>,
        series_max: usize,
        retention_ms: i64,
    ) -> Self {
        let selects = Arc::new(Semaphore::new(SELECTS));
        Self { storage, external, tenant_label, series_max, retention_ms, selects }
    }

    fn db(&self) -> Result<Arc<Db>, Status> {
        self.storage.db().cloned().ok_or_else(|| Status::unavailable("not ready: the log is being replayed"))
    }

    /// `None`: the external labels say that nothing matches.
    fn selection(
        &self,
        wire: &[LabelMatcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Option<Selection>, Status> {
        let db = self.db()?;
        let matchers = matchers_from_wire(wire).map_err(|e| Status::invalid_argument(e.to_string()))?;
        Ok(match split(matchers, &self.external) {
            Asked::Nothing => None,
            Asked::Stored(matchers) => Some(Selection { db, matchers, min_ms, max_ms }),
        })
    }

    /// Runs work over the head away from the executor, so many at once.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = tokio::time::timeout(SELECT_WAIT, self.selects.clone().acquire_owned());
        let Ok(Ok(_turn)) = turn.await else {
            return Err(Status::resource_exhausted("too many selections at once"));
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Status::internal(e.to_string()))?
    }

    /// One label set for each tenant that has written: external labels, and the tenant's.
    fn label_sets(&self, db: &Db) -> Vec<Labels> {
        let tenants = db.label_values(&self.tenant_label, &[], i64::MIN, i64::MAX);
        if tenants.is_empty() {
            return vec![self.external.clone()];
        }
        tenants.into_iter().map(|t| self.external.with(self.tenant_label.clone(), t)).collect()
    }
}

#[tonic::async_trait]
impl Info for HeadStore {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let db = self.db()?;
        // A head that is still empty may take anything within the retention before the next time it is asked.
        let min_time = db.stats().span_ms.map_or(now_ms().saturating_sub(self.retention_ms), |s| s.0);
        let max_time = i64::MAX;
        let sets: Vec<ZLabelSet> =
            self.label_sets(&db).iter().map(|l| ZLabelSet { labels: labels_to_wire(l) }).collect();
        let tsdb_infos =
            sets.iter().map(|l| TsdbInfo { labels: Some(l.clone()), min_time, max_time }).collect();
        Ok(Response::new(InfoResponse {
            label_sets: sets,
            component_type: "receive".into(),
            store: Some(StoreInfo {
                min_time,
                max_time,
                supports_sharding: true,
                supports_without_replica_labels: true,
                tsdb_infos,
                supports_projections: false,
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl Store for HeadStore {
    type SeriesStream = ReceiverStream<Result<SeriesResponse, Status>>;

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let r = request.into_inner();
        let (frames, stream) = mpsc::channel(FRAMES_AHEAD);
        let shard = Shard::new(r.shard_info)?;
        let Some(s) = self.selection(&r.matchers, r.min_time, r.max_time)? else {
            return Ok(Response::new(ReceiverStream::new(stream)));
        };
        if s.matchers.is_empty() {
            return Err(Status::invalid_argument("no matchers specified (excluding external labels)"));
        }
        let view = View::new(&self.external, r.without_replica_labels);
        let (series_max, skip_chunks) = (self.series_max, r.skip_chunks);
        let limit = usize::try_from(r.limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
        let series = self
            .off_thread(move || {
                let selected = if skip_chunks {
                    s.db.select_labels(&s.matchers, s.min_ms, s.max_ms, series_max)
                } else {
                    s.db.select(&s.matchers, s.min_ms, s.max_ms, series_max)
                };
                let mut series =
                    present(selected.map_err(|e| Status::resource_exhausted(e.to_string()))?, &view);
                series.retain(|s| shard.as_ref().is_none_or(|shard| shard.has(&s.labels)));
                series.truncate(limit);
                Ok(series)
            })
            .await?;
        let batch_size = usize::try_from(r.response_batch_size).unwrap_or(0);
        tokio::spawn(async move {
            let frames_made = Framer { series: series.into_iter(), batch_size };
            for frame in frames_made {
                let sent = tokio::time::timeout(SEND_DEADLINE, frames.send(Ok(frame))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn label_names(
        &self,
        request: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelNamesResponse>, Status> {
        let r = request.into_inner();
        let Some(s) = self.selection(&r.matchers, r.start, r.end)? else {
            return Ok(Response::new(LabelNamesResponse::default()));
        };
        let view = View::new(&self.external, r.without_replica_labels);
        let names = self
            .off_thread(move || {
                let stored = s.db.label_names(&s.matchers, s.min_ms, s.max_ms);
                if stored.is_empty() {
                    return Ok(Vec::new());
                }
                let stored = stored.into_iter().filter(|n| !view.hides(n));
                let external = view.external().iter().map(|l| l.name.clone());
                let all: BTreeSet<Arc<str>> = stored.chain(external).collect();
                Ok(limited(all, r.limit))
            })
            .await?;
        Ok(Response::new(LabelNamesResponse { names, ..Default::default() }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let r = request.into_inner();
        if r.label.is_empty() {
            return Err(Status::invalid_argument("label name is empty"));
        }
        let asked = self.selection(&r.matchers, r.start, r.end)?;
        let view = View::new(&self.external, r.without_replica_labels);
        let Some(s) = asked.filter(|_| !view.hides(&r.label)) else {
            return Ok(Response::new(LabelValuesResponse::default()));
        };
        let values = self
            .off_thread(move || {
                let external = view.external().get(&r.label);
                if external.is_empty() {
                    let stored = s.db.label_values(&r.label, &s.matchers, s.min_ms, s.max_ms);
                    return Ok(limited(stored.into_iter().collect(), r.limit));
                }
                // Ours for every series, if there is any.
                let any =
                    s.matchers.is_empty() || !s.db.label_names(&s.matchers, s.min_ms, s.max_ms).is_empty();
                Ok(if any { vec![external.to_owned()] } else { Vec::new() })
            })
            .await?;
        Ok(Response::new(LabelValuesResponse { values, ..Default::default() }))
    }
}

fn limited(texts: BTreeSet<Arc<str>>, limit: i64) -> Vec<String> {
    let limit = usize::try_from(limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
    texts.into_iter().take(limit).map(|t| t.to_string()).collect()
}

/// Labels as the caller sees them, in that order; series that thereby become one are one.
fn present(selected: Vec<SelectedSeries>, view: &View) -> Vec<SelectedSeries> {
    let mut series: Vec<SelectedSeries> = selected
        .into_iter()
        .map(|s| SelectedSeries { labels: view.labels(&s.labels), chunks: s.chunks })
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series.dedup_by(|later, first| {
        let same = later.labels == first.labels;
        if same {
            first.chunks.append(&mut later.chunks);
            first.chunks.sort_by_key(|c| (c.min_ms, c.max_ms));
        }
        same
    });
    series
}

/// Turns series into frames: one each, or batches of what was asked for.
struct Framer {
    series: std::vec::IntoIter<SelectedSeries>,
    batch_size: usize,
}

impl Iterator for Framer {
    type Item = SeriesResponse;

    fn next(&mut self) -> Option<SeriesResponse> {
        let frame = if self.batch_size <= 1 {
            Frame::Series(to_wire(self.series.next()?))
        } else {
            let mut batch = Vec::new();
            let mut bytes = 0;
            while batch.len() < self.batch_size
                && bytes < FRAME_BYTES
                && let Some(s) = self.series.next()
            {
                bytes += s.chunks.iter().map(|c| c.data.len()).sum::<usize>();
                batch.push(to_wire(s));
            }
            if batch.is_empty() {
                return None;
            }
            Frame::Batch(SeriesBatch { series: batch })
        };
        Some(SeriesResponse { result: Some(frame) })
    }
}

fn to_wire(series: SelectedSeries) -> storepb::Series {
    let chunk = |c: ChunkView| AggrChunk {
        min_time: c.min_ms,
        max_time: c.max_ms,
        raw: Some(storepb::Chunk {
            r#type: Encoding::Xor.into(),
            hash: XxHash64::oneshot(0, &c.data),
            data: Bytes::from_owner(c.data),
        }),
        ..Default::default()
    };
    storepb::Series {
        labels: labels_to_wire(&series.labels),
        chunks: series.chunks.into_iter().map(chunk).collect(),
    }
}
