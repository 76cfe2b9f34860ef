//! Servers of HTTP, all within the same bounds: how many connect at once, how long a request's head may take, how long
//! nobody may say anything, how old a connection may become, and how long the end may take.
//!
//! `axum::serve` has none of these: who opens connections and says nothing keeps them, until no descriptors are left.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

use crate::Shutdown;

/// Pause after no connection could be accepted: no descriptors are left, or the peer has gone again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// What the headers of one HTTP/2 request may take.
const HEADERS_BYTES_MAX: u32 = 64 << 10;

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections at once; whoever comes beyond them waits to be let in.
    pub connections: usize,
    /// Longest that the first request and the head of each may take, that an HTTP/1 connection may be idle, and after
    /// which an HTTP/2 connection is asked whether it still lives.
    pub silence: Duration,
    /// A connection is closed in order after this; `None`: never.
    pub age: Option<Duration>,
    /// How long requests that are under way may take at the end.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 1_024, silence: seconds(30), age: None, drain: seconds(30) }
    }
}

/// Answers by `router` until shutdown, then lets requests that are under way end.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: Shutdown) {
    let end = stop.clone();
    let connect = |stream| {
        let (router, stop) = (router.clone(), end.clone());
        Some(async move { drive(stream, router, bounds, stop).await })
    };
    accept(listener, bounds, stop, connect).await;
}

/// Accepts connections until shutdown, and has `connect` drive each; where that gives nothing, it is closed at once.
pub async fn accept<C>(
    listener: TcpListener,
    bounds: Bounds,
    stop: Shutdown,
    connect: impl Fn(TcpStream) -> Option<C>,
) where
    C: Future<Output = Result<(), ConnectionError>> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(bounds.connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let turn = turns.clone().acquire_owned().await;
            (turn, listener.accept().await)
        };
        let (turn, stream) = tokio::select! {
            () = stop.started() => break,
            accepted = accepted => accepted,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(connection) = connect(stream) else { continue };
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended");
            }
            drop(turn);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(bounds.drain, ended).await;
}

/// Why a connection ended out of order.
pub type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

/// Speaks HTTP/1 or HTTP/2 on a connection until its other end, its age or a shutdown ends it.
///
/// # Errors
/// It broke, or broke a bound.
pub async fn drive(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    bounds: Bounds,
    stop: Shutdown,
) -> Result<(), ConnectionError> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.silence);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(bounds.silence)
        .keep_alive_timeout(bounds.silence / 2)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        // As axum::serve has it: WebSockets over HTTP/2.
        .enable_connect_protocol();
    // Before the first request nobody looks at the clock while it is open which HTTP is spoken.
    let asked = CancellationToken::new();
    let begun = asked.clone();
    let service = MapRequest::new(router, move |request: Request<Incoming>| {
        begun.cancel();
        request
    });
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let silent = async {
        if tokio::time::timeout(bounds.silence, asked.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let old = async {
        match bounds.age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = silent => return Err("no request came in".into()),
        () = stop.started() => {}
        () = old => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(bounds.drain, connection).await?
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start(bounds: Bounds) -> (std::net::SocketAddr, Shutdown, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), Shutdown::new());
        let router = Router::new()
            .route("/", get(async || "well"))
            .route("/never", get(async || std::future::pending::<&str>().await));
        (at, stop.clone(), tokio::spawn(serve(listener, router, bounds, stop)))
    }

    /// What comes back on a new connection until it ends.
    async fn say(at: std::net::SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut told = String::new();
        let all = stream.read_to_string(&mut told);
        drop(tokio::time::timeout(Duration::from_secs(20), all).await.expect("it is closed"));
        told
    }

    const WHOLE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn who_never_ends_a_head_keeps_nobody_out_for_long() {
        let bounds = Bounds { connections: 4, silence: Duration::from_millis(300), ..Bounds::default() };
        let (at, stop, task) = start(bounds).await;
        let slow = ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM"];
        let mut held = Vec::new();
        for text in slow.iter().cycle().take(16) {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            held.push(stream);
        }
        assert!(say(at, WHOLE).await.ends_with("well"));
        stop.start();
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_answered_and_says_nothing_more_is_closed() {
        let bounds = Bounds { silence: Duration::from_millis(100), ..Bounds::default() };
        let (at, _stop, _task) = start(bounds).await;
        assert!(say(at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("well"));
    }

    #[tokio::test]
    async fn the_end_waits_for_requests_and_not_for_ever() {
        let bounds = Bounds { drain: Duration::from_millis(200), ..Bounds::default() };
        let (at, stop, task) = start(bounds).await;
        let never = tokio::spawn(async move { say(at, "GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await });
        assert!(say(at, WHOLE).await.ends_with("well"), "the other one is under way beside it");
        stop.start();
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
        assert_eq!(never.await.unwrap(), "");
    }
}
