//! Time runs from the event that it is about.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncWriteExt;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Pieces with pauses between them.
fn slowly(pieces: usize, pause: Duration) -> Body {
    let stream = futures::stream::iter(0..pieces).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok(Frame::data(Bytes::from_static(b"piece")))
    });
    BodyExt::boxed(StreamBody::new(stream))
}

#[tokio::test]
async fn an_upload_that_moves_may_take_longer_than_a_response() {
    let app = App::start(|r: Request<hyper::body::Incoming>| async move {
        let body = r.into_body().collect().await.unwrap().to_bytes();
        text(body.len().to_string())
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--request-timeout 1s --upload-idle-timeout 2s").await;
    for client in [h1(), h2()] {
        let request = Request::post(format!("http://{}/", proxy.inbound()));
        let request = request.body(slowly(8, Duration::from_millis(300))).unwrap();
        let (status, _, body) = send(&client, request).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "40"));
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_and_not_the_app_blamed() {
    let app =
        RawApp::start(
            |mut stream, seen| async move { while read_head(&mut stream, &seen).await.is_some() {} },
        )
        .await;
    let proxy = Proxy::inbound_to(app.addr, "--upload-idle-timeout 300ms").await;
    let got = raw(proxy.inbound(), b"POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 50\r\n\r\nhello").await;
    assert!(got.starts_with("HTTP/1.1 408"), "{got}");
    let m = proxy.metrics_when(|m| m.sum("inbound_http_errors_total", &["client_timeout"]) == 1.0).await;
    assert_eq!(m.sum("response_total", &["failure"]), 0.0);
}

#[tokio::test]
async fn a_response_is_waited_for_from_the_end_of_its_request() {
    let app = App::start(|r: Request<hyper::body::Incoming>| async move {
        let _ = r.into_body().collect().await;
        std::future::pending::<()>().await;
        text("")
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--request-timeout 300ms").await;
    for client in [h1(), h2()] {
        let request = Request::post(format!("http://{}/", proxy.inbound()));
        let (status, ..) = send(&client, request.body(full("all of it")).unwrap()).await;
        assert_eq!(status, 504);
    }
    let m = proxy.metrics_when(|m| m.sum("inbound_http_errors_total", &["timeout"]) == 2.0).await;
    assert_eq!(m.sum("response_total", &["failure", "timeout"]), 2.0);
}

#[tokio::test]
async fn quiet_calls_of_grpc_are_left_alone_and_their_deadlines_kept() {
    // Its first message, and with it its head, comes after a second.
    let app = App::start(|r: Request<hyper::body::Incoming>| async move {
        let wait =
            if r.uri().path() == "/never" { Duration::from_secs(3600) } else { Duration::from_secs(1) };
        tokio::time::sleep(wait).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [Ok(Frame::data(Bytes::from_static(b"m"))), Ok(Frame::trailers(trailers))];
        Response::new(BodyExt::boxed(StreamBody::new(futures::stream::iter(frames))))
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--request-timeout 200ms --upload-idle-timeout 200ms").await;
    let call = |path: &str, timeout: Option<&str>| {
        let mut r = Request::post(format!("http://{}{path}", proxy.inbound()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            r = r.header("grpc-timeout", timeout);
        }
        r.body(slowly(2, Duration::from_millis(400))).unwrap()
    };
    for timeout in [None, Some("1H")] {
        let (status, headers, body) = send(&h2(), call("/watch", timeout)).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "m"), "{headers:?}");
    }
    let (_, headers, _) = send(&h2(), call("/never", Some("300m"))).await;
    assert_eq!(headers["grpc-status"], "4", "{headers:?}");
}

#[tokio::test]
async fn who_does_not_read_is_given_up() {
    let big: &'static str = Box::leak(
        format!("HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n{}", "x".repeat(40_000_000)).into(),
    );
    let app = RawApp::answering(big, false).await;
    let proxy = Proxy::inbound_to(app.addr, "--write-timeout 500ms").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 1.0).await;
    let m = proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;
    assert_eq!(m.sum("response_total", &["failure"]), 0.0);
    drop(client);
}

#[tokio::test]
async fn an_app_that_does_not_read_is_given_up_and_blamed() {
    let app = RawApp::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--upload-idle-timeout 500ms").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 40000000\r\n\r\n").await;
    let (mut read, mut write) = client.0.split();
    let sending = async {
        // Until it is no longer taken.
        let piece = vec![b'x'; 1 << 16];
        while write.write_all(&piece).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut got = [0; 12];
    let answer = tokio::io::AsyncReadExt::read_exact(&mut read, &mut got);
    tokio::select! {
        answer = answer => assert_eq!(answer.map(|_| &got[..]).unwrap(), b"HTTP/1.1 504"),
        () = sending => {}
        () = tokio::time::sleep(PATIENCE) => panic!("no answer"),
    }
    proxy.metrics_when(|m| m.sum("response_total", &["failure", "timeout"]) == 1.0).await;
}

#[tokio::test]
async fn a_client_is_told_to_continue_by_the_app() {
    let head = "POST / HTTP/1.1\r\nhost: web\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    // Refused by its head: no 100 before.
    let refusing =
        RawApp::answering("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n", false).await;
    let proxy = Proxy::inbound_to(refusing.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send(head).await;
    let got = client.until("\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 413"), "{got}");
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;

    // Told after a while: not before, and once.
    let app = RawApp::start(|mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        seen.lock().extend_from_slice(b"<going on>");
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        let mut body = [0; 5];
        let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await;
        seen.lock().extend_from_slice(&body);
        let _ = stream.write_all(OK.as_bytes()).await;
        read_head(&mut stream, &seen).await;
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send(head).await;
    let got = client.until("\r\n\r\n").await;
    assert_eq!(got, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(app.text().ends_with("<going on>"), "{}", app.text());
    client.send("hello").await;
    let got = client.until("ok").await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert!(app.text().ends_with("hello"), "{}", app.text());

    // A client that does not wait, and one whose app does not know the word.
    let app = RawApp::start(|mut stream, seen| async move {
        let mut piece = [0; 1024];
        while let Ok(n) = tokio::io::AsyncReadExt::read(&mut stream, &mut piece).await
            && n > 0
        {
            seen.lock().extend_from_slice(&piece[..n]);
            if piece[..n].ends_with(b"hello") && stream.write_all(OK.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    // What came with the head, and what a client of HTTP/1.0 expects, is waited for by nobody.
    let began = std::time::Instant::now();
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    for together in [format!("{head}hello"), format!("{old}hello")] {
        let mut client = RawClient::connect(proxy.inbound()).await;
        client.send(&together).await;
        client.until("\r\n\r\nok").await;
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for wait in [false, true] {
        let mut client = RawClient::connect(proxy.inbound()).await;
        client.send(head).await;
        if wait {
            client.until("100 Continue\r\n\r\n").await;
        }
        client.send("hello").await;
        client.until("\r\n\r\nok").await;
    }
}

/// Streams of HTTP/2 have no socket of their own on which it would show.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_given_up() {
    let app = App::start(|_| async { text(vec![b'x'; 4_000_000]) }).await;
    let proxy = Proxy::inbound_to(app.addr, "--write-timeout 500ms").await;
    let stream = tokio::net::TcpStream::connect(proxy.inbound()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut responses = Vec::new();
    for _ in 0..3 {
        let request = Request::get("http://web/").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        responses.push(response.await.unwrap().into_body());
    }
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;
    for mut body in responses {
        let error = loop {
            match tokio::time::timeout(PATIENCE, body.data()).await.unwrap() {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("ended as if whole"),
            }
        };
        assert!(error.is_reset(), "{error}");
    }
    // The connection goes on.
    let (response, _) = client.send_request(Request::get("http://web/").body(()).unwrap(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
}
