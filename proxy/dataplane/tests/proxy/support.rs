//! A proxy on an address of its own, apps, clients, and a reader of metrics.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use proxy_dataplane::Args;
use thanos_telemetry::{Context, RunError, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;
pub(crate) type Client = Legacy<HttpConnector, Body>;

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// A loopback address that no other test uses, here or in another process.
fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id();
    loop {
        let ip =
            Ipv4Addr::new(127, 64 + (pid >> 8) as u8 % 128, pid as u8, NEXT.fetch_add(1, Ordering::Relaxed));
        if [4140, 4143, 4191].iter().all(|port| StdListener::bind((ip, *port)).is_ok()) {
            return ip;
        }
    }
}

/// A running sidecar.
pub(crate) struct Proxy {
    pub(crate) ip: IpAddr,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

impl Proxy {
    /// `{ip}` in a flag is the proxy's own address.
    pub(crate) async fn start(flags: &str) -> Self {
        let ip = own_ip();
        let flags = format!("--admin-listen {{ip}}:4191 {flags}").replace("{ip}", &ip.to_string());
        let args = Cli::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap().args;
        let shutdown = Shutdown::new();
        let task = tokio::spawn(proxy_dataplane::run(args, Context { shutdown: shutdown.clone() }));
        let proxy = Self { ip: ip.into(), shutdown, task };
        let ready = async {
            while proxy.admin_get("/ready").await.map(|r| r.0) != Some(StatusCode::OK) {
                assert!(!proxy.task.is_finished(), "the proxy ended");
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, ready).await.unwrap();
        proxy
    }

    pub(crate) async fn inbound_to(app: SocketAddr, flags: &str) -> Self {
        Self::start(&format!("--inbound-listen {{ip}}:4143 --inbound-forward {app} {flags}")).await
    }

    pub(crate) async fn outbound_with(flags: &str) -> Self {
        Self::start(&format!("--outbound-listen {{ip}}:4140 {flags}")).await
    }

    pub(crate) fn inbound(&self) -> SocketAddr {
        (self.ip, 4143).into()
    }

    pub(crate) fn outbound(&self) -> SocketAddr {
        (self.ip, 4140).into()
    }

    pub(crate) async fn admin_get(&self, path: &str) -> Option<(StatusCode, String)> {
        let mut s = TcpStream::connect((self.ip, 4191)).await.ok()?;
        s.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .ok()?;
        let mut text = String::new();
        s.read_to_string(&mut text).await.ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics(self.admin_get("/metrics").await.unwrap().1)
    }

    /// Waits until the metrics say so: a response reaches its client a moment before it is counted.
    pub(crate) async fn metrics_when(&self, condition: impl Fn(&Metrics) -> bool) -> Metrics {
        let wait = async {
            loop {
                let metrics = self.metrics().await;
                if condition(&metrics) {
                    return metrics;
                }
                tokio::task::yield_now().await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(metrics) => metrics,
            Err(_) => panic!("never became true:\n{}", self.metrics().await.0),
        }
    }

    pub(crate) fn begin_drain(&self) {
        self.shutdown.start();
    }

    /// Waits for the end of a drain.
    pub(crate) async fn ended(self) {
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// A scrape.
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// Sum of the samples of a name whose labels contain every part.
    pub(crate) fn sum(&self, name: &str, parts: &[&str]) -> f64 {
        self.0
            .lines()
            .filter(|l| l.strip_prefix(name).is_some_and(|r| r.starts_with(['{', ' '])))
            .filter(|l| parts.iter().all(|p| l.contains(p)))
            .map(|l| l.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }
}

/// Serves HTTP/1 and HTTP/2 on a free port until dropped.
pub(crate) struct App {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl App {
    pub(crate) async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let handler = Arc::new(move |r| -> BoxFuture<'static, Response<Body>> { Box::pin(handler(r)) });
        let task = tokio::spawn(async move {
            // Connections end with the app, as when a process is killed.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let handler = handler.clone();
                let service = service_fn(move |r| {
                    let response = handler(r);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                connections.spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { addr, task }
    }

    /// Answers with its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |_| async move { text(name) }).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn text(body: impl Into<Bytes>) -> Response<Body> {
    Response::new(full(body))
}

pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

pub(crate) fn h1() -> Client {
    Legacy::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn h2() -> Client {
    Legacy::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// A request to a proxy for a path; HTTP/1 in origin-form with the given Host.
pub(crate) fn get(proxy: SocketAddr, host: &str, path: &str) -> Request<Body> {
    let request = Request::get(format!("http://{proxy}{path}")).header("host", host);
    request.body(full("")).unwrap()
}

/// Status, headers, body.
pub(crate) async fn send(client: &Client, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
    let response = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The same over HTTP/2 with an authority of its own.
pub(crate) async fn send_h2(
    proxy: SocketAddr,
    request: Request<Body>,
) -> (StatusCode, http::HeaderMap, String) {
    let io = TokioIo::new(TcpStream::connect(proxy).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
    connection.abort();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Sends bytes and reads until the peer closes.
pub(crate) async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut s = TcpStream::connect(addr).await.unwrap();
    s.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    let _ = timeout(PATIENCE, s.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A file of endpoints for `--endpoints`.
pub(crate) fn endpoints(list: &[(&str, &[SocketAddr])]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_endpoints(&file, list);
    file
}

pub(crate) fn write_endpoints(file: &tempfile::NamedTempFile, list: &[(&str, &[SocketAddr])]) {
    let line = |(name, addrs): &(&str, &[SocketAddr])| {
        let addrs: Vec<_> = addrs.iter().map(|a| format!("\"{a}\"")).collect();
        format!("\"{name}\": [{}]\n", addrs.join(", "))
    };
    std::fs::write(file.path(), list.iter().map(line).collect::<String>()).unwrap();
}

/// An address that refuses connections: bound by us, so that nobody else gets it, and not listened on.
pub(crate) fn refusing() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    addr
}

/// An app in bytes: what it saw on each connection, and what it answers to each request's head.
pub(crate) struct RawApp {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<parking_lot::Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl RawApp {
    /// Answers each head at once, and goes on reading; `close` after the answer.
    pub(crate) async fn answering(answer: &'static str, close: bool) -> Self {
        Self::start(move |mut stream, seen| async move {
            while let Some(()) = read_head(&mut stream, &seen).await {
                if stream.write_all(answer.as_bytes()).await.is_err() || close {
                    return;
                }
            }
        })
        .await
    }

    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<parking_lot::Mutex<Vec<u8>>>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<parking_lot::Mutex<Vec<u8>>>::default();
        let all = seen.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, all.clone()));
            }
        });
        Self { addr, seen, task }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock()).into_owned()
    }

    /// Waits until it saw this.
    pub(crate) async fn saw(&self, part: &str) {
        let wait = async {
            while !self.text().contains(part) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never saw {part:?}: {:?}", self.text());
        }
    }
}

impl Drop for RawApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until there is one head more than before, noting everything; `None` at the end.
pub(crate) async fn read_head(stream: &mut TcpStream, seen: &parking_lot::Mutex<Vec<u8>>) -> Option<()> {
    let heads = || String::from_utf8_lossy(&seen.lock()).matches(" HTTP/1.1\r\n").count();
    let before = heads();
    let mut piece = [0; 4096];
    loop {
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        seen.lock().extend_from_slice(&piece[..n]);
        let whole = seen.lock().windows(4).any(|w| w == b"\r\n\r\n");
        if whole && heads() > before {
            return Some(());
        }
    }
}

/// A client in bytes.
pub(crate) struct RawClient(pub(crate) TcpStream);

impl RawClient {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to and with this.
    pub(crate) async fn until(&mut self, part: &str) -> String {
        let mut got = Vec::new();
        let read = async {
            let mut piece = [0; 4096];
            while !String::from_utf8_lossy(&got).contains(part) {
                match self.0.read(&mut piece).await {
                    Ok(n) if n > 0 => got.extend_from_slice(&piece[..n]),
                    _ => return false,
                }
            }
            true
        };
        let found = timeout(PATIENCE, read).await;
        let text = String::from_utf8_lossy(&got).into_owned();
        assert!(matches!(found, Ok(true)), "never came: {part:?}; came: {text:?}");
        text
    }

    /// Reads to the end; whether it was a proper one.
    pub(crate) async fn rest(&mut self) -> (String, bool) {
        let mut got = Vec::new();
        let ended = timeout(PATIENCE, self.0.read_to_end(&mut got)).await.expect("the end");
        (String::from_utf8_lossy(&got).into_owned(), ended.is_ok())
    }
}
