//! Our querier over our Receive and a real Prometheus, given the same samples, give the same answers.

use std::collections::BTreeMap;

use peers::answers::same;
use peers::queries::{self, instant, other, range};
use peers::traffic::{now_ms, series};
use peers::write::push;
use peers::{Server, World, built};

/// The three servers, filled. The end of the samples is in seconds.
struct Filled {
    _world: World,
    _receive: Server,
    ours: Server,
    theirs: Server,
    end_s: f64,
}

impl Filled {
    async fn new() -> Option<Self> {
        let [_] = built(["prometheus"])?;
        let world = World::new(peers::gauntlet!());
        let receive = world.receive("receive", "").await;
        let flags = format!(
            "--endpoint {}:10901 --query.replica-label replica --query.replica-label tenant_id",
            receive.at
        );
        let ours = world.query("query", &flags).await;
        // What ours has without being told: functions that Prometheus still calls experimental.
        let flags = "--enable-feature=promql-experimental-functions,promql-duration-expr";
        let theirs = world.prometheus("prometheus", "global: {}", flags).await;
        // On the half second, so that steps meet samples.
        let end_ms = now_ms() / 1000 * 1000 - 500;
        let series = series(end_ms);
        push(&format!("{}/api/v1/receive", receive.url(19291)), &series).await.unwrap();
        push(&format!("{}/api/v1/write", theirs.url(9090)), &series).await.unwrap();
        Some(Self { _world: world, _receive: receive, ours, theirs, end_s: end_ms as f64 / 1000.0 })
    }
}

