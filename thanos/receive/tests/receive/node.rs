//! One node, and clients to talk to it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Parser;
use prost::Message;
use thanos_model::Labels;
use thanos_receive::{Args, Listeners};
use thanos_storepb::convert::labels_from_wire;
use thanos_storepb::infopb::InfoRequest;
use thanos_storepb::infopb::info_client::InfoClient;
use thanos_storepb::prompb::{Sample, TimeSeries, WriteRequest};
use thanos_storepb::storepb::series_response::Result as Frame;
use thanos_storepb::storepb::store_client::StoreClient;
use thanos_storepb::storepb::{Label, LabelMatcher, SeriesRequest, label_matcher::Type};
use thanos_telemetry::{RunError, Shutdown};
use thanos_tsdb::chunkenc::xor;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// A series and its samples.
pub type Stored = (Labels, Vec<(i64, f64)>);

/// A client's runtime.
pub fn client() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

/// Asks until the answer is yes.
pub fn until(what: &str, mut yes: impl FnMut() -> bool) {
    let start = Instant::now();
    while !yes() {
        assert!(start.elapsed() < DEADLINE, "in vain: {what}");
        client().block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    }
}

/// Addresses that can be given away before a node uses them. Each has a loopback address of its own, so that
/// nobody else takes the ports between a node's death and its return.
pub struct Ports {
    open: Option<[std::net::TcpListener; 3]>,
    pub remote_write: SocketAddr,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

impl Ports {
    pub fn open() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let [hi, lo] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let ip = Ipv4Addr::new(127, 80 + (std::process::id() % 100) as u8, hi, lo);
        let open = [(); 3].map(|()| {
            let listener = std::net::TcpListener::bind((ip, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        });
        let [remote_write, grpc, http] = [0, 1, 2].map(|i: usize| open[i].local_addr().unwrap());
        Self { open: Some(open), remote_write, grpc, http }
    }
}

pub struct Node {
    pub ports: Ports,
    dir: PathBuf,
    runtime: Option<Runtime>,
    shutdown: Shutdown,
    ended: mpsc::Receiver<Result<(), RunError>>,
}

impl Node {
    /// Starts a node and waits until it is ready.
    pub fn start(dir: &Path, flags: &[&str]) -> Self {
        Self::start_on(Ports::open(), dir, flags)
    }

    pub fn start_on(ports: Ports, dir: &Path, flags: &[&str]) -> Self {
        let node = Self::launch(ports, dir, flags);
        until("readiness", || node.get("/-/ready").0 == 200);
        node
    }

    /// Starts a node that ends by itself; with what error.
    pub fn refused(dir: &Path, flags: &[&str]) -> RunError {
        let node = Self::launch(Ports::open(), dir, flags);
        node.ended.recv_timeout(DEADLINE).expect("it ends").expect_err("it is refused")
    }

    fn launch(mut ports: Ports, dir: &Path, flags: &[&str]) -> Self {
        let path = dir.to_str().unwrap();
        let mut all = vec!["receive", "--tsdb.path", path, "--label", "cluster=\"east\""];
        all.extend(["--receive.hashrings-file-refresh-interval", "20ms"]);
        all.extend(flags);
        let args = Cli::try_parse_from(all).unwrap_or_else(|e| panic!("{e}")).args;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let open = ports.open.take().unwrap_or_else(|| {
            [ports.remote_write, ports.grpc, ports.http].map(|at| {
                let listener = std::net::TcpListener::bind(at).unwrap();
                listener.set_nonblocking(true).unwrap();
                listener
            })
        });
        let listeners = {
            let _in = runtime.enter();
            let [remote_write, grpc, http] = open.map(|l| TcpListener::from_std(l).unwrap());
            Listeners { remote_write, grpc, http }
        };
        let shutdown = Shutdown::new();
        let (end, ended) = mpsc::channel();
        let token = shutdown.clone();
        runtime.spawn(async move {
            let _ = end.send(thanos_receive::serve(args, listeners, token).await);
        });
        Self { ports, dir: dir.to_owned(), runtime: Some(runtime), shutdown, ended }
    }

