//! An HTTP server that answers what a test tells it, byte for byte; plain or over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use autoscaler_querier::{Outcome, Prometheus, Querier, Source};
use parking_lot::Mutex;
use thanos_model::HttpUrl;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request: its head as it came, and its form.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }
}

/// What a server does with a request.
pub(crate) enum Reply {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays.
    Hang,
    /// These bytes, and the connection ends.
    Cut(Vec<u8>),
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) port: u16,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), None, handler)
    }

    pub(crate) async fn start_tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(config), handler)
    }

    pub(crate) fn listen(
        listener: TcpListener,
        tls: Option<rustls::ServerConfig>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let handler: Handler = Arc::new(handler);
        let (kept, counted) = (requests.clone(), connections.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, handler, kept) = (acceptor.clone(), handler.clone(), kept.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, handler, kept).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, handler, kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url: format!("{scheme}://localhost:{port}"), port, requests, connections, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.requests.lock().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Handler,
    kept: Arc<Mutex<Vec<Request>>>,
) {
    loop {
        let mut bytes = Vec::new();
        let request = loop {
            if let Some(request) = whole(&bytes) {
                break request;
            }
            let mut some = [0; 8192];
            match stream.read(&mut some).await {
                Ok(0) | Err(_) => return,
                Ok(n) => bytes.extend_from_slice(&some[..n]),
            }
        };
        kept.lock().push(request.clone());
        let (bytes, stays) = match handler(&request) {
            Reply::Bytes(bytes) => (bytes, true),
            Reply::Cut(bytes) => (bytes, false),
            Reply::Hang => std::future::pending().await,
        };
        // A client that has had enough goes away.
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() || !stays {
            return;
        }
    }
}

fn whole(bytes: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let request = Request { head: head.to_owned(), body: body.to_owned() };
    let length: usize = request.header("content-length").map_or(0, |n| n.parse().unwrap());
    (body.len() >= length).then_some(request)
}

/// A whole response.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Reply {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Reply::Bytes(bytes)
}

/// A scalar.
pub(crate) fn value(number: f64) -> Reply {
    let body = format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[1,"{number}"]}}}}"#);
    response("200 OK", "", body.as_bytes())
}

/// A source with these addresses.
pub(crate) fn source(addresses: &[&str]) -> Source {
    let mut addresses = addresses.iter().map(|a| HttpUrl::parse(a).unwrap());
    let mut source = Source::new(addresses.next().unwrap());
    source.addresses.extend(addresses);
    source
}

pub(crate) async fn ask(querier: &impl Querier, deadline_ms: u64) -> Outcome {
    querier.instant("up", 1_700_000_000_500, Duration::from_millis(deadline_ms)).await
}

/// Asks a source once, with time enough.
pub(crate) async fn ask_source(source: &Source) -> Outcome {
    ask(&Prometheus::new(source).unwrap(), 20_000).await
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())
}