#[tokio::test]
async fn promql_answers_are_the_same() {
    let Some(filled) = Filled::new().await else { return };
    let (ours, theirs, end) = (filled.ours.url(9090), filled.theirs.url(9090), filled.end_s);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for query in queries::all() {
        // At the newest samples, and between two samples in the middle.
        for at in [end, end - 20.3] {
            let a = instant(&ours, query.text, at).await.unwrap();
            let b = instant(&theirs, query.text, at).await.unwrap();
            let differs = same(&a, &b, query.is_ordered()).err();
            wrong.extend(differs.map(|why| format!("{} at {at}: {why}", query.text)));
            // What it says beside the data, positions included.
            for notes in ["warnings", "infos"] {
                if a.1[notes] != b.1[notes] {
                    wrong
                        .push(format!("{}: {notes}: ours {}, theirs {}", query.text, a.1[notes], b.1[notes]));
                }
            }
            compared += 1;
        }
        for step in [1.5, 7.0] {
            let a = range(&ours, query.text, end - 40.0, end + 10.0, step).await.unwrap();
            let b = range(&theirs, query.text, end - 40.0, end + 10.0, step).await.unwrap();
            let differs = same(&a, &b, false).err();
            wrong.extend(differs.map(|why| format!("{} by {step}: {why}", query.text)));
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Everything else under `/api/v1/` that clients read: path, parameters.
const REQUESTS: &[(&str, &[(&str, &str)])] = &[
    ("labels", &[]),
    ("labels", &[("match[]", "request_total")]),
    ("labels", &[("match[]", "odd_info"), ("match[]", "temperature")]),
    ("labels", &[("limit", "3")]),
    ("labels", &[("limit", "-1")]),
    ("labels", &[("match[]", "{}")]),
    ("labels", &[("match[]", "up[")]),
    ("label/deployment/values", &[]),
    ("label/__name__/values", &[]),
    ("label/pod/values", &[("match[]", r#"request_total{deployment="web"}"#)]),
    ("label/nothing/values", &[]),
    ("label/utf/values", &[]),
    ("label/U__a_2d_b/values", &[]),
    ("series", &[("match[]", "temperature")]),
    ("series", &[("match[]", r#"request_total{pod="web-0"}"#), ("match[]", "odd_info")]),
    ("series", &[]),
    ("series", &[("match[]", "")]),
    ("series", &[("match[]", "{}")]),
    ("series", &[("match[]", "rate(up[1m])")]),
    ("series", &[("match[]", "up"), ("start", "x")]),
    ("query", &[]),
    ("query", &[("query", "")]),
    ("query", &[("query", "odd_info"), ("time", "x")]),
    ("query", &[("query", "odd_info"), ("time", "2015-07-01T20:10:51.781Z")]),
    ("query", &[("query", "odd_info"), ("timeout", "1ns")]),
    ("query", &[("query", "odd_info"), ("timeout", "x")]),
    ("query", &[("query", "odd_info"), ("time", "{end}"), ("limit", "1")]),
    ("query", &[("query", "odd_info"), ("time", "{end}"), ("lookback_delta", "x")]),
    ("query", &[("query", "request_total[2s]"), ("time", "{end}")]),
    ("query_range", &[("query", "up")]),
    ("query_range", &[("query", "up"), ("start", "{end}"), ("end", "{end}")]),
    ("query_range", &[("query", "up"), ("start", "{end}"), ("end", "{end}"), ("step", "0")]),
    ("query_range", &[("query", "up"), ("start", "{end}"), ("end", "{end}"), ("step", "-1")]),
    ("query_range", &[("query", "up"), ("start", "{end}"), ("end", "{end}"), ("step", "x")]),
    ("query_range", &[("query", "up"), ("start", "{end}"), ("end", "5"), ("step", "1")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "{end}"), ("step", "1")]),
    ("query_range", &[("query", "up"), ("start", "x"), ("end", "{end}"), ("step", "1")]),
    ("query_range", &[("query", "odd_info"), ("start", "{end}"), ("end", "{end}"), ("step", "1m30s")]),
    ("query_range", &[("query", "up[1m]"), ("start", "{end}"), ("end", "{end}"), ("step", "1")]),
    ("query_range", &[("query", "\"text\""), ("start", "{end}"), ("end", "{end}"), ("step", "1")]),
    ("metadata", &[]),
    ("rules", &[]),
    ("alerts", &[]),
    ("query_exemplars", &[("query", "up"), ("start", "1"), ("end", "2")]),
];

#[tokio::test]
async fn every_other_answer_is_the_same() {
    let Some(filled) = Filled::new().await else { return };
    let (ours, theirs, end) = (filled.ours.url(9090), filled.theirs.url(9090), filled.end_s.to_string());
    let mut wrong = Vec::new();
    for (path, params) in REQUESTS {
        let params: Vec<(&str, String)> =
            params.iter().map(|(n, v)| (*n, v.replace("{end}", &end))).collect();
        let params: Vec<(&str, &str)> = params.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let a = other(&ours, path, &params).await.unwrap();
        let b = other(&theirs, path, &params).await.unwrap();
        wrong.extend(same(&a, &b, false).err().map(|why| format!("{path} {params:?}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Grafana and humans read of a limit: that it was reached, not which series were left.
#[tokio::test]
async fn limits_are_announced_alike() {
    let Some(filled) = Filled::new().await else { return };
    let end = filled.end_s.to_string();
    for (path, params) in [
        ("query", vec![("query", "request_total"), ("time", end.as_str()), ("limit", "2")]),
        ("series", vec![("match[]", "request_total"), ("limit", "2")]),
        ("label/pod/values", vec![("limit", "2")]),
    ] {
        let mut seen = BTreeMap::new();
        for (name, server) in [("ours", &filled.ours), ("theirs", &filled.theirs)] {
            let (status, body) = other(&server.url(9090), path, &params).await.unwrap();
            let data = if path == "query" { &body["data"]["result"] } else { &body["data"] };
            seen.insert(name, (status, data.as_array().unwrap().len(), body["warnings"].clone()));
        }
        assert_eq!(seen["ours"], seen["theirs"], "{path}");
        assert_eq!(seen["ours"].1, 2);
    }
}
