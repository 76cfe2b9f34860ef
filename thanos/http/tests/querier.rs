//! The whole querier as `gauntlet thanos query` runs it, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use thanos_telemetry::{Context, RunError, Shutdown};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: thanos_http::Args,
}

fn args(flags: &[&str]) -> thanos_http::Args {
    Cli::try_parse_from(["query"].iter().chain(flags)).map_err(|e| e.to_string()).unwrap().args
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn with_no_store_that_answers_it_is_ready_and_says_so() {
    let (http, grpc, silent) = (free_address(), free_address(), free_address());
    let shutdown = Shutdown::new();
    let args = args(&[
        "--http-address",
        &http.to_string(),
        "--grpc-address",
        &grpc.to_string(),
        "--endpoint",
        &silent.to_string(),
        "--query.replica-label=replica,prometheus_replica",
    ]);
    let running = tokio::spawn(thanos_http::run(args, Context { shutdown: shutdown.clone() }));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let get = async |path: &str| {
        let response = client.get(format!("http://{http}{path}")).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    };
    let ready = async {
        // There is nothing to await before the port is open.
        while get("/-/ready").await.is_none_or(|(status, _)| status != 200) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap();
    let (status, body) = get("/api/v1/query?query=up").await.unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains(&silent.to_string()) && body.contains("refused"), "{body}");
    let (status, body) = get("/api/v1/query?query=1").await.unwrap();
    assert_eq!((status, body.contains("\"scalar\"")), (200, true), "what needs no store is answered: {body}");
    let (_, stores) = get("/api/v1/stores").await.unwrap();
    assert!(stores.contains("unknown") && stores.contains("does not answer"), "{stores}");
    let (status, page) = get("/").await.unwrap();
    assert!(
        status == 200 && page.contains("<title>Gauntlet</title>"),
        "the root leads to the dashboard: {page}"
    );
    let (_, metrics) = get("/metrics").await.unwrap();
    for line in [
        "http_requests_total{handler=\"query\",code=\"503\"} 1",
        "gauntlet_query_errors_total{error_type=\"unavailable\"} 1",
        "gauntlet_query_incomplete_answers_total{cause=\"not_answering\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    shutdown.start();
    tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap();
    assert!(get("/-/healthy").await.is_none(), "the port is closed");
}

#[tokio::test]
async fn a_wrong_configuration_ends_before_a_port_opens() {
    let http = free_address();
    for (flags, text) in [
        (&[][..], "--endpoint"),
        (&["--endpoint", "a:1", "--query.timeout", "0s"], "--query.timeout"),
        (&["--endpoint", "a:1", "--query.max-concurrent", "0"], "--query.max-concurrent"),
        (&["--store.sd-files", "/nowhere/stores.yml"], "/nowhere/stores.yml"),
    ] {
        let http = http.to_string();
        let flags = [&["--http-address", http.as_str()], flags].concat();
        let ended = thanos_http::run(args(&flags), Context { shutdown: Shutdown::new() }).await;
        let Err(RunError::Config(message)) = ended else { panic!("{flags:?}: {ended:?}") };
        assert!(message.contains(text) && message.lines().count() == 1, "{message}");
    }
    let taken = std::net::TcpListener::bind(http).unwrap();
    let flags = ["--endpoint", "a:1", "--http-address", &taken.local_addr().unwrap().to_string()];
    let ended = thanos_http::run(args(&flags), Context { shutdown: Shutdown::new() }).await;
    assert!(matches!(&ended, Err(RunError::Config(m)) if m.contains("--http-address")), "{ended:?}");
}
