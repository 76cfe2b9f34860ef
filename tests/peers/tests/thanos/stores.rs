//! Queriers and stores in every combination, ours and real: the same answers.

use peers::answers::same;
use peers::queries::{self, instant, other, range};
use peers::traffic::{now_ms, series};
use peers::write::push;
use peers::{Server, World, built, until};

/// `site` tells the stores apart; nothing that is written carries it.
const REPLICAS: &str = "--query.replica-label replica --query.replica-label tenant_id";

/// Stores of every kind, filled with the same samples.
struct Stores {
    world: World,
    /// Two replicas of ours, a real Receive, a real Sidecar.
    all: Vec<Server>,
    _prometheus: Server,
    end_s: f64,
}

impl Stores {
    async fn new() -> Option<Self> {
        let [_, _] = built(["prometheus", "thanos"])?;
        let world = World::new(peers::gauntlet!());
        let ours = [
            world.receive("receive-a", r#"--label site="ours""#).await,
            world.receive("receive-b", r#"--label site="ours""#).await,
        ];
        let real = world.thanos_receive("receive-r", r#"--label=site="real""#).await;
        let config = "global: {external_labels: {site: prometheus, replica: p}}";
        // A sidecar wants to know that no block is compacted before it was uploaded.
        let flags = "--storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h";
        let prometheus = world.prometheus("prometheus", config, flags).await;
        let sidecar = world.thanos_sidecar("sidecar", &prometheus).await;

        let end_ms = now_ms() / 1000 * 1000 - 500;
        let series = series(end_ms);
        for receive in ours.iter().chain([&real]) {
            push(&format!("{}/api/v1/receive", receive.url(19291)), &series).await.unwrap();
        }
        push(&format!("{}/api/v1/write", prometheus.url(9090)), &series).await.unwrap();
        let all = ours.into_iter().chain([real, sidecar]).collect();
        Some(Self { world, all, _prometheus: prometheus, end_s: end_ms as f64 / 1000.0 })
    }

    fn endpoints(&self) -> String {
        self.all.iter().map(|s| format!(" --endpoint {}:10901", s.at)).collect()
    }
}

/// Waits until a querier sees `sites` sites.
async fn sees(querier: &Server, at_s: f64, sites: &str) {
    until("the querier sees its stores", async || {
        let (_, body) = instant(&querier.url(9090), "count(count by (site) (odd_info))", at_s).await?;
        if body["data"]["result"][0]["value"][1] == sites { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_combination_gives_the_same_answers() {
    let Some(stores) = Stores::new().await else { return };
    let (world, end) = (&stores.world, stores.end_s);
    let flags = format!("{} {REPLICAS}", stores.endpoints());
    let experimental = "--enable-feature=promql-experimental-functions";
    let real = world.thanos_query("query-real", &format!("{flags} {experimental}")).await;
    let ours = world.query("query-ours", &flags).await;
    let over = |below: &Server| format!("--endpoint {}:10901 {REPLICAS}", below.at);
    let ours_over_real = world.query("query-ours-over-real", &over(&real)).await;
    let real_over_ours =
        world.thanos_query("query-real-over-ours", &format!("{} {experimental}", over(&ours))).await;
    for querier in [&real, &ours, &ours_over_real, &real_over_ours] {
        sees(querier, end, "3").await;
    }

    let truth = real.url(9090);
    let others = [("ours", &ours), ("ours over real", &ours_over_real), ("real over ours", &real_over_ours)];
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for query in queries::all().filter(|q| q.thanos_agrees) {
        let at = end - 3.3;
        let a = instant(&truth, query.text, at).await.unwrap();
        let b = range(&truth, query.text, end - 40.0, end + 10.0, 7.0).await.unwrap();
        for (name, querier) in others {
            let x = instant(&querier.url(9090), query.text, at).await.unwrap();
            let y = range(&querier.url(9090), query.text, end - 40.0, end + 10.0, 7.0).await.unwrap();
            let differs = [same(&x, &a, false).err(), same(&y, &b, false).err()];
            wrong.extend(differs.into_iter().flatten().map(|why| format!("{name}: {}: {why}", query.text)));
            compared += 2;
        }
    }
    for (path, params) in [
        ("labels", vec![("dedup", "false")]),
        ("labels", vec![("match[]", "temperature"), ("dedup", "false")]),
        ("label/site/values", vec![]),
        ("label/pod/values", vec![("match[]", r#"request_total{deployment="web"}"#)]),
        ("series", vec![("match[]", r#"{__name__=~"odd_info|temperature"}"#)]),
        ("series", vec![("match[]", r#"odd_info{site="real"}"#)]),
        ("query", vec![("query", "odd_info"), ("dedup", "false"), ("time", "{end}")]),
        ("query", vec![("query", "odd_info"), ("replicaLabels[]", "site"), ("time", "{end}")]),
    ] {
        let end = end.to_string();
        let params: Vec<(&str, &str)> =
            params.into_iter().map(|(n, v)| (n, if v == "{end}" { end.as_str() } else { v })).collect();
        let a = other(&truth, path, &params).await.unwrap();
        for (name, querier) in others {
            let x = other(&querier.url(9090), path, &params).await.unwrap();
            wrong.extend(same(&x, &a, false).err().map(|why| format!("{name}: {path} {params:?}: {why}")));
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What each querier says of the same stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_introduce_themselves_alike() {
    let Some(stores) = Stores::new().await else { return };
    let world = &stores.world;
    let real = world.thanos_query("query-real", &stores.endpoints()).await;
    let ours = world.query("query-ours", &stores.endpoints()).await;
    let mut seen = Vec::new();
    for querier in [&ours, &real] {
        sees(querier, stores.end_s, "3").await;
        let (status, body) = other(&querier.url(9090), "stores", &[]).await.unwrap();
        assert_eq!(status, 200);
        let mut all: Vec<String> = body["data"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(kind, stores)| stores.as_array().unwrap().iter().map(move |s| (kind, s)))
            // The newest time moves while one looks.
            .map(|(kind, s)| {
                format!("{kind} {} {} {} {}", s["name"], s["labelSets"], s["minTime"], s["lastError"])
            })
            .collect();
        all.sort();
        seen.push(all);
    }
    assert_eq!(seen[0], seen[1], "ours, real");
    assert_eq!(seen[0].len(), 4);
}
