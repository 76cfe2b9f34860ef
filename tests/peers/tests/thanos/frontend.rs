//! A real Query Frontend that cuts queries into shards, over a real Querier over our Receive: the shards are ours to
//! make, and together they are the whole. Over our querier it goes uncut.

use peers::answers::same;
use peers::queries::range;
use peers::traffic::{now_ms, series};
use peers::write::push;
use peers::{World, built, until};

const QUERIES: &[&str] = &[
    "sum by (pod) (rate(request_total[10s]))",
    "sum by (deployment, pod) (rate(response_total[10s]))",
    "histogram_quantile(0.9, sum by (pod, le) (rate(response_latency_ms_bucket[10s])))",
    "count by (pod) (request_total)",
    "max by (cluster) (request_total) / min by (cluster) (request_total)",
    "sum without (pod) (request_total)",
    "sum by (pod) (request_total) and on (pod) request_total",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_of_our_receive_make_a_whole() {
    let Some([_]) = built(["thanos"]) else { return };
    let world = World::new(peers::gauntlet!());
    let receive = world.receive("receive", "").await;
    let end_ms = now_ms() / 1000 * 1000 - 500;
    push(&format!("{}/api/v1/receive", receive.url(19291)), &series(end_ms)).await.unwrap();
    let flags = format!("--endpoint {}:10901 --query.replica-label replica", receive.at);
    let real = world.thanos_query("query-real", &flags).await;
    let ours = world.query("query-ours", &flags).await;
    let sharded = world.thanos_frontend("frontend-real", &real, "--query-frontend.vertical-shards=3").await;
    let over_ours = world.thanos_frontend("frontend-ours", &ours, "").await;

    // A frontend moves ranges to multiples of their step.
    let end = (end_ms / 2000 * 2) as f64;
    let ask = async |base: String, query: &str| range(&base, query, end - 40.0, end, 2.0).await;
    until("the querier sees its store", async || {
        let (_, body) = ask(real.url(9090), "count(odd_info)").await?;
        if body["data"]["result"].as_array().is_some_and(|r| !r.is_empty()) {
            Ok(())
        } else {
            Err(body.to_string())
        }
    })
    .await;
    for query in QUERIES {
        // Each beside the querier it stands before: near resets of counters Thanos has its own rates.
        for (querier, frontend) in [(&real, &sharded), (&ours, &over_ours)] {
            let whole = ask(querier.url(9090), query).await.unwrap();
            assert!(
                whole.1["data"]["result"].as_array().is_some_and(|r| !r.is_empty()),
                "{query}: {}",
                whole.1
            );
            let cut = ask(frontend.url(9090), query).await.unwrap();
            same(&whole, &cut, false).unwrap_or_else(|why| panic!("{query}: {why}"));
        }
    }
    // It did cut.
    let (_, page) = peers::http::get(&format!("{}/metrics", sharded.url(9090))).await.unwrap();
    let of = |name: &str| page.lines().filter(|l| l.starts_with(name)).map(str::to_owned).collect::<Vec<_>>();
    let cut = of("thanos_frontend_sharding_middleware_queries_total");
    assert!(cut.iter().any(|l| l.contains("\"true\"") && !l.ends_with(" 0")), "{cut:?}");
}
