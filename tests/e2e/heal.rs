//! kill −9 of any one process: things come back, nothing scales down for the gap, no acknowledged sample is
//! gone.
#![expect(clippy::print_stdout, reason = "the verdict, for whoever reads a failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use simulations_harness::command::read;
use simulations_harness::run::{How, run};
use simulations_harness::world::World;
use simulations_judge::record::Verdict;
use simulations_judge::validity::Lateness;
use thanos_telemetry::Shutdown;

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_process_lowers_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let _alone = crate::alone().await;
    let program = &crate::program();
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/heal.yaml"));
    let loaded = read(file, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
    let world = World::start(dir.path(), program, &loaded, &|line| println!("{line}"))
        .await
        .unwrap_or_else(|e| panic!("the world did not start: {e:#}"));
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
    // Nothing here is judged on latency; a generator that dies, or does not send, is.
    let lateness = Lateness { max: Duration::from_secs(5), ..Lateness::default() };
    let how = How { lateness, ..How::default() };
    let (outcome, (at, before)) =
        tokio::join!(run(&loaded.scenario, &world, &shutdown, &how, |_| {}), samples);
    let outcome = outcome.expect("the run was driven to its end");
    let after = counts(&world.query_url().await.expect("a querier"), at).await;
    let told = told(&world).await;
    world.stop().await;

    // With everything running, every metric that a dashboard, rule or policy of manifests/ reads is told.
    let mut untold = BTreeSet::new();
    for query in crate::queries::all(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let read = crate::queries::metrics(&query.text).expect("PromQL");
        untold
            .extend(read.into_iter().filter(|m| !told.contains(m)).map(|m| format!("{m} ({})", query.place)));
    }
    assert!(untold.is_empty(), "nobody tells {untold:?}");

    for row in &outcome.rows {
        println!("{} {} — {}", if row.held { "held  " } else { "FAILED" }, row.expectation, row.found);
    }
    let seed = loaded.scenario.seed;
    assert!(
        outcome.verdict == Verdict::Pass,
        "seed {seed}, {:?}: cargo test --test e2e heal -- --nocapture",
        outcome.verdict
    );
    assert!(before.len() >= 10, "only {} series before the kills", before.len());
    for (series, count) in &before {
        let now = after.get(series).copied().unwrap_or(0.0);
        assert!(now >= *count, "{series}: {count} samples before the kills, {now} after");
    }
}

/// Names of all samples on the metrics pages of a world's pods.
async fn told(world: &World) -> BTreeSet<String> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    // A proxy tells of errors once there were some.
    let mut names: BTreeSet<String> = proxy_api::metric::ALL.iter().map(|name| (*name).to_owned()).collect();
    for cluster in world.clusters() {
        let pods: Api<Pod> = Api::all(cluster.client());
        for pod in pods.list(&ListParams::default()).await.expect("pods") {
            let ip = pod.status.and_then(|s| s.pod_ip).expect("an address");
            let ports =
                pod.spec.into_iter().flat_map(|s| s.containers).flat_map(|c| c.ports.unwrap_or_default());
            for port in ports.filter(|p| matches!(p.name.as_deref(), Some("http" | "admin"))) {
                let url = format!("http://{ip}:{}/metrics", port.container_port);
                // The app's own port has none.
                let Ok(page) = client.get(url).send().await else { continue };
                let text = page.text().await.unwrap_or_default();
                let name = |l: &str| l.split(['{', ' ']).next().unwrap_or_default().to_owned();
                names.extend(text.lines().filter(|l| !l.starts_with('#')).map(name));
            }
        }
    }
    names
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
