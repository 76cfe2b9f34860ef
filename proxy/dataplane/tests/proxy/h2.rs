//! HTTP/2 to the app: streams it takes and refuses, connections that end, peers that hinder each other.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::h2::{Reason, client, server};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::join_all;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::support::*;

type Respond = server::SendResponse<Bytes>;

/// A server that sees frames where hyper's sees messages.
struct Peer {
    addr: std::net::SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    /// The handler gets each connection, and its number.
    async fn raw<F: Future<Output = ()> + Send + 'static>(
        handler: impl Fn(usize, TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = connections.clone();
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(handler(count.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { addr, connections, task }
    }

    /// The handler gets each request, in a task of its own.
    async fn start<F: Future<Output = ()> + Send + 'static>(
        streams_max: u32,
        handler: impl Fn(Request<::h2::RecvStream>, Respond) -> F + Clone + Send + 'static,
    ) -> Self {
        Self::raw(move |_, stream| serve(streams_max, stream, handler.clone())).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<F: Future<Output = ()> + Send + 'static>(
    streams_max: u32,
    stream: TcpStream,
    handler: impl Fn(Request<::h2::RecvStream>, Respond) -> F,
) {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(streams_max).max_header_list_size(1 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut tasks = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tasks.spawn(handler(request, respond));
    }
}

fn answer(mut respond: Respond, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
}

/// Sends as fast as it is taken.
async fn answer_long(mut respond: Respond, mut left: usize) {
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
    while left > 0 {
        stream.reserve_capacity(left.min(64 << 10));
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let part = room.min(left);
        left -= part;
        if stream.send_data(Bytes::from(vec![b'x'; part]), left == 0).is_err() {
            return;
        }
    }
}

/// hyper's pooling client would connect to the authority, which is no address here.
async fn sender(addr: std::net::SocketAddr) -> hyper::client::conn::http2::SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(proxy: &Proxy, body: Body) -> Request<Body> {
    Request::post(format!("http://{}/", proxy.inbound())).body(body).unwrap()
}

#[tokio::test]
async fn streams_that_one_connection_does_not_take_go_on_another() {
    let (arrived, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (a, g) = (arrived.clone(), gate.clone());
    let peer = Peer::start(10, move |_, respond| {
        let (arrived, gate) = (a.clone(), g.clone());
        async move {
            arrived.fetch_add(1, Ordering::SeqCst);
            let _permit = gate.acquire().await.unwrap();
            answer(respond, "late");
        }
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let client = h2();
    let requests = (0..15).map(|_| {
        tokio::spawn({
            let (client, request) = (client.clone(), post(&proxy, full("x")));
            async move { send(&client, request).await }
        })
    });
    let requests: Vec<_> = requests.collect();
    let all = async {
        while arrived.load(Ordering::SeqCst) < 15 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.unwrap();
    assert_eq!(peer.connections(), 2);
    gate.add_permits(1);
    for answer in join_all(requests).await {
        let (status, _, body) = answer.unwrap();
        assert_eq!((status, body.as_str()), (StatusCode::OK, "late"));
    }
    assert_eq!(proxy.metrics().await.sum("response_total", &[r#"classification="success""#]), 15.0);
}

#[tokio::test]
async fn what_was_refused_unprocessed_is_sent_again_whatever_its_method() {
    for (refusals, expected) in [(2, StatusCode::OK), (3, StatusCode::BAD_GATEWAY)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let s = seen.clone();
        let peer = Peer::start(100, move |_, mut respond| {
            let refuse = s.fetch_add(1, Ordering::SeqCst) < refusals;
            async move {
                if refuse {
                    respond.send_reset(Reason::REFUSED_STREAM);
                } else {
                    answer(respond, "at last");
                }
            }
        })
        .await;
        let proxy = Proxy::inbound_to(peer.addr, "").await;
        let (status, ..) = send(&h2(), post(&proxy, full(""))).await;
        assert_eq!((status, seen.load(Ordering::SeqCst)), (expected, 3));
        // Each attempt is a request with a response.
        let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 3.0).await;
        assert_eq!(m.sum("request_total", &[]), 3.0);
        assert_eq!(m.sum("response_total", &[r#"error="h2(REFUSED_STREAM)""#]), refusals as f64);
    }
}

#[tokio::test]
async fn what_one_endpoint_refuses_another_takes() {
    let refusing = Peer::start(100, |_, mut respond| async move {
        respond.send_reset(Reason::REFUSED_STREAM);
    })
    .await;
    let taking = Peer::start(100, |_, respond| async { answer(respond, "taken") }).await;
    let file = endpoints(&[("web.svc:80", &[refusing.addr, taking.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let mut sender = sender(proxy.outbound()).await;
    for _ in 0..50 {
        let request = Request::post("http://web.svc/").body(full("")).unwrap();
        let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(refusing.connections(), 1);
}

#[tokio::test]
async fn with_no_more_than_one_connection_streams_wait_for_room() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // From here on, connecting is refused.
        drop(listener);
        serve(1, stream, |_, respond| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer(respond, "in turn");
        })
        .await;
    });
    let proxy = Proxy::inbound_to(addr, "").await;
    let client = h2();
    // Before it, whoever comes second waits in the queue of the listener, and is cut off.
    assert_eq!(send(&client, post(&proxy, full(""))).await.0, StatusCode::OK);
    let statuses = join_all((0..5).map(|_| async { send(&client, post(&proxy, full(""))).await.0 })).await;
    assert_eq!(statuses, [StatusCode::OK; 5]);
    task.abort();
}

#[tokio::test]
async fn streams_above_the_last_of_a_goaway_are_sent_again() {
    let peer = Peer::raw(|number, mut stream| async move {
        if number > 0 {
            return serve(100, stream, |_, respond| async { answer(respond, "second") }).await;
        }
        let mut preface = [0u8; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        loop {
            let mut head = [0u8; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == 1 {
                break;
            }
        }
        stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        pending::<()>().await;
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let (status, _, body) = send(&h2(), post(&proxy, full(""))).await;
    assert_eq!((status, body.as_str(), peer.connections()), (StatusCode::OK, "second", 2));
}

#[tokio::test]
async fn clients_that_read_nothing_do_not_stop_another() {
    const LONG: usize = 4 << 20;
    let peer = Peer::start(100, |_, respond| answer_long(respond, LONG)).await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(proxy.inbound()).await.unwrap();
        let mut builder = client::Builder::new();
        let (mut sender, connection) =
            builder.initial_window_size(0).handshake::<_, Bytes>(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let request = Request::get("http://app/").version(http::Version::HTTP_2).body(()).unwrap();
        let response = timeout(PATIENCE, sender.send_request(request, true).unwrap().0).await.unwrap();
        stalled.push((response.unwrap(), sender, driver));
    }
    // Their windows are full.
    let full_windows = (2 * (64 << 10)) as f64;
    proxy.metrics_when(|m| m.sum("tcp_read_bytes_total", &[r#"peer="dst""#]) > full_windows).await;
    let (status, _, body) = send(&h2(), get(proxy.inbound(), &proxy.inbound().to_string(), "/")).await;
    assert_eq!((status, body.len(), peer.connections()), (StatusCode::OK, LONG, 1));
}

#[tokio::test]
async fn large_trailers_arrive_whole_or_the_stream_is_reset() {
    let peer = Peer::start(100, |request, mut respond| async move {
        let len: usize = request.uri().path().trim_start_matches('/').parse().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"data"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "2".parse().unwrap());
        trailers.insert("grpc-message", "m".repeat(len).parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let client: Client = Legacy::builder(TokioExecutor::new())
        .http2_only(true)
        .http2_max_header_list_size(4 << 20)
        .build_http();
    for (len, whole) in [(70_000, true), (200_000, true), (300_000, false)] {
        let path = format!("/{len}");
        let request = get(proxy.inbound(), &proxy.inbound().to_string(), &path);
        let response = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
        let collected = timeout(PATIENCE, response.into_body().collect()).await.unwrap();
        let message = collected.ok().map(|c| c.trailers().unwrap()["grpc-message"].len());
        assert_eq!(message, whole.then_some(len));
    }
}

#[tokio::test]
async fn an_answer_before_the_upload_ends_is_an_answer() {
    let peer = Peer::start(100, |request, respond| async move {
        answer(respond, "enough");
        // Unread: with the answer complete, the stream is reset without an error.
        drop(request);
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let client = h2();
    for _ in 0..20 {
        let (mut sender, receiver) = mpsc::channel::<Bytes>(1);
        let body = BodyExt::boxed(StreamBody::new(receiver.map(|b| Ok::<_, hyper::Error>(Frame::data(b)))));
        sender.try_send(Bytes::from(vec![b'u'; 100_000])).unwrap();
        let (status, _, body) = send(&client, post(&proxy, body)).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "enough"));
    }
    assert_eq!(peer.connections(), 1);
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 20.0).await;
    assert_eq!(m.sum("response_total", &[r#"classification="success""#]), 20.0);
}

#[tokio::test]
async fn an_endpoint_that_left_finishes_its_streams_and_gets_no_new_ones() {
    let gate = Arc::new(Semaphore::new(0));
    let g = gate.clone();
    let leaving = Peer::start(100, move |_, mut respond| {
        let gate = g.clone();
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let _permit = gate.acquire().await.unwrap();
            stream.send_data(Bytes::from_static(b"finished"), true).unwrap();
        }
    })
    .await;
    let staying = Peer::start(100, |_, respond| async { answer(respond, "staying") }).await;
    let file = endpoints(&[("web.svc:80", &[leaving.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let ask = || Request::get("http://web.svc/").body(full("")).unwrap();
    let mut sender = sender(proxy.outbound()).await;
    let open = timeout(PATIENCE, sender.send_request(ask())).await.unwrap().unwrap();
    write_endpoints(&file, &[("web.svc:80", &[staying.addr])]);
    let moved = async {
        while staying.connections() == 0 {
            let response = sender.send_request(ask()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, moved).await.unwrap();
    gate.add_permits(1);
    let body = timeout(PATIENCE, open.into_body().collect()).await.unwrap().unwrap().to_bytes();
    assert_eq!((body.as_ref(), leaving.connections()), (&b"finished"[..], 1));
    // The last stream was what kept the connection.
    proxy.metrics_when(|m| m.sum("tcp_open_connections", &[r#"peer="dst""#]) == 1.0).await;
}

#[tokio::test]
async fn unused_connections_close() {
    let peer = Peer::start(1, |_, respond| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer(respond, "a");
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "--pool-idle-timeout 100ms").await;
    let client = h2();
    let statuses = join_all((0..5).map(|_| async { send(&client, post(&proxy, full(""))).await.0 })).await;
    assert_eq!(statuses, [StatusCode::OK; 5]);
    assert!((1..=5).contains(&peer.connections()), "{}", peer.connections());
    proxy.metrics_when(|m| m.sum("tcp_open_connections", &[r#"peer="dst""#]) == 0.0).await;
    assert_eq!(send(&client, post(&proxy, full(""))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_that_breaks_is_reset_with_its_own_reason() {
    let peer = Peer::start(100, |_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"half"), false).unwrap();
        // A reset discards what was not yet written.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.send_reset(Reason::ENHANCE_YOUR_CALM);
    })
    .await;
    let proxy = Proxy::inbound_to(peer.addr, "").await;
    let response = timeout(PATIENCE, h2().request(post(&proxy, full("")))).await.unwrap().unwrap();
    let error = timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap_err();
    let cause = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<::h2::Error>());
    assert_eq!(cause.and_then(::h2::Error::reason), Some(Reason::ENHANCE_YOUR_CALM), "{error:?}");
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 1.0).await;
    assert_eq!(m.sum("response_total", &[r#"error="h2(ENHANCE_YOUR_CALM)""#]), 1.0);
}
