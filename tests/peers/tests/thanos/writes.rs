//! Our scraper writes to ours and to the real ones: the same samples everywhere.

use std::collections::BTreeMap;

use peers::queries::instant;
use peers::traffic::now_ms;
use peers::{World, built, until};
use serde_json::Value;

/// Every sample of the last minutes by the labels that were written.
async fn samples(base: &str, selector: &str, at_s: f64) -> Result<BTreeMap<String, Value>, String> {
    let (status, mut body) = instant(base, &format!("{selector}[5m]"), at_s).await?;
    if !body["warnings"].is_null() {
        return Err(body["warnings"].to_string());
    }
    let series = body["data"]["result"].as_array_mut().ok_or_else(|| format!("status {status}"))?;
    Ok(series
        .iter_mut()
        .map(|one| {
            let labels = one["metric"].as_object_mut().unwrap();
            for stored in ["replica", "tenant_id"] {
                labels.remove(stored);
            }
            (one["metric"].to_string(), one["values"].take())
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_scraper_writes_the_same_to_every_receiver() {
    let Some([_, _]) = built(["prometheus", "thanos"]) else { return };
    let world = World::new(peers::gauntlet!());
    let ours = world.receive("receive-ours", "").await;
    let real = world.thanos_receive("receive-real", "").await;
    let prometheus = world.prometheus("prometheus", "global: {}", "").await;
    let stores = format!("--endpoint {}:10901 --endpoint {}:10901", ours.at, real.at);
    let query = world.query("query", &stores).await;
    let config = format!(
        "global: {{scrape_interval: 100ms, external_labels: {{cluster: east}}}}\n\
         scrape_configs:\n- job_name: all\n  static_configs: [{{targets: ['{}:10902', '{}:10902', '{}:9090']}}]\n\
         remote_write:\n- url: {}/api/v1/receive\n- url: {}/api/v1/receive\n- url: {}/api/v1/write\n",
        ours.at,
        real.at,
        prometheus.at,
        ours.url(19291),
        real.url(19291),
        prometheus.url(9090),
    );
    let mut scrape = world.scrape("scrape", &config).await;
    let theirs = prometheus.url(9090);
    until("twenty scrapes", async || {
        let (_, body) = instant(&theirs, "min(count_over_time(up[5m]))", now_ms() as f64 / 1000.0).await?;
        let n =
            body["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
        if n >= 20.0 { Ok(()) } else { Err(format!("{n} scrapes")) }
    })
    .await;
    // It sends what is queued before it ends.
    assert!(scrape.terminate().await.success());

    let at = now_ms() as f64 / 1000.0;
    let written = samples(&theirs, r#"{job="all"}"#, at).await.unwrap();
    assert!(written.len() > 200, "{} series", written.len());
    for replica in ["receive-ours", "receive-real"] {
        let selector = format!(r#"{{job="all",replica="{replica}"}}"#);
        // A store is asked once its Info says that it holds something; a querier looks every few seconds.
        until("all is stored", async || {
            let stored = samples(&query.url(9090), &selector, at).await?;
            if stored.len() != written.len() {
                return Err(format!("{replica} has {} of {} series", stored.len(), written.len()));
            }
            match written.iter().find(|(labels, samples)| stored.get(*labels) != Some(samples)) {
                Some((labels, _)) => Err(format!("{replica}: {labels} differs")),
                None => Ok(()),
            }
        })
        .await;
    }
}
