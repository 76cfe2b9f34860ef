//! Who ended it: the client, the app, or time; and what is said and counted of each.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers after a while, and then in pieces.
async fn slow_app(before: Duration, between: Duration) -> RawApp {
    RawApp::start(move |mut stream, seen| async move {
        while read_head(&mut stream, &seen).await.is_some() {
            tokio::time::sleep(before).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n";
            for piece in [&head[..], b"ab", b"cd", b"ef"] {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::time::sleep(between).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let ms = Duration::from_millis;
    // Before the app answers, and between the pieces of the answer; when the client ends its side.
    for (before, between, close_after) in [
        (ms(0), ms(0), ms(0)),
        (ms(700), ms(0), ms(0)),
        (ms(700), ms(0), ms(300)),
        (ms(0), ms(300), ms(400)),
        (ms(1500), ms(600), ms(100)),
    ] {
        let app = slow_app(before, between).await;
        let proxy = Proxy::inbound_to(app.addr, "").await;
        for request in [
            "GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ] {
            let mut client = RawClient::connect(proxy.inbound()).await;
            client.send(request).await;
            tokio::time::sleep(close_after).await;
            client.0.shutdown().await.unwrap();
            let (text, proper) = client.rest().await;
            assert!(proper && text.ends_with("abcdef"), "{request:?} {before:?} {between:?}: {text:?}");
        }
        let m = proxy.metrics_when(|m| m.sum("response_total", &["success"]) == 3.0).await;
        assert_eq!(m.sum("inbound_http_errors_total", &["canceled"]), 0.0);
    }
}

#[tokio::test]
async fn a_client_that_left_is_noticed() {
    let app = slow_app(Duration::from_secs(3600), Duration::ZERO).await;
    let proxy = Proxy::inbound_to(app.addr, "--half-close-timeout 1s").await;
    // By a reset, and by an end that might be half of one.
    for (nth, reset) in [(1.0, true), (2.0, false)] {
        let mut client = RawClient::connect(proxy.inbound()).await;
        client.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
        proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 1.0).await;
        if reset {
            client.0.set_zero_linger().unwrap();
        }
        drop(client);
        let m = proxy
            .metrics_when(|m| {
                m.sum("requests_in_flight", &["inbound"]) == 0.0
                    && m.sum("inbound_http_errors_total", &["canceled"]) == nth
            })
            .await;
        assert_eq!(m.sum("response_total", &["failure"]), 0.0);
    }
}

/// A stream that pauses for long must not keep what a client left behind.
#[tokio::test]
async fn a_client_that_left_in_a_pause_is_noticed() {
    let app = RawApp::start(|mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n").await;
        // Resolves when the proxy lets go.
        read_head(&mut stream, &seen).await;
        seen.lock().extend_from_slice(b"LET GO");
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--half-close-timeout 1s").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send("GET /events HTTP/1.1\r\nhost: web\r\n\r\n").await;
    client.until("data: 1").await;
    drop(client);
    app.saw("LET GO").await;
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;
}

#[tokio::test]
async fn what_a_client_breaks_is_no_failure_of_the_app() {
    let app = RawApp::start(|mut stream, seen| async move {
        // Reads to the end and never answers a request that is not whole.
        while read_head(&mut stream, &seen).await.is_some() {}
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let head = "POST /up HTTP/1.1\r\nhost: web\r\n";
    // A chunk's size that is none: 400.
    let got = raw(
        proxy.inbound(),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n").as_bytes(),
    )
    .await;
    assert!(got.starts_with("HTTP/1.1 400") && got.contains("malformed"), "{got}");
    // Uploads that end before their end.
    for framing in ["content-length: 500\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = RawClient::connect(proxy.inbound()).await;
        client.send(&format!("{head}{framing}")).await;
        app.saw("hello").await;
        drop(client);
    }
    let m = proxy
        .metrics_when(|m| {
            m.sum("inbound_http_errors_total", &["canceled"]) == 2.0
                && m.sum("inbound_http_errors_total", &["bad_request"]) == 1.0
        })
        .await;
    assert_eq!(m.sum("response_total", &["failure"]), 0.0);
    assert_eq!(m.sum("inbound_http_errors_total", &["\"i/o\""]), 0.0);
    // What the library refuses is counted as well.
    raw(proxy.inbound(), b"GET /\x00 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    proxy.metrics_when(|m| m.sum("inbound_http_errors_total", &["bad_request"]) == 2.0).await;
}

#[tokio::test]
async fn a_grpc_web_call_is_judged_by_its_http_status() {
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\nhello";
    let app = RawApp::answering(answer, false).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let call = "POST /a.B/C HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\
                content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\nhello";
    let got = raw(proxy.inbound(), call.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 1.0).await;
    assert_eq!(m.sum("response_total", &["success"]), 1.0);
    // Refused in its own words.
    let refusing = Proxy::inbound_to(refusing(), "").await;
    let got = raw(refusing.inbound(), call.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.contains("application/grpc-web\r\n"), "{got}");
    assert!(got.contains("grpc-status: 14"), "{got}");
}

#[tokio::test]
async fn a_server_s_word_on_keeping_connections_is_heeded() {
    // Closes a second after each answer, and says so.
    let app = RawApp::start(|mut stream, seen| async move {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(1), read_head(&mut stream, &seen)).await;
            let Ok(Some(())) = next else { return };
            let answer = b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "--pool-idle-timeout 20s").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    for _ in 0..6 {
        client.send("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 1\r\n\r\nx").await;
        let got = client.until("\r\n\r\n").await;
        assert!(got.starts_with("HTTP/1.1 200"), "{got}");
        tokio::time::sleep(Duration::from_millis(990)).await;
    }
    let m = proxy.metrics().await;
    assert!(m.sum("tcp_open_total", &["inbound", "dst"]) >= 6.0);
}

#[tokio::test]
async fn addresses_of_the_pod_are_not_told_to_strangers() {
    let app = refusing();
    let proxy = Proxy::inbound_to(app, "").await;
    let got = raw(proxy.inbound(), b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 502") && !got.contains(&app.to_string()), "{got}");
}

/// One that resets is gone, and is not waited for as one that may be listening.
#[tokio::test]
async fn a_reset_is_not_taken_for_half_an_end() {
    let app = slow_app(Duration::from_secs(3600), Duration::ZERO).await;
    let proxy = Proxy::inbound_to(app.addr, "--half-close-timeout 1h").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 1.0).await;
    client.0.set_zero_linger().unwrap();
    drop(client);
    proxy.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;
}

/// Only a proxy in front of an endpoint knows that nothing reached it.
#[tokio::test]
async fn an_endpoint_that_says_not_sent_of_what_it_did_is_asked_once() {
    let done = "HTTP/1.1 200 OK\r\ngauntlet-not-sent: 1\r\ncontent-length: 2\r\n\r\nok";
    let odd = "HTTP/1.1 502 Bad Gateway\r\ngauntlet-not-sent: 1\r\ncontent-length: 2\r\n\r\nok";
    // By discovery, and by an address, whose word does not count whatever it answers.
    for (answer, status, by_address) in [(done, "200", false), (done, "200", true), (odd, "502", true)] {
        let (a, b) = (RawApp::answering(answer, false).await, RawApp::answering(answer, false).await);
        let file = endpoints(&[("web:80", &[a.addr, b.addr])]);
        let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
        let host = if by_address { a.addr.to_string() } else { "web".into() };
        let post =
            format!("POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc");
        let got = raw(proxy.outbound(), post.as_bytes()).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}")), "{got}");
        assert!(!got.contains("gauntlet-not-sent"), "{got}");
        let asked = [&a, &b].map(|app| app.text().matches("POST / ").count());
        assert_eq!(asked[0] + asked[1], 1, "{asked:?}");
    }
}

/// However many an app says, a client that reads none of them costs no memory.
#[tokio::test]
async fn interim_responses_that_nobody_reads_are_left_out() {
    let app = RawApp::start(|mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
        let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\n\r\n", "x".repeat(900));
        for _ in 0..20_000 {
            if stream.write_all(hint.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(OK.as_bytes()).await;
        read_head(&mut stream, &seen).await;
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
    // All of them were said by then.
    proxy
        .metrics_when(|m| {
            m.sum("request_total", &["inbound"]) == 1.0 && m.sum("tcp_read_bytes_total", &["dst"]) > 1.8e7
        })
        .await;
    let got = client.until("\r\n\r\nok").await;
    assert!(got.contains("HTTP/1.1 200 OK"));
    assert!(got.len() < 10_000_000, "{}", got.len());
}
