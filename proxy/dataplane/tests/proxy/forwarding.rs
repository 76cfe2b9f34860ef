//! Messages pass whole: both protocols, both directions, streaming, trailers.

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::timeout;

use crate::support::*;

/// What a handler saw, as text.
async fn echo_head(request: Request<hyper::body::Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut lines = vec![format!("{} {} {:?}", head.method, head.uri, head.version)];
    lines.extend(head.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())));
    lines.push(String::from_utf8(body.to_vec()).unwrap());
    text(lines.join("\n"))
}

/// Sends each frame back as it comes.
async fn echo_stream(request: Request<hyper::body::Incoming>) -> Response<Body> {
    Response::new(request.into_body().boxed())
}

#[tokio::test]
async fn http1_keeps_method_target_host_and_body() {
    let app = App::start(echo_head).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let request = Request::post(format!("http://{}/a/b?c=d", proxy.inbound()))
        .header("host", "web.default:80")
        .header("x-mine", "1")
        .header("te", "gzip")
        .body(full("hello"))
        .unwrap();
    let (status, headers, body) = send(&h1(), request).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!headers.contains_key("l5d-proxy-error"));
    assert_eq!(body, "POST /a/b?c=d HTTP/1.1\nhost: web.default:80\nx-mine: 1\ncontent-length: 5\nhello");
}

#[tokio::test]
async fn http2_stays_http2() {
    let app = App::start(echo_head).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let request = Request::post(format!("http://{}/a", proxy.inbound())).body(full("hello")).unwrap();
    let (status, _, body) = send(&h2(), request).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.starts_with(&format!("POST http://{}/a HTTP/2.0\n", proxy.inbound())), "{body}");
    assert!(body.ends_with("\nhello"));
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let app = App::start(echo_stream).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    for client in [h1(), h2()] {
        let (mut sender, receiver) = mpsc::channel::<Bytes>(1);
        let body = BodyExt::boxed(StreamBody::new(receiver.map(|b| Ok::<_, hyper::Error>(Frame::data(b)))));
        sender.try_send(Bytes::from_static(b"0")).unwrap();
        let request = Request::post(format!("http://{}/", proxy.inbound())).body(body).unwrap();
        let mut response = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
        // Each chunk is sent only after the one before came back: a proxy that buffers would hang here.
        for i in 0..20u8 {
            let frame = timeout(PATIENCE, response.body_mut().frame()).await.unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), i.to_string());
            sender.try_send(Bytes::from((i + 1).to_string())).unwrap();
        }
        drop(sender);
        timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn large_bodies_pass_unchanged() {
    let app = App::start(echo_stream).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let large: Vec<u8> = (0..5_000_000u32).map(|i| b'a' + (i % 23) as u8).collect();
    for client in [h1(), h2()] {
        let request =
            Request::post(format!("http://{}/", proxy.inbound())).body(full(large.clone())).unwrap();
        let (status, _, body) = send(&client, request).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.as_bytes() == large);
    }
}

#[tokio::test]
async fn grpc_trailers_pass_and_classify() {
    let app = App::start(|request: Request<hyper::body::Incoming>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.headers()["te"], "trailers");
        let status = request.uri().path().trim_start_matches('/').to_owned();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\0"))), Ok(Frame::trailers(trailers))];
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(futures::stream::iter(frames))));
        response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        response
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    for status in ["0", "5", "14"] {
        let request = Request::post(format!("http://{}/{status}", proxy.inbound()))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(full(""))
            .unwrap();
        let response = timeout(PATIENCE, h2().request(request)).await.unwrap().unwrap();
        let collected = timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], status);
    }
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 3.0).await;
    assert_eq!(m.sum("response_total", &[r#"classification="success",grpc_status="0""#]), 1.0);
    assert_eq!(m.sum("response_total", &[r#"classification="success",grpc_status="5""#]), 1.0);
    assert_eq!(m.sum("response_total", &[r#"classification="failure",grpc_status="14""#]), 1.0);
}

#[tokio::test]
async fn outbound_routes_by_host_and_by_absolute_target() {
    let (a, b) = (App::named("a").await, App::named("b").await);
    let file = endpoints(&[("a.svc:80", &[a.addr]), ("b.svc:8080", &[b.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    for (host, name) in [("a.svc", "a"), ("A.svc:80", "a"), ("a.svc.", "a"), ("b.svc:8080", "b")] {
        let (status, _, body) = send(&h1(), get(proxy.outbound(), host, "/")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, name), "{host}");
    }
    let absolute = b"GET http://b.svc:8080/x HTTP/1.1\r\nhost: a.svc\r\nconnection: close\r\n\r\n";
    assert!(raw(proxy.outbound(), absolute).await.ends_with("\r\n\r\nb"));
}

#[tokio::test]
async fn outbound_passes_addresses_through_but_not_its_own() {
    let app = App::named("a").await;
    let proxy = Proxy::outbound_with("").await;
    let (status, _, body) = send(&h1(), get(proxy.outbound(), &app.addr.to_string(), "/")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "a"));
    let own = proxy.outbound().to_string();
    let (status, headers, _) = send(&h1(), get(proxy.outbound(), &own, "/")).await;
    assert_eq!(status, StatusCode::LOOP_DETECTED);
    assert!(headers.contains_key("l5d-proxy-error"));
}

#[tokio::test]
async fn two_proxies_in_a_row() {
    let app = App::start(echo_stream).await;
    let inbound = Proxy::inbound_to(app.addr, "").await;
    let file = endpoints(&[("web.svc:80", &[inbound.inbound()])]);
    let outbound = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let post = |client: Client, uri: String, host: Option<&str>| {
        let mut request = Request::post(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(full("body")).unwrap();
        async move { send(&client, request).await }
    };
    let uri = format!("http://{}/", outbound.outbound());
    assert_eq!(post(h1(), uri, Some("web.svc")).await.2, "body");

    // HTTP/2 takes its authority from the target, so connect by hand.
    let stream = tokio::net::TcpStream::connect(outbound.outbound()).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://web.svc/").body(full("body")).unwrap();
    let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
}

#[tokio::test]
async fn an_http10_client_is_answered() {
    let app = App::start(echo_head).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let answer = raw(proxy.inbound(), b"GET /a HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.contains("GET /a HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_the_app_closed_costs_no_request() {
    // Closes after each response without a word of warning.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut s, _)) = listener.accept().await {
            let mut head = [0u8; 4096];
            let _ = s.read(&mut head).await;
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    let proxy = Proxy::inbound_to(addr, "").await;
    let client = h1();
    for _ in 0..50 {
        let (status, _, body) = send(&client, get(proxy.inbound(), "web", "/")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "ok"));
    }
}

#[tokio::test]
async fn a_head_request_keeps_the_length_that_a_get_would_have() {
    let app = App::named("four").await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let client = h1();
    for _ in 0..2 {
        let request = Request::head(format!("http://{}/", proxy.inbound())).body(full("")).unwrap();
        let (status, headers, body) = send(&client, request).await;
        assert_eq!(
            (status, &headers["content-length"], body.as_str()),
            (StatusCode::OK, &"4".parse().unwrap(), "")
        );
    }
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 2.0).await;
    // The connection to the app served both.
    assert_eq!(m.sum("tcp_open_total", &[r#"peer="dst""#]), 1.0);
}
