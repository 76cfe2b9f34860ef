//! Endpoints that fail, hang or are new. In counts: how fast the machine is does not matter.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::support::*;

/// An endpoint that reads a request, and then hangs or closes.
struct Bad {
    addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Bad {
    async fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    if stream.read(&mut head).await.is_ok_and(|n| n > 0) {
                        counted.fetch_add(1, Relaxed);
                    }
                    match answer {
                        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { addr, requests, task: task.abort_handle() }
    }

    async fn closing() -> Self {
        Self::start(Some("")).await
    }

    fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn echo() -> App {
    App::start(|r: Request<hyper::body::Incoming>| async move {
        text(r.into_body().collect().await.unwrap().to_bytes())
    })
    .await
}

async fn outbound(addrs: &[SocketAddr], flags: &str) -> (Proxy, tempfile::NamedTempFile) {
    let file = endpoints(&[("web.svc:80", addrs)]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {} {flags}", file.path().display())).await;
    (proxy, file)
}

fn with_body(proxy: &Proxy, method: Method, body: impl Into<bytes::Bytes>) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("http://{}/", proxy.outbound()));
    request.header("host", "web.svc").body(full(body)).unwrap()
}

/// How many of the requests were not 200.
async fn failed(proxy: &Proxy, requests: usize, method: Method) -> usize {
    let (client, mut failed) = (h1(), 0);
    for _ in 0..requests {
        let (status, _, _) = send(&client, with_body(proxy, method.clone(), "body")).await;
        failed += usize::from(status != StatusCode::OK);
    }
    failed
}

#[tokio::test]
async fn an_endpoint_that_closes_each_connection_costs_few_posts_and_no_put() {
    for (method, most) in [(Method::POST, 20), (Method::PUT, 0)] {
        let (good, bad) = (echo().await, Bad::closing().await);
        let (proxy, _file) = outbound(&[good.addr, bad.addr], "").await;
        let failed = failed(&proxy, 300, method.clone()).await;
        // Half would be its fair share.
        assert!(failed <= most, "{method}: {failed}");
        assert!((1..=20).contains(&bad.requests()), "{method}: {}", bad.requests());
        let retries = proxy.metrics().await.sum("outbound_http_route_retry_requests_total", &["web.svc"]);
        assert_eq!(retries as usize, if most == 0 { bad.requests() } else { 0 });
    }
}

#[tokio::test]
async fn an_endpoint_that_is_out_is_pending() {
    let (good, bad) = (echo().await, refusing());
    let (proxy, _file) = outbound(&[good.addr, bad], "").await;
    // Asked once or more, and out for longer each time.
    assert_eq!(failed(&proxy, 20, Method::GET).await, 0);
    let name = "outbound_http_balancer_endpoints";
    let m = proxy.metrics().await;
    let state = |state: &str| m.sum(name, &[&format!("endpoint_state=\"{state}\"")]);
    assert_eq!((state("ready"), state("pending")), (1.0, 1.0));
}

#[tokio::test]
async fn a_body_is_sent_again_as_it_was_and_a_long_one_is_not() {
    let (good, bad) = (echo().await, Bad::closing().await);
    for (size, whole) in [(1, true), (50_000, true), (300_000, false)] {
        let body: String = (0..size).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        // Only once the bad one was met: which is asked first is random.
        for _ in 0..50 {
            let (proxy, _file) = outbound(&[good.addr, bad.addr], "").await;
            let before = bad.requests();
            let (status, _, answer) = send(&h1(), with_body(&proxy, Method::PUT, body.clone())).await;
            if bad.requests() > before {
                assert_eq!(status == StatusCode::OK, whole, "{size}");
                assert!(!whole || answer == body, "{size}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_503_at_once_draws_no_traffic() {
    let good = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        text("ok")
    })
    .await;
    let bad = App::start(|_| async {
        let mut response = text("no");
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    })
    .await;
    let (proxy, _file) = outbound(&[good.addr, bad.addr], "").await;
    assert!(failed(&proxy, 200, Method::GET).await <= 20);
}

/// A gRPC response: OK, or UNAVAILABLE, in trailers after its head.
fn grpc(ok: bool) -> http::Response<Body> {
    let status = if ok { "0" } else { "14" };
    let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
    let frames = [Ok(http_body::Frame::data("x".into())), Ok(http_body::Frame::trailers(trailers))];
    let body = http_body_util::StreamBody::new(futures::stream::iter(frames));
    http::Response::builder().header("content-type", "application/grpc").body(BodyExt::boxed(body)).unwrap()
}

#[tokio::test]
async fn an_endpoint_whose_trailers_tell_that_it_fails_draws_no_calls() {
    let good = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        grpc(true)
    })
    .await;
    let bad = App::start(|_| async { grpc(false) }).await;
    let (proxy, _file) = outbound(&[good.addr, bad.addr], "").await;
    // HTTP/2 takes its authority from the target, so connect by hand.
    let io = hyper_util::rt::TokioIo::new(tokio::net::TcpStream::connect(proxy.outbound()).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let mut failed = 0;
    for _ in 0..60 {
        let request = Request::post("http://web.svc/s/m").header("content-type", "application/grpc");
        let response = client.send_request(request.body(full("x")).unwrap()).await.unwrap();
        let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap();
        failed += usize::from(trailers["grpc-status"] != "0");
    }
    assert!((1..=12).contains(&failed), "{failed}");
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_left_alone_when_clients_give_up() {
    let (a, b, bad) = (echo().await, echo().await, Bad::start(None).await);
    let (proxy, _file) = outbound(&[a.addr, b.addr, bad.addr], "").await;
    let mut left = 0;
    for _ in 0..100 {
        // Each on a connection of its own: it is closed when its client gives up.
        let client = h1();
        let request = client.request(with_body(&proxy, Method::POST, "body"));
        left += usize::from(tokio::time::timeout(Duration::from_millis(400), request).await.is_err());
    }
    // A third would be its fair share.
    assert!(bad.requests() <= 10 && left <= 15, "{} {left}", bad.requests());
}

#[tokio::test]
async fn a_deadline_of_a_clients_own_opens_no_breaker() {
    let slow = |name: &'static str| {
        App::start(move |_| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            text(name)
        })
    };
    let (a, b) = (slow("a").await, slow("b").await);
    let (proxy, _file) = outbound(&[a.addr, b.addr], "").await;
    let client = h1();
    for _ in 0..30 {
        let mut request = get(proxy.outbound(), "web.svc", "/");
        request.headers_mut().insert("l5d-timeout", "5ms".parse().unwrap());
        assert_eq!(send(&client, request).await.0, StatusCode::GATEWAY_TIMEOUT);
    }
    let m = proxy.metrics().await;
    assert_eq!(m.sum("outbound_http_balancer_endpoints", &["endpoint_state=\"ready\""]), 2.0);
}

#[tokio::test]
async fn where_all_fail_requests_still_go_out_and_the_first_that_heals_is_found() {
    let broken = Arc::new(AtomicUsize::new(1));
    let app = |broken: Arc<AtomicUsize>| {
        App::start(move |_| {
            let broken = broken.load(Relaxed) == 1;
            async move {
                let mut response = text("");
                if broken {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
                response
            }
        })
    };
    let (a, b) = (app(broken.clone()).await, app(broken.clone()).await);
    let (proxy, _file) = outbound(&[a.addr, b.addr], "").await;
    assert_eq!(failed(&proxy, 100, Method::GET).await, 100);
    broken.store(0, Relaxed);
    assert_eq!(failed(&proxy, 100, Method::GET).await, 0);
}

#[tokio::test]
async fn a_newcomer_to_a_fast_service_is_asked_at_once() {
    let (a, b, new) = (App::named("a").await, App::named("b").await, App::named("new").await);
    let (proxy, file) = outbound(&[a.addr, b.addr], "--slow-start 1s").await;
    let client = h1();
    let name = async || send(&client, get(proxy.outbound(), "web.svc", "/")).await.2;
    for _ in 0..300 {
        name().await;
    }
    write_endpoints(&file, &[("web.svc:80", &[a.addr, b.addr, new.addr])]);
    proxy.metrics_when(|m| m.sum("outbound_http_balancer_endpoints", &[]) == 3.0).await;
    // It is drawn in two of three choices, so this fails once in 3^12 runs.
    let mut names = Vec::new();
    for _ in 0..12 {
        names.push(name().await);
    }
    assert!(names.contains(&"new".to_owned()), "{names:?}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut hits = 0;
    for _ in 0..400 {
        hits += usize::from(name().await == "new");
    }
    assert!(hits > 20, "{hits}");
}

#[tokio::test]
async fn a_proxy_never_sends_to_itself() {
    let good = echo().await;
    let file = endpoints(&[]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    write_endpoints(
        &file,
        &[("web.svc:80", &[proxy.outbound(), good.addr]), ("self.svc:80", &[proxy.outbound()])],
    );
    let client = h1();
    // The file is looked at once a second.
    let known = async || send(&client, get(proxy.outbound(), "web.svc", "/")).await.0 == StatusCode::OK;
    for _ in 0..200 {
        if known().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        assert!(known().await);
    }
    for own in ["0.0.0.0:4140".to_owned(), format!("[::ffff:{}]:4140", proxy.ip)] {
        let status = send(&client, get(proxy.outbound(), &own, "/")).await.0;
        assert_eq!(status, StatusCode::LOOP_DETECTED, "{own}");
    }
}
