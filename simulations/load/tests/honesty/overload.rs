//! A rate beyond what the generator itself can send says nothing about the service, and it says so.

use std::time::Duration;

use simulations_load::command::{self, Args};
use simulations_load::generator::{Generator, Plan};
use simulations_load::schedule::Arrivals;
use thanos_telemetry::{Context, RunError, Shutdown};

use crate::server::{Behaviour, Server};
use crate::{ALONE, plan};

/// No core sends this many.
const BEYOND: &str = "200ms@1000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_beyond_the_generator_makes_the_run_invalid_and_every_request_is_accounted_for() {
    let _alone = ALONE.lock().await;
    let server = Server::bind().start(Behaviour::Takes(Duration::ZERO));
    let few = Plan { max_in_flight: 64, ..plan(server.uri.clone(), BEYOND) };
    let ours = Generator::start(few, Shutdown::new()).finish().await;
    assert!(ours.validity().unwrap_err().starts_with("invalid run: "), "{ours:?}");
    assert_eq!(ours.planned, 200_000);
    assert_eq!(ours.planned, ours.completed + ours.failed + ours.dropped, "{ours:?}");

    let args = Args {
        urls: vec![server.uri.clone()],
        stages: vec![BEYOND.parse().unwrap()],
        series: None,
        step: None,
        speed: 1.0,
        scale: 1.0,
        arrivals: Arrivals::Even,
        seed: 1,
        timeout: Duration::from_secs(10),
        max_in_flight: 64,
        json: true,
    };
    let ctx = Context { shutdown: Shutdown::new() };
    let ended = command::run(args, ctx).await;
    assert!(matches!(ended, Err(RunError::Verdict { code: 105, .. })), "{ended:?}");
}
