//! A real Prometheus scrapes our proxy under load and remote-writes into our Receive; either may stop, and nothing is
//! lost.

use std::collections::BTreeMap;
use std::time::Duration;

use peers::http::client;
use peers::queries::{instant, other};
use peers::traffic::now_ms;
use peers::{World, built, until};
use serde_json::Value;

/// Every sample of the job in the minutes before `at_s`, by labels, without those that only one side adds.
async fn samples(base: &str, at_s: f64) -> Result<BTreeMap<String, Vec<Value>>, String> {
    let (status, mut body) = instant(base, r#"{job="proxy"}[5m]"#, at_s).await?;
    let series = body["data"]["result"].as_array_mut().ok_or_else(|| format!("status {status}"))?;
    Ok(series
        .iter_mut()
        .map(|one| {
            let labels = one["metric"].as_object_mut().unwrap();
            for added in ["cluster", "replica", "tenant_id"] {
                labels.remove(added);
            }
            (one["metric"].to_string(), one["values"].as_array().unwrap().clone())
        })
        .collect())
}

/// The first series that is not the same, or how many samples there are.
fn compare(
    ours: &BTreeMap<String, Vec<Value>>,
    theirs: &BTreeMap<String, Vec<Value>>,
) -> Result<usize, String> {
    if !ours.keys().eq(theirs.keys()) {
        return Err(format!("ours has {} series, theirs {}", ours.len(), theirs.len()));
    }
    for (labels, samples) in theirs {
        if ours[labels] != *samples {
            return Err(format!(
                "{labels}: ours has {} samples, theirs {}",
                ours[labels].len(),
                samples.len()
            ));
        }
    }
    Ok(theirs.values().map(Vec::len).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_either_side_lose_nothing() {
    let Some([_]) = built(["prometheus"]) else { return };
    let world = World::new(peers::gauntlet!());
    let app = world.ours("app", "app web --listen {ip}:8080 --service-time 1ms", "8080/").await;
    let flags = format!(
        "proxy sidecar --inbound-listen {{ip}}:4143 --inbound-forward {}:8080 --admin-listen {{ip}}:4191",
        app.at
    );
    let proxy = world.ours("proxy", &flags, "4191/ready").await;
    let mut receive = world.receive("receive", "").await;
    let query = world.query("query", &format!("--endpoint {}:10901", receive.at)).await;
    let config = format!(
        "global: {{scrape_interval: 100ms, external_labels: {{cluster: east}}}}\n\
         scrape_configs:\n- job_name: proxy\n  static_configs: [{{targets: ['{}:4191']}}]\n\
         remote_write:\n- url: {}/api/v1/receive\n  queue_config: {{batch_send_deadline: 200ms, max_backoff: 500ms}}\n",
        proxy.at,
        receive.url(19291),
    );
    let mut prometheus = world.prometheus("prometheus", &config, "").await;
    let (ours, theirs) = (query.url(9090), prometheus.url(9090));

    let load = tokio::spawn({
        let url = proxy.url(4143);
        async move {
            let client = client();
            loop {
                let _ = client.get(&url).send().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let scraped = |what: &'static str, at_least: usize| {
        let theirs = theirs.clone();
        async move {
            until(what, async || {
                let found = samples(&theirs, now_ms() as f64 / 1000.0).await?;
                let ups =
                    found.iter().find(|(labels, _)| labels.contains("\"up\"")).map_or(0, |(_, s)| s.len());
                if ups >= at_least { Ok(()) } else { Err(format!("{ups} scrapes")) }
            })
            .await;
        }
    };
    scraped("scrapes before", 15).await;
    receive.kill();
    scraped("scrapes while Receive is down", 30).await;
    receive.again().await;
    scraped("scrapes before Prometheus restarts", 40).await;
    assert!(prometheus.terminate().await.success());
    prometheus.again().await;
    scraped("scrapes after", 60).await;
    load.abort();

    let end = now_ms() as f64 / 1000.0;
    let total = until("the same samples on both sides", async || {
        compare(&samples(&ours, end).await?, &samples(&theirs, end).await?)
    })
    .await;
    assert!(total > 60 * 30, "only {total} samples");
    // The counters counted, and what Prometheus itself says about what it sent.
    let (_, requests) = instant(&ours, r#"sum(request_total{direction="inbound"})"#, end).await.unwrap();
    let requests: f64 = requests["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!(requests > 100.0, "{requests}");
    let (_, page) = peers::http::get(&format!("{theirs}/metrics")).await.unwrap();
    for lost in
        ["prometheus_remote_storage_samples_failed_total", "prometheus_remote_storage_samples_dropped_total"]
    {
        let lines = page.lines().filter(|l| l.starts_with(lost));
        assert!(lines.clone().all(|l| l.ends_with(" 0")), "{:?}", lines.collect::<Vec<_>>());
    }
    // Receive says whom it stores for.
    let (_, labels) = other(&ours, "label/cluster/values", &[]).await.unwrap();
    assert_eq!(labels["data"], serde_json::json!(["east"]));
}
