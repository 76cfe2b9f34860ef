//! Stores and a DNS server over real sockets, well-behaved or not.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use thanos_model::Labels;
use thanos_storepb::convert::{labels_to_wire, matchers_from_wire};
use thanos_storepb::infopb::info_server::{Info, InfoServer};
use thanos_storepb::infopb::{InfoRequest, InfoResponse, StoreInfo};
use thanos_storepb::storepb::store_server::{Store, StoreServer};
use thanos_storepb::storepb::*;
use thanos_tsdb::chunkenc::XorChunk;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Labels and samples.
pub(crate) type ScriptSeries = (Vec<(&'static str, &'static str)>, Vec<(i64, f64)>);

/// Names to records.
type Table = BTreeMap<String, Vec<RData>>;

/// What a store holds and how it behaves.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) external: Vec<(&'static str, &'static str)>,
    pub(crate) series: Vec<ScriptSeries>,
    pub(crate) removes_replica_labels: bool,
    pub(crate) behaviour: Behaviour,
    pub(crate) info_hangs: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Behaviour {
    #[default]
    Good,
    /// Accepts the request and says nothing.
    Hangs,
    /// Sends its first series, then nothing.
    HangsMidway,
    Fails,
    /// Sends its first series, then an error.
    Breaks,
    /// Its chunks are garbage.
    Garbage,
    /// Says that a block is missing.
    Warns,
    /// Sends its series in reverse order, one frame each.
    Unsorted,
    /// One frame for all.
    Batches,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Script>>);

/// A running store; dropping it kills it like a signal 9 would: sockets close without a goodbye.
pub(crate) struct FakeStore {
    pub(crate) addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    runtime: Option<Runtime>,
    polite: Arc<tokio::sync::Notify>,
}

