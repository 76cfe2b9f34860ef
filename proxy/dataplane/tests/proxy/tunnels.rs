//! Connections that change to another protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Takes an upgrade (or CONNECT), then sends back what it gets, in capitals.
async fn echoing(answer: &'static str) -> RawApp {
    RawApp::start(move |mut stream, seen| async move {
        if read_head(&mut stream, &seen).await.is_none() || stream.write_all(answer.as_bytes()).await.is_err()
        {
            return;
        }
        let mut piece = [0; 1024];
        while let Ok(n) = stream.read(&mut piece).await
            && n > 0
        {
            let capitals = piece[..n].to_ascii_uppercase();
            if stream.write_all(&capitals).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"BYE").await;
    })
    .await
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n";
const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nhost: web\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-key: y\r\n\r\n";

#[tokio::test]
async fn a_websocket_passes_both_proxies() {
    let app = echoing(SWITCHED).await;
    let inbound = Proxy::inbound_to(app.addr, "").await;
    let file = endpoints(&[("web:80", &[inbound.inbound()])]);
    let outbound = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let mut client = RawClient::connect(outbound.outbound()).await;
    client.send(HANDSHAKE).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    for part in ["upgrade: websocket", "connection: upgrade", "sec-websocket-accept: x"] {
        assert!(head.to_lowercase().contains(part), "{head}");
    }
    assert!(app.text().contains("sec-websocket-key: y"), "{}", app.text());
    for _ in 0..3 {
        client.send("ping").await;
        client.until("PING").await;
    }
    // In flight for as long as it is open.
    let m = inbound.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 1.0).await;
    assert_eq!(m.sum("response_total", &[]), 0.0);
    client.0.shutdown().await.unwrap();
    let (rest, proper) = client.rest().await;
    assert_eq!((rest.as_str(), proper), ("BYE", true));
    for proxy in [&inbound, &outbound] {
        proxy.metrics_when(|m| m.sum("response_total", &["101", "success"]) == 1.0).await;
    }
    inbound.metrics_when(|m| m.sum("requests_in_flight", &["inbound"]) == 0.0).await;
}

#[tokio::test]
async fn bytes_that_came_with_the_handshake_are_not_lost() {
    let app = echoing(SWITCHED).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send(&format!("{HANDSHAKE}early")).await;
    client.until("EARLY").await;
}

#[tokio::test]
async fn an_app_may_decline() {
    let app = RawApp::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    for _ in 0..2 {
        client.send(HANDSHAKE).await;
        let got = client.until("\r\n\r\nok").await;
        assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    }
    // An offer that is none.
    let got = raw(proxy.inbound(), b"GET / HTTP/1.0\r\nhost: web\r\nupgrade: TLS/1.0\r\n\r\n").await;
    assert!(got.contains(" 200 OK"), "{got}");
}

