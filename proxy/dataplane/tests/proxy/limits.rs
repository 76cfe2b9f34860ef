//! What is too much, too slow or too long.

use std::time::{Duration, Instant};

use futures::future::join_all;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::*;

async fn never(_: Request<hyper::body::Incoming>) -> http::Response<Body> {
    std::future::pending().await
}

#[tokio::test]
async fn over_the_rate_is_429_with_retry_after_and_counts_as_demand() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--inbound-rate-limit 1:5").await;
    let client = h1();
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let (status, headers, _) = send(&client, get(proxy.inbound(), "web", "/")).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(headers["retry-after"], "1");
            assert!(headers["l5d-proxy-error"].to_str().unwrap().contains("rate limit"));
        }
        statuses.push(status.as_u16());
    }
    assert_eq!(statuses[..5], [200; 5]);
    // A slow machine may earn one more token meanwhile.
    let limited = statuses.iter().filter(|s| **s == 429).count();
    assert!((2..=3).contains(&limited), "{statuses:?}");
    let m = proxy.metrics().await;
    assert_eq!(m.sum("request_arrivals_total", &[r#"direction="inbound""#]), 8.0);
    assert_eq!(m.sum("inbound_http_errors_total", &[r#"error="ratelimited""#]), limited as f64);
    assert_eq!(m.sum("request_total", &[]), (8 - limited) as f64);
}

#[tokio::test]
async fn a_grpc_client_is_refused_in_grpcs_words() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--inbound-rate-limit 1").await;
    let client = h2();
    let mut last = None;
    for _ in 0..3 {
        let request = Request::post(format!("http://{}/", proxy.inbound()))
            .header("content-type", "application/grpc")
            .body(full(""))
            .unwrap();
        last = Some(send(&client, request).await);
    }
    let (status, headers, _) = last.unwrap();
    assert_eq!((status, &headers["grpc-status"]), (StatusCode::OK, &"8".parse().unwrap()));
}

#[tokio::test]
async fn more_in_flight_than_allowed_is_shed() {
    let app = App::start(never).await;
    let proxy = Proxy::inbound_to(app.addr, "--max-in-flight 2 --request-timeout 500ms").await;
    let addr = proxy.inbound();
    let requests: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { send(&h1(), get(addr, "web", "/")).await.0 })).collect();
    proxy.metrics_when(|m| m.sum("requests_in_flight", &[]) == 2.0).await;
    assert_eq!(send(&h1(), get(addr, "web", "/")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for status in join_all(requests).await {
        assert_eq!(status.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    }
    let m = proxy.metrics_when(|m| m.sum("requests_in_flight", &[]) == 0.0).await;
    assert_eq!(m.sum("inbound_http_errors_total", &[r#"error="loadshed""#]), 1.0);
    assert_eq!(m.sum("inbound_http_errors_total", &[r#"error="timeout""#]), 2.0);
    assert_eq!(m.sum("response_total", &[r#"classification="failure",error="timeout""#]), 2.0);
    // Two requests for half a second each.
    let integral = m.sum("request_in_flight_seconds_total", &[]);
    assert!((0.95..3.0).contains(&integral), "{integral}");
}

#[tokio::test]
async fn an_outbound_request_may_bring_its_own_deadline() {
    let app = App::start(never).await;
    let proxy = Proxy::outbound_with("").await;
    let with = |timeout: &str| {
        let mut request = get(proxy.outbound(), &app.addr.to_string(), "/");
        request.headers_mut().insert("l5d-timeout", timeout.parse().unwrap());
        request
    };
    assert_eq!(send(&h1(), with("50ms")).await.0, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(send(&h1(), with("soon")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_service_without_endpoints_fails_fast_and_then_at_once() {
    let file = endpoints(&[("empty.svc:80", &[])]);
    let flags = format!("--fail-fast-timeout 300ms --endpoints {}", file.path().display());
    let proxy = Proxy::outbound_with(&flags).await;
    let ask = async |host: &str| {
        let began = Instant::now();
        let (status, headers, _) = send(&h1(), get(proxy.outbound(), host, "/")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        (began.elapsed(), headers["l5d-proxy-error"].to_str().unwrap().to_owned())
    };
    let (waited, error) = ask("empty.svc").await;
    assert!(
        waited >= Duration::from_millis(250) && error.contains("no ready endpoint"),
        "{waited:?} {error}"
    );
    let (waited, _) = ask("empty.svc").await;
    assert!(waited < Duration::from_millis(250), "{waited:?}");
    let (_, error) = ask("nowhere.svc").await;
    assert!(error.contains("no such service"), "{error}");
    let m = proxy.metrics().await;
    assert_eq!(m.sum("outbound_http_errors_total", &[r#"error="failfast""#]), 3.0);
    assert!(m.sum("request_queue_wait_seconds_total", &[r#"authority="empty.svc""#]) > 0.25);
}

#[tokio::test]
async fn slow_talkers_are_hung_up_on() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--detect-timeout 100ms --header-timeout 100ms").await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for words in ["", "P", "PRI * HTTP", preface, "GET / HTTP/1.1\r\nhost: a\r\nx-slow:"] {
        let answer = raw(proxy.inbound(), words.as_bytes()).await;
        assert!(!answer.contains("HTTP") || answer.starts_with("HTTP/1.1 408"), "{words:?}: {answer}");
    }
}

#[tokio::test]
async fn an_unused_http2_connection_is_closed_politely_and_a_used_one_is_not() {
    let app = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        text("slow")
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--header-timeout 100ms").await;
    let (client, addr) = (h2(), proxy.inbound());
    for _ in 0..2 {
        let (status, _, body) = send(&client, get(addr, &addr.to_string(), "/")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "slow"));
        proxy.metrics_when(|m| m.sum("tcp_open_connections", &[r#"peer="src""#]) == 0.0).await;
    }
    assert_eq!(proxy.metrics().await.sum("tcp_open_total", &[r#"peer="src""#]), 2.0);
}

#[tokio::test]
async fn a_response_that_stalls_is_cut() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut s, _) = listener.accept().await.unwrap();
        let mut head = [0u8; 4096];
        let _ = s.read(&mut head).await;
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    });
    let proxy = Proxy::inbound_to(addr, "--stream-idle-timeout 100ms").await;
    let answer = raw(proxy.inbound(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nhalf"), "{answer}");
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 1.0).await;
    assert_eq!(
        m.sum("response_total", &[r#"status_code="200",classification="failure",error="timeout""#]),
        1.0
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--max-connections 1").await;
    let mut first = tokio::net::TcpStream::connect(proxy.inbound()).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut some = [0u8; 64];
    timeout(PATIENCE, first.read(&mut some)).await.unwrap().unwrap();
    let addr = proxy.inbound();
    let mut second = tokio::spawn(async move { send(&h1(), get(addr, "web", "/")).await.0 });
    assert!(timeout(Duration::from_millis(150), &mut second).await.is_err());
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().unwrap(), StatusCode::OK);
}