    /// Stops it without drain or sync, and gives its addresses to whoever comes next.
    pub fn kill(mut self) -> Ports {
        self.runtime.take().unwrap().shutdown_timeout(DEADLINE);
        // A process would have let go of its directory by its death; here the last thread must have ended.
        let lock = std::fs::File::open(self.dir.join("lock")).unwrap();
        until("the directory is free", || lock.try_lock().is_ok());
        Ports { open: None, ..self.ports }
    }

    /// Asks it to end and waits for that.
    pub fn stop(self) -> Ports {
        self.shutdown.start();
        self.ended.recv_timeout(DEADLINE).expect("it ends").expect("it ends well");
        self.kill()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.ports.http);
        client().block_on(async {
            match http().get(url).send().await {
                Ok(r) => (r.status().as_u16(), r.text().await.unwrap_or_default()),
                Err(_) => (0, String::new()),
            }
        })
    }

    /// The value of a metric, by its line's beginning.
    pub fn metric(&self, line: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let value = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {line} in\n{text}")).parse().unwrap()
    }

    pub fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
        let url = format!("http://{}/api/v1/receive", self.ports.remote_write);
        client().block_on(async {
            let mut request = http().post(url).body(body);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            if status == 429 {
                assert_eq!(response.headers()["retry-after"], "1");
            }
            (status, response.text().await.unwrap())
        })
    }

    pub fn write(&self, series: Vec<TimeSeries>) -> (u16, String) {
        self.post(HEADERS, snappy(&request(series)))
    }

    pub fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.ports.grpc)).unwrap().connect_lazy()
    }

    /// Series by StoreAPI with their samples.
    pub fn series(&self, request: SeriesRequest) -> Result<Vec<Stored>, tonic::Status> {
        client().block_on(async {
            let mut stream = StoreClient::new(self.channel()).series(request).await?.into_inner();
            let mut out = Vec::new();
            while let Some(frame) = stream.message().await? {
                let series = match frame.result.unwrap() {
                    Frame::Series(s) => vec![s],
                    Frame::Batch(b) => b.series,
                    other => panic!("unexpected frame {other:?}"),
                };
                out.extend(series.into_iter().map(|s| {
                    let chunks = s.chunks.into_iter().map(|c| c.raw.unwrap());
                    let samples = chunks.flat_map(|c| xor::decode(&c.data).unwrap()).collect();
                    (labels_from_wire(&s.labels), samples)
                }));
            }
            Ok(out)
        })
    }

    /// Everything stored, by `__name__`.
    pub fn stored(&self) -> BTreeMap<String, Vec<(i64, f64)>> {
        let all = self.series(select(&[(Type::Re, "__name__", ".+")])).unwrap();
        all.into_iter().map(|(l, s)| (l.metric_name().to_owned(), s)).collect()
    }

    pub fn info(&self) -> Result<thanos_storepb::infopb::InfoResponse, tonic::Status> {
        client()
            .block_on(async { Ok(InfoClient::new(self.channel()).info(InfoRequest {}).await?.into_inner()) })
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(DEADLINE).build().unwrap()
}

pub const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries {
        labels: labels.iter().map(|(n, v)| Label { name: (*n).into(), value: (*v).into() }).collect(),
        samples: samples
            .iter()
            .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp })
            .collect(),
        ..Default::default()
    }
}

pub fn named(name: &str, samples: &[(i64, f64)]) -> TimeSeries {
    series(&[("__name__", name), ("job", "test")], samples)
}

pub fn request(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    WriteRequest { timeseries, metadata: vec![] }.encode_to_vec()
}

pub fn snappy(raw: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(raw).unwrap()
}

pub fn select(matchers: &[(Type, &str, &str)]) -> SeriesRequest {
    let matcher = |(op, n, v): &(Type, &str, &str)| LabelMatcher {
        r#type: (*op).into(),
        name: (*n).into(),
        value: (*v).into(),
    };
    SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: matchers.iter().map(matcher).collect(),
        ..Default::default()
    }
}