#[tokio::test]
async fn connect_passes_to_an_app_that_is_a_proxy() {
    let app = echoing("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client
        .send("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nproxy-authorization: x\r\n\r\n")
        .await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(app.text().starts_with("CONNECT example.com:443 HTTP/1.1"), "{}", app.text());
    assert!(app.text().contains("proxy-authorization: x"));
    client.send("hello").await;
    client.until("HELLO").await;
}

/// A drain waits for tunnels as for any request, and cuts what is left.
#[tokio::test]
async fn a_drain_lets_tunnels_finish() {
    let app = echoing(SWITCHED).await;
    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 100ms --drain-timeout 10s").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send(HANDSHAKE).await;
    client.until("\r\n\r\n").await;
    proxy.begin_drain();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    client.send("still").await;
    client.until("STILL").await;
    client.0.shutdown().await.unwrap();
    client.until("BYE").await;
    proxy.ended().await;

    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 100ms --drain-timeout 500ms").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.send(HANDSHAKE).await;
    client.until("\r\n\r\n").await;
    proxy.begin_drain();
    proxy.ended().await;
    client.rest().await;
}

/// PostgreSQL's and Redis' first bytes, a ClientHello, and a client that waits for its server to speak.
#[tokio::test]
async fn what_is_not_http_passes_to_the_app() {
    let app = RawApp::start(|mut stream, seen| async move {
        let mut piece = [0; 1024];
        while let Ok(n) = stream.read(&mut piece).await
            && n > 0
        {
            seen.lock().extend_from_slice(&piece[..n]);
            if stream.write_all(b"+PONG\r\n").await.is_err() {
                return;
            }
        }
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    for first in
        [&b"*1\r\n$4\r\nPING\r\n"[..], b"\0\0\0\x08\x04\xd2\x16\x2f", b"\x16\x03\x01\0\x04\x01\0\0\0"]
    {
        let mut client = RawClient::connect(proxy.inbound()).await;
        for _ in 0..3 {
            client.0.write_all(first).await.unwrap();
            client.until("+PONG\r\n").await;
        }
        assert!(app.seen.lock().starts_with(first), "{first:?}");
        app.seen.lock().clear();
    }
    let m = proxy.metrics().await;
    assert_eq!((m.sum("request_total", &[]), m.sum("requests_in_flight", &["inbound"])), (0.0, 0.0));
    assert!(m.sum("tcp_write_bytes_total", &["src"]) > 60.0);
}

#[tokio::test]
async fn a_server_that_speaks_first_is_declared() {
    let app = RawApp::start(|mut stream, _| async move {
        let _ = stream.write_all(b"220 mail ready\r\n").await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let _ = stream.write_all(b"221 bye\r\n").await;
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, &format!("--opaque-ports {}", app.addr.port())).await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    client.until("220 mail ready\r\n").await;
    client.send("GET / looks like HTTP and is not\r\n").await;
    client.0.shutdown().await.unwrap();
    client.until("221 bye\r\n").await;
}

/// Nobody gets around the limit by speaking another protocol.
#[tokio::test]
async fn connections_that_are_not_http_are_rate_limited() {
    let app = echoing("hello\r\n").await;
    let proxy = Proxy::inbound_to(app.addr, "--inbound-rate-limit 1:2").await;
    let mut cut = 0;
    for _ in 0..6 {
        let mut client = RawClient::connect(proxy.inbound()).await;
        client.0.write_all(b"\0\0 HTTP/1.1\r\n\r\n").await.unwrap();
        client.0.shutdown().await.ok();
        let (text, _) = client.rest().await;
        cut += usize::from(text.is_empty());
    }
    assert!(cut >= 3, "{cut}");
    let m = proxy.metrics().await;
    assert_eq!(m.sum("inbound_http_errors_total", &["ratelimited"]), cut as f64);
}

/// An app that sends all its calls through the proxy reaches what discovery does not know, as without.
#[tokio::test]
async fn names_outside_the_mesh_are_resolved() {
    let app = App::named("outside").await;
    let file = endpoints(&[("web:80", &[refusing()])]);
    let flags = format!("--endpoints {}", file.path().display());
    let proxy = Proxy::outbound_with(&flags).await;
    let host = format!("localhost:{}", app.addr.port());
    for _ in 0..3 {
        let (status, _, body) = send(&h1(), get(proxy.outbound(), &host, "/")).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "outside"));
    }
    let strict = Proxy::outbound_with(&format!("{flags} --known-names-only")).await;
    let (status, headers, _) = send(&h1(), get(strict.outbound(), &host, "/")).await;
    assert_eq!(status, 503, "{headers:?}");
    // A name that nobody knows.
    let (status, headers, _) = send(&h1(), get(proxy.outbound(), "no-such-name.invalid:80", "/")).await;
    assert_eq!(status, 503, "{headers:?}");
}

#[tokio::test]
async fn connect_makes_a_connection_of_the_app_s_own() {
    let app = echoing("").await;
    let inbound = Proxy::inbound_to(app.addr, "").await;
    let file = endpoints(&[("db:5433", &[inbound.inbound()])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    // A service in the mesh, whose proxy takes what is not HTTP for what it is; and an address outside.
    for to in ["db:5433".to_owned(), app.addr.to_string()] {
        let mut client = RawClient::connect(proxy.outbound()).await;
        client.send(&format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n")).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{to}: {head}");
        client.0.write_all(b"\0\0 HTTP/1.1\r\n\r\n").await.unwrap();
        client.send("ping").await;
        client.until("PING").await;
        proxy.metrics_when(|m| m.sum("requests_in_flight", &["outbound"]) == 1.0).await;
        client.0.shutdown().await.unwrap();
        client.until("BYE").await;
        drop(client);
        proxy.metrics_when(|m| m.sum("requests_in_flight", &["outbound"]) == 0.0).await;
    }
    let to = refusing();
    let got = raw(
        proxy.outbound(),
        format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    assert!(got.starts_with("HTTP/1.1 502"), "{got}");
    let to = proxy.outbound();
    let got =
        raw(to, format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n").as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 508"), "{got}");
}
