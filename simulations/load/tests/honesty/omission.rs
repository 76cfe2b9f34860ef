//! Coordinated omission: a closed loop stops asking while the server stalls, so the stall is one slow request
//! to it. Users do not stop.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use simulations_load::generator::Generator;
use thanos_telemetry::Shutdown;

use crate::server::{Behaviour, Server};
use crate::{ALONE, plan};

const RATE_RPS: u32 = 200;
const LENGTH: Duration = Duration::from_secs(2);
const STALL_FROM: Duration = Duration::from_millis(500);
const STALL_TO: Duration = Duration::from_millis(1000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_that_a_closed_loop_hides_is_in_our_percentiles() {
    let _alone = ALONE.lock().await;
    let stall = (STALL_TO - STALL_FROM).as_secs_f64() * 1000.0;

    let server = Server::bind().start(Behaviour::Stalls(STALL_FROM, STALL_TO));
    let closed = closed_loop(&server).await;
    let closed_p99_ms = closed[closed.len() * 99 / 100];
    let closed_max_ms = closed[closed.len() - 1];

    let server = Server::bind().start(Behaviour::Stalls(STALL_FROM, STALL_TO));
    let stage = format!("{}s@{RATE_RPS}", LENGTH.as_secs());
    let ours = Generator::start(plan(server.uri.clone(), &stage), Shutdown::new()).finish().await;

    // Both met the stall; only one lets its percentiles know.
    assert!(closed_max_ms > 0.8 * stall, "the closed loop never met the stall: {closed_max_ms} ms");
    assert!(closed_p99_ms < 0.2 * stall, "p99 {closed_p99_ms} ms of {} requests", closed.len());
    // A quarter of ours were due within the stall, evenly, so 1% of all waited nearly the whole of it, 5%
    // four fifths of it.
    assert!(ours.latency_p99_ms > 0.9 * stall, "{ours:?}");
    assert!(ours.latency_p95_ms > 0.7 * stall, "{ours:?}");
    assert!(ours.latency_p50_ms < 0.2 * stall, "{ours:?}");
    assert!(closed.len() < ours.completed as usize, "the closed loop asked as often as users would have");
}

/// One worker at the same rate that waits for each answer, as most load generators do: latencies from the
/// sending, ascending, milliseconds.
async fn closed_loop(server: &Server) -> Vec<f64> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE_RPS);
    // What was missed is not made up for: nobody was asked to ask then.
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (started, mut latencies_ms) = (Instant::now(), Vec::new());
    while started.elapsed() < LENGTH {
        pace.tick().await;
        let sent = Instant::now();
        let answer = client.get(server.uri.clone()).await.unwrap();
        answer.into_body().collect().await.unwrap();
        latencies_ms.push(sent.elapsed().as_secs_f64() * 1000.0);
    }
    latencies_ms.sort_by(f64::total_cmp);
    latencies_ms
}
