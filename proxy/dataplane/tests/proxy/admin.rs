//! The admin port: probes come through, whoever else holds it.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn idle_connections_keep_no_probe_out() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(RawClient::connect((proxy.ip, 4191).into()).await);
    }
    for path in ["/live", "/ready", "/metrics"] {
        assert_eq!(proxy.admin_get(path).await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn the_page_is_packed_for_who_takes_it() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect((proxy.ip, 4191).into()).await;
    client
        .send("GET /metrics HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n")
        .await;
    let mut all = Vec::new();
    client.0.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut page = String::new();
    GzDecoder::new(&all[end + 4..]).read_to_string(&mut page).unwrap();
    assert!(page.contains("process_open_fds"), "{page}");
}

#[tokio::test]
async fn the_pod_may_end_its_sidecar() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 10ms").await;
    let ask = async |method: &str| {
        let mut client = RawClient::connect((proxy.ip, 4191).into()).await;
        client
            .0
            .write_all(format!("{method} /shutdown HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .await
            .unwrap();
        client.until("\r\n\r\n").await
    };
    assert!(ask("GET").await.starts_with("HTTP/1.1 405"));
    assert!(ask("POST").await.starts_with("HTTP/1.1 200"));
    proxy.ended().await;
}
