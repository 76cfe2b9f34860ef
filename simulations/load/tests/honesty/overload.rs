//! A rate beyond what the generator itself can send says nothing about the service, and it says so.

use std::time::Duration;

use clap::Parser;
use simulations_load::command::{self, Args};
use simulations_load::generator::{Generator, Plan};
use thanos_telemetry::{Context, RunError, Shutdown};

use crate::server::{Behaviour, Server};
use crate::{ALONE, plan};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

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

    let uri = server.uri.to_string();
    let line = ["load", &uri, "--stage", BEYOND, "--arrivals", "even", "--max-in-flight", "64", "--json"];
    let args = Cli::try_parse_from(line).unwrap().args;
    let ctx = Context { shutdown: Shutdown::new() };
    let ended = command::run(args, ctx).await;
    assert!(matches!(ended, Err(RunError::Verdict { code: 105, .. })), "{ended:?}");
}
