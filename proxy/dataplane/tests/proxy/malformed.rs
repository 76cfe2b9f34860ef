//! Requests that are wrong, hostile, or not for us.

use std::sync::Arc;

use futures::StreamExt;
use parking_lot::Mutex;

use crate::support::*;

/// An app that writes down what reaches it.
async fn recording() -> (App, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let s = seen.clone();
    let app = App::start(move |r: http::Request<hyper::body::Incoming>| {
        let seen = s.clone();
        async move {
            use http_body_util::BodyExt;
            let (head, body) = r.into_parts();
            let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
            let length = head.headers.get("content-length").map(|v| v.to_str().unwrap().to_owned());
            seen.lock().push(format!("{} {} {length:?} {body:?}", head.method, head.uri));
            text("ok")
        }
    })
    .await;
    (app, seen)
}

#[tokio::test]
async fn wrong_requests_are_refused_and_never_reach_the_app() {
    let (app, seen) = recording().await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let long = "a".repeat(100_000);
    let many: String = (0..200).map(|i| format!("x-{i}: 1\r\n")).collect();
    let table = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), "501"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: JUNK, chunked\r\n\r\n0\r\n\r\n".to_owned(), "501"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "501",
        ),
        ("garbage\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad header: 1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\n folded: 1\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "431"),
        // Lengths that two parsers could read differently.
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
    ];
    for (request, expected) in table {
        let answer = raw(proxy.inbound(), request.as_bytes()).await;
        let start: String = request.chars().take(70).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}"))
                || answer.starts_with(&format!("HTTP/1.0 {expected}")),
            "{start:?}: {answer:?}"
        );
    }
    assert_eq!(*seen.lock(), Vec::<String>::new());
}

/// Both lengths: RFC 9112 §6.1 lets a server refuse, or go by the chunks alone and close. Going by the chunks is
/// safe only if the other length goes no further and nothing after the message is taken for a request.
#[tokio::test]
async fn a_second_length_smuggles_nothing() {
    for lengths in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let (app, seen) = recording().await;
        let proxy = Proxy::inbound_to(app.addr, "").await;
        let request = format!(
            "POST /first HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let answer = raw(proxy.inbound(), request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        let seen = seen.lock();
        assert!(seen.iter().all(|s| s.starts_with("POST /first None")), "{seen:?}");
    }
}

/// Pieces of both protocols in random order, each on a connection of its own: it goes on serving.
#[tokio::test]
async fn noise_harms_nobody() {
    let (app, _) = recording().await;
    let flags =
        format!("--inbound-listen {{ip}}:4143 --inbound-forward {} --outbound-listen {{ip}}:4140", app.addr);
    let proxy =
        Proxy::start(&format!("{flags} --fail-fast-timeout 1ms --header-timeout 50ms --detect-timeout 50ms"))
            .await;
    let random = proxy_core::random::Seeded::new(42);
    let pieces: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\n",
        b"host: a\r\n",
        b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\x04\x01\x25\0\0\0\x01\x82\x86\x84\x41",
        b"\0\0\0\x04\0\0\0\0\0",
        b"content-length: 99999999999999999999\r\n",
        b"transfer-encoding: chunked\r\n",
        b"ffffffffffffffff\r\n",
        b"\xff\xfe\0",
        b"0\r\n\r\n",
        b"POST http://[::1]:99999/%zz HTTP/1.1\r\n",
    ];
    let noise = |_| {
        let count = 1 + random.next() as usize % 8;
        (0..count).flat_map(|_| pieces[random.next() as usize % pieces.len()].to_vec()).collect::<Vec<u8>>()
    };
    let all: Vec<Vec<u8>> = (0..300).map(noise).collect();
    let one = async |(i, bytes): (usize, &Vec<u8>)| {
        raw(if i % 2 == 0 { proxy.inbound() } else { proxy.outbound() }, bytes).await;
    };
    futures::stream::iter(all.iter().enumerate().map(one)).buffer_unordered(32).for_each(|()| async {}).await;
    assert_eq!(send(&h1(), get(proxy.inbound(), "a", "/")).await.2, "ok");
    assert_eq!(send(&h1(), get(proxy.outbound(), &app.addr.to_string(), "/")).await.2, "ok");
    let m = proxy.metrics_when(|m| m.sum("requests_in_flight", &[]) == 0.0).await;
    assert!(m.sum("inbound_http_errors_total", &[]) + m.sum("request_total", &[]) > 0.0);
}

#[tokio::test]
async fn tls_and_broken_http2_are_hung_up_on() {
    let (app, seen) = recording().await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    assert_eq!(raw(proxy.inbound(), b"\x16\x03\x01\x02\x00\x01\x00").await, "");
    // A preface and then no frame.
    let answer =
        raw(proxy.inbound(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff").await;
    assert!(!answer.contains("HTTP/1.1"));
    assert!(seen.lock().is_empty());
    // And it still serves.
    assert_eq!(send(&h1(), get(proxy.inbound(), "a", "/")).await.2, "ok");
}

#[tokio::test]
async fn an_offer_of_http2_is_ignored() {
    let (app, _) = recording().await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let offer = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = raw(proxy.inbound(), offer).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn a_broken_response_is_a_bad_gateway() {
    for broken in
        ["", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 99 Low\r\n\r\n"]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut s, _)) = listener.accept().await {
                let mut head = [0u8; 4096];
                let _ = s.read(&mut head).await;
                let _ = s.write_all(broken.as_bytes()).await;
            }
        });
        let proxy = Proxy::inbound_to(addr, "").await;
        let (status, headers, _) = send(&h1(), get(proxy.inbound(), "a", "/")).await;
        assert_eq!(status.as_u16(), 502, "{broken:?}");
        assert!(headers.contains_key("l5d-proxy-error"));
        let m = proxy.metrics().await;
        assert_eq!(
            m.sum("response_total", &[r#"tls="disabled",classification="failure",error="unclassified""#]),
            1.0
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_a_configuration_error_that_names_the_flag() {
    use clap::Parser;
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: proxy_dataplane::Args,
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let cli =
        Cli::try_parse_from(["x", "--outbound-listen", &addr, "--admin-listen", "127.0.0.1:0"]).unwrap();
    let context = thanos_telemetry::Context { shutdown: thanos_telemetry::Shutdown::new() };
    let error = proxy_dataplane::run(cli.args, context).await.unwrap_err();
    assert_eq!(error.exit_code(), 64);
    assert!(error.to_string().contains("--outbound-listen"), "{error}");
}

/// What might be a request to some server is judged as one.
#[tokio::test]
async fn nobody_gets_around_the_rate_limit_by_an_odd_first_line() {
    let (app, seen) = recording().await;
    let proxy = Proxy::inbound_to(app.addr, "--inbound-rate-limit 1:2").await;
    let long = "A".repeat(64);
    for first in [&*long, "\"GET\"", "(GET)", "G\u{e9}T", "\u{feff}GET"] {
        let more = "GET /more HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10);
        let answer =
            raw(proxy.inbound(), format!("{first} / HTTP/1.1\r\nhost: a\r\n\r\n{more}GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.matches("HTTP/1.1 200").count() <= 4, "{first}: {answer}");
    }
    assert!(seen.lock().len() <= 8, "{:?}", seen.lock());
}
