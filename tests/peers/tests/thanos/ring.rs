//! Routers, ours and real, in front of one ring of ours and real ingestors: every series lands on the same replicas
//! whoever routed it.

use std::collections::{BTreeMap, BTreeSet};

use peers::queries::instant;
use peers::traffic::now_ms;
use peers::write::{Written, push};
use peers::{Address, Server, World, built, until};
use serde_json::json;
use thanos_model::Labels;

const SERIES: usize = 200;

/// One sample of many series.
fn samples(t_ms: i64) -> Vec<Written> {
    let labels = |i: usize| {
        let (i, pod) = (i.to_string(), format!("web-{}", i % 7));
        Labels::from_pairs([("__name__", "routed"), ("i", i.as_str()), ("pod", &pod)])
    };
    (0..SERIES).map(|i| (labels(i), vec![(t_ms, i as f64)])).collect()
}

/// By series, how many samples each replica holds.
type Placed = BTreeMap<String, BTreeMap<String, usize>>;

async fn ask(querier: &str) -> Result<Placed, String> {
    let (_, body) = instant(querier, "routed[10m]", now_ms() as f64 / 1000.0).await?;
    if !body["warnings"].is_null() {
        return Err(body["warnings"].to_string());
    }
    let mut placed = Placed::new();
    for one in body["data"]["result"].as_array().ok_or("no result")? {
        let (metric, times) = (&one["metric"], one["values"].as_array().ok_or("no values")?.len());
        let replica = metric["replica"].as_str().unwrap_or_default().to_owned();
        placed.entry(metric["i"].to_string()).or_default().insert(replica, times);
    }
    Ok(placed)
}

/// Writes newer and newer samples of the same series through one router after the other; each series has to be on as
/// many replicas as copies are asked for, with a sample of each router.
///
/// All copies have to be there before newer samples are: a router answers when most are, and what comes behind those is
/// refused as out of order.
async fn write_through(routers: &[&Server], replicas: &[&Server], replication: usize, query: &Server) {
    let first_ms = now_ms() - 10_000;
    let mut placed = Placed::new();
    for (nth, router) in routers.iter().enumerate() {
        let url = format!("{}/api/v1/receive", router.url(19291));
        let samples = samples(first_ms + 1000 * nth as i64);
        until("the router takes writes", async || push(&url, &samples).await).await;
        let want = SERIES * replication * (nth + 1);
        placed = until("every copy has arrived", async || {
            let placed = ask(&query.url(9090)).await?;
            let copies: usize = placed.values().flat_map(BTreeMap::values).sum();
            if copies == want { Ok(placed) } else { Err(format!("{copies} of {want} samples")) }
        })
        .await;
    }
    let right =
        |on: &BTreeMap<String, usize>| on.len() == replication && on.values().all(|n| *n == routers.len());
    let wrong: Vec<_> = placed.iter().filter(|(_, on)| !right(on)).collect();
    assert!(wrong.is_empty(), "{} of {SERIES} series: {wrong:?}", wrong.len());
    let used: BTreeSet<_> = placed.values().flat_map(BTreeMap::keys).collect();
    assert_eq!(used.len(), replicas.len(), "{used:?}");
}

fn ring_flags(world: &World, endpoints: &[String], replication: usize) -> String {
    let ring = world.write("ring.json", &json!([{"endpoints": endpoints}]).to_string());
    format!(
        "--receive.hashrings-file={} --receive.hashrings-algorithm=ketama --receive.replication-factor={replication}",
        ring.display()
    )
}

async fn series_land_where_the_real_ring_puts_them(replication: usize) {
    let Some([_]) = built(["thanos"]) else { return };
    let world = World::new(peers::gauntlet!());
    let ingestors = [
        world.receive("ingestor-0", "").await,
        world.receive("ingestor-1", "").await,
        world.thanos_receive("ingestor-2", "").await,
        world.receive("ingestor-3", "").await,
    ];
    let endpoints: Vec<String> = ingestors.iter().map(|s| format!("{}:10901", s.at)).collect();
    let flags = ring_flags(&world, &endpoints, replication);
    let real = world.thanos_receive("router-real", &flags).await;
    let ours = world.receive("router-ours", &flags).await;
    let stores: String = endpoints.iter().map(|e| format!(" --endpoint {e}")).collect();
    let query = world.query("query", &stores).await;
    // Real first, so that where it puts a series is not ours to decide.
    write_through(&[&real, &ours], &ingestors.each_ref(), replication, &query).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_lands_where_the_real_ring_puts_it() {
    series_land_where_the_real_ring_puts_them(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_land_where_the_real_ring_puts_them() {
    series_land_where_the_real_ring_puts_them(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_copies_land_where_the_real_ring_puts_them() {
    series_land_where_the_real_ring_puts_them(3).await;
}

/// What a migration is: every node routes and stores, and some are ours already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_of_both_kinds_takes_writes_at_any_node() {
    let Some([_]) = built(["thanos"]) else { return };
    let world = World::new(peers::gauntlet!());
    let at = [(); 4].map(|()| Address::claim());
    let endpoints: Vec<String> = at.iter().map(|at| format!("{at}:10901")).collect();
    let flags = ring_flags(&world, &endpoints, 2) + " --receive.local-endpoint={ip}:10901";
    let [a, b, c, d] = at;
    let nodes = [
        world.thanos_receive_at(a, "real-0", &flags).await,
        world.receive_at(b, "ours-1", &flags).await,
        world.receive_at(c, "ours-2", &flags).await,
        world.thanos_receive_at(d, "real-3", &flags).await,
    ];
    let stores: String = endpoints.iter().map(|e| format!(" --endpoint {e}")).collect();
    let query = world.query("query", &stores).await;
    write_through(&nodes.each_ref(), &nodes.each_ref(), 2, &query).await;
}
