//! kill −9 of any one process: things come back, nothing scales down for the gap, no acknowledged sample is
//! gone.
#![expect(clippy::print_stdout, reason = "the verdict, for whoever reads a failure")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use simulations_harness::judge::{Bound, Expectation};
use simulations_harness::run::run;
use simulations_harness::scenario::{Fault, FaultKind, Phase, Scenario};
use simulations_harness::world::World;
use simulations_load::schedule::{Arrivals, Stage};
use thanos_telemetry::Shutdown;

const SEED: u64 = 7;

/// What is killed, one every eight seconds.
const VICTIMS: &[(&str, &str, &str, &str, &str)] = &[
    ("kill controller", "east", "gauntlet-system", "autoscaler", "autoscaler"),
    ("kill querier", "east", "monitoring", "query", "query"),
    ("kill receive", "east", "monitoring", "receive", "receive"),
    ("kill scrape", "west", "monitoring", "scrape", "scrape"),
    ("kill proxy", "east", "default", "web", "proxy"),
    ("kill destination", "west", "mesh", "destination", "destination"),
];

fn scenario() -> Scenario {
    let secs = Duration::from_secs;
    let first = 24;
    let faults: Vec<Fault> = VICTIMS
        .iter()
        .enumerate()
        .map(|(i, (name, cluster, namespace, app, container))| Fault {
            name,
            at: secs(first + 8 * i as u64),
            lasts: Duration::ZERO,
            kind: FaultKind::Kill,
            cluster,
            namespace,
            app,
            container,
        })
        .collect();
    let phase = |name, seconds, rps| Phase { name, stage: Stage::steady(secs(seconds), rps) };
    let mut expectations = vec![
        Expectation::Reaches {
            target: ("east", "web"),
            bound: Bound::AtLeast(5),
            after: "steady",
            within: secs(24),
        },
        Expectation::NeverLowered { from: "kill controller", to: "end" },
        Expectation::Recovers { policy: ("east", "web"), after: "kill destination", within: secs(20) },
        Expectation::Recovers { policy: ("west", "web"), after: "kill destination", within: secs(20) },
        // A killed proxy takes down the requests that it carries, and no others.
        Expectation::FailedShare { at_most: 0.02 },
    ];
    expectations.extend(VICTIMS.iter().map(|(name, cluster, _, app, container)| Expectation::Restarted {
        container: (cluster, app, container),
        after: name,
        within: secs(10),
    }));
    Scenario {
        name: "heal",
        clusters: vec!["east", "west"],
        // The rates are so far from a multiple of the target that their noise crosses no replica count.
        phases: vec![phase("steady", first + 8 * VICTIMS.len() as u64 + 20, 55.0)],
        arrivals: Arrivals::Even,
        seed: SEED,
        faults,
        expectations,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_process_lowers_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let program = Path::new(env!("CARGO_BIN_EXE_gauntlet"));
    let world = World::start(dir.path(), program, &["east", "west"], &|line| println!("{line}"))
        .await
        .unwrap_or_else(|e| panic!("the world did not start: {e:#}"));
    let scenario = scenario();
    let shutdown = Shutdown::new();
    let samples = async {
        // Before the first kill, so that the window holds only what was acknowledged before all of them.
        tokio::time::sleep(Duration::from_secs(22)).await;
        let url = world.query_url().await.expect("a querier");
        let at =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs()
                - 3;
        (at, counts(&url, at).await)
    };
    let (outcome, (at, before)) = tokio::join!(run(&scenario, &world, &shutdown, |_| {}), samples);
    let outcome = outcome.expect("the run was driven to its end");
    let after = counts(&world.query_url().await.expect("a querier"), at).await;
    world.stop().await;

    for row in &outcome.rows {
        println!("{} {} — {}", if row.held { "held  " } else { "FAILED" }, row.expectation, row.found);
    }
    assert!(outcome.passed(), "seed {SEED}: cargo test --test e2e heal -- --nocapture");
    assert!(before.len() >= 10, "only {} series before the kills", before.len());
    for (series, count) in &before {
        let now = after.get(series).copied().unwrap_or(0.0);
        assert!(now >= *count, "{series}: {count} samples before the kills, {now} after");
    }
}

/// Samples per series of both clusters in the 15 s up to `at`, as the querier sees them.
async fn counts(url: &str, at: u64) -> BTreeMap<String, f64> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    let query = format!("count_over_time(request_total[15s] @ {at})");
    let response = client.get(format!("{url}/api/v1/query")).query(&[("query", query)]).send().await;
    let body: serde_json::Value = response.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["status"], "success", "{body}");
    assert!(body.get("warnings").is_none(), "{body}");
    let series = body["data"]["result"].as_array().expect("a vector");
    series
        .iter()
        .map(|s| {
            let value = s["value"][1].as_str().and_then(|v| v.parse().ok()).expect("a number");
            (s["metric"].to_string(), value)
        })
        .collect()
}