impl FakeStore {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_at(script, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(script: Script, addr: SocketAddr) -> Self {
        // A runtime of its own, so that it can die alone.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(addr).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        let (fake, polite) = (Fake(script.clone()), Arc::new(tokio::sync::Notify::new()));
        let end = polite.clone();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            tonic::transport::Server::builder()
                .add_service(StoreServer::new(fake.clone()))
                .add_service(InfoServer::new(fake))
                .serve_with_incoming_shutdown(incoming, async move { end.notified().await })
                .await
                .unwrap();
        });
        Self { addr, script, runtime: Some(runtime), polite }
    }

    pub(crate) fn change(&self, f: impl FnOnce(&mut Script)) {
        f(&mut self.script.lock());
    }

    /// Ends as a server does that was asked to.
    pub(crate) fn stop_politely(&self) {
        self.polite.notify_one();
    }
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[tonic::async_trait]
impl Info for Fake {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let script = self.0.lock().clone();
        if script.info_hangs {
            futures::future::pending::<()>().await;
        }
        Ok(Response::new(InfoResponse {
            component_type: "receive".into(),
            label_sets: vec![ZLabelSet { labels: labels_to_wire(&Labels::from_pairs(script.external)) }],
            store: Some(StoreInfo {
                min_time: 0,
                max_time: i64::MAX,
                supports_without_replica_labels: script.removes_replica_labels,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

fn frame(series: Series) -> SeriesResponse {
    SeriesResponse { result: Some(series_response::Result::Series(series)) }
}

#[tonic::async_trait]
impl Store for Fake {
    type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesResponse, Status>> + Send>>;

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let (script, request) = (self.0.lock().clone(), request.into_inner());
        let matchers =
            matchers_from_wire(&request.matchers).map_err(|e| Status::invalid_argument(e.to_string()))?;
        if !request.without_replica_labels.is_empty() && !script.removes_replica_labels {
            return Err(Status::internal("was asked to remove labels, which it cannot"));
        }
        let external = Labels::from_pairs(script.external.clone());
        let garbage = script.behaviour == Behaviour::Garbage;
        let mut series: Vec<(Labels, Series)> = script
            .series
            .iter()
            .map(|(labels, samples)| (Labels::from_pairs(labels.clone()).overlaid(&external), samples))
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
            .map(|(labels, samples)| {
                let labels =
                    labels.filtered(|l| !request.without_replica_labels.iter().any(|r| **r == *l.name));
                let chunk = |part: &[(i64, f64)]| AggrChunk {
                    min_time: part[0].0,
                    max_time: part[part.len() - 1].0,
                    raw: Some(Chunk {
                        data: if garbage {
                            vec![0, 9, 1].into()
                        } else {
                            XorChunk::from_samples(part.iter().copied()).unwrap().into_bytes().into()
                        },
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                let chunks =
                    if request.skip_chunks { vec![] } else { samples.chunks(3).map(chunk).collect() };
                (labels.clone(), Series { labels: labels_to_wire(&labels), chunks })
            })
            .collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        if script.behaviour == Behaviour::Unsorted {
            series.reverse();
        }
        let mut frames: Vec<_> = series.into_iter().map(|(_, s)| Ok(frame(s))).collect();
        let frames: Self::SeriesStream = match script.behaviour {
            Behaviour::Good | Behaviour::Garbage | Behaviour::Unsorted => stream::iter(frames).boxed(),
            Behaviour::Hangs => stream::pending().boxed(),
            Behaviour::HangsMidway => {
                stream::iter(frames.into_iter().take(1)).chain(stream::pending()).boxed()
            }
            Behaviour::Fails => return Err(Status::unavailable("the disk is on fire")),
            Behaviour::Breaks => {
                let error = Err(Status::internal("the disk is on fire"));
                stream::iter(frames.into_iter().take(1).chain([error])).boxed()
            }
            Behaviour::Warns => {
                let warning = series_response::Result::Warning("a block is missing".into());
                let hints = series_response::Result::Hints(Default::default());
                frames.insert(0, Ok(SeriesResponse { result: Some(warning) }));
                frames.insert(1, Ok(SeriesResponse { result: Some(hints) }));
                stream::iter(frames).boxed()
            }
            Behaviour::Batches => {
                let all = frames.into_iter().filter_map(|f| match f.unwrap().result {
                    Some(series_response::Result::Series(s)) => Some(s),
                    _ => None,
                });
                let batch = SeriesBatch { series: all.collect() };
                stream::iter([Ok(SeriesResponse { result: Some(series_response::Result::Batch(batch)) })])
                    .boxed()
            }
        };
        Ok(Response::new(frames))
    }

    async fn label_names(
        &self,
        _: Request<LabelNamesRequest>,
    ) -> Result<Response<LabelNamesResponse>, Status> {
        let script = self.0.lock().clone();
        match script.behaviour {
            Behaviour::Fails => return Err(Status::unavailable("the disk is on fire")),
            Behaviour::Hangs => futures::future::pending().await,
            _ => {}
        }
        let inner = script.series.iter().flat_map(|(l, _)| l).map(|l| l.0.to_owned());
        let names = inner.chain(script.external.iter().map(|l| l.0.to_owned())).collect();
        Ok(Response::new(LabelNamesResponse { names, ..Default::default() }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let (script, label) = (self.0.lock().clone(), request.into_inner().label);
        if script.behaviour == Behaviour::Fails {
            return Err(Status::unavailable("the disk is on fire"));
        }
        let all = script.series.iter().flat_map(|(l, _)| l).chain(&script.external);
        let values = all.filter(|l| l.0 == label).map(|l| l.1.to_owned()).collect();
        Ok(Response::new(LabelValuesResponse { values, ..Default::default() }))
    }
}

/// A DNS server that answers A and SRV from a table that tests change; silent while `table` is `None`.
#[derive(Clone)]
pub(crate) struct FakeDns {
    pub(crate) addr: SocketAddr,
    table: Arc<Mutex<Option<Table>>>,
}

impl FakeDns {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let this = Self { addr: socket.local_addr().unwrap(), table: Arc::default() };
        let table = this.table.clone();
        tokio::spawn(async move {
            let mut buf = [0; 1500];
            loop {
                let Ok((n, peer)) = socket.recv_from(&mut buf).await else { return };
                let Some(table) = table.lock().clone() else { continue };
                let request = Message::from_vec(&buf[..n]).unwrap();
                let query = request.queries[0].clone();
                let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
                answer.add_query(query.clone());
                let name = query.name().to_utf8().to_lowercase();
                let records = table.get(name.trim_end_matches('.'));
                if records.is_none() {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                for data in records.into_iter().flatten() {
                    let wanted = matches!(
                        (query.query_type(), data),
                        (RecordType::A, RData::A(_)) | (RecordType::SRV, RData::SRV(_))
                    );
                    if wanted {
                        answer.add_answer(Record::from_rdata(query.name().clone(), 1, data.clone()));
                    }
                }
                let _ = socket.send_to(&answer.to_vec().unwrap(), peer).await;
            }
        });
        this
    }

    /// `_grpc._tcp.receive` lists these hosts, each with its address.
    pub(crate) fn serve(&self, hosts: &[(&str, SocketAddr)]) {
        let mut table = BTreeMap::new();
        if !hosts.is_empty() {
            let srv = |(host, addr): &(&str, SocketAddr)| {
                RData::SRV(SRV::new(0, 0, addr.port(), Name::from_utf8(format!("{host}.")).unwrap()))
            };
            table.insert("_grpc._tcp.receive".to_owned(), hosts.iter().map(srv).collect());
        }
        for (host, addr) in hosts {
            let IpAddr::V4(ip) = addr.ip() else { panic!("IPv4 only") };
            table.insert((*host).to_owned(), vec![RData::A(ip.into())]);
        }
        *self.table.lock() = Some(table);
    }

    pub(crate) fn go_silent(&self) {
        *self.table.lock() = None;
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(10);
