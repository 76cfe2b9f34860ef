//! Queries written for Linkerd give the same numbers on our proxies' pages as on Linkerd's, for the same traffic.
//!
//! ```text
//!  40 requests ─► front's proxy ─┬─► web's proxy ───► app       our three pages ─┐
//!                                └─► books' proxy ──► app                        ├─► scrape ─► PromQL ─► equal
//!  the same 40, counted by hand ─► Linkerd's three pages, in the formats of two eras ─┘
//! ```
//!
//! The clock is paused and only the apps move it, by what a request asks for, so that latencies are exact.

mod mesh;
mod page;
mod view;

use mesh::{Mesh, Still};
use page::Era;
use view::{Answer, View, assert_same};

/// When the first and the second scrape are; within the shortest range of a shipped query.
const TIMES_MS: [i64; 2] = [0, 4_000];

/// Success rate, volume and latency, by deployment, direction, status and destination: the talk's queries, and
/// those of Linkerd's own dashboards and command line.
const TALK: &[&str] = &[
    r#"sum(rate(request_total{deployment="web",direction="inbound"}[1m]))"#,
    r#"sum(irate(request_total{direction="inbound"}[30s])) by (deployment)"#,
    r#"sum(irate(request_total{namespace="default",direction="outbound"}[30s])) by (deployment, pod)"#,
    r#"sum(irate(request_total{deployment="front",direction="outbound"}[30s])) by (dst_namespace, dst_deployment)"#,
    r#"sum(rate(request_total{direction="outbound"}[1m])) by (dst_service, dst_pod)"#,
    r#"sum(rate(request_total{authority="web.default.svc.cluster.local",direction="outbound"}[1m])) by (authority)"#,
    r#"sum(increase(response_total{authority=~"^books.default.svc.cluster.local.*",direction="outbound"}[1m])) by (authority, classification)"#,
    r#"sum(irate(response_total{classification="success",direction="inbound"}[30s])) by (deployment) / sum(irate(response_total{direction="inbound"}[30s])) by (deployment)"#,
    r#"sum(irate(response_total{classification="success",direction="outbound"}[30s])) by (dst_deployment) / sum(irate(response_total{direction="outbound"}[30s])) by (dst_deployment)"#,
    r#"sum(increase(response_total{direction="inbound"}[1m])) by (deployment, status_code)"#,
    r#"sum(increase(response_total[1m])) by (direction, classification, grpc_status, error)"#,
    r#"sum(rate(response_total{status_code=~"5.."}[1m])) by (direction) / sum(rate(response_total[1m])) by (direction)"#,
    r#"histogram_quantile(0.5, sum(irate(response_latency_ms_bucket{direction="inbound"}[30s])) by (le, deployment))"#,
    r#"histogram_quantile(0.95, sum(irate(response_latency_ms_bucket{direction="inbound"}[30s])) by (le, deployment))"#,
    r#"histogram_quantile(0.99, sum(irate(response_latency_ms_bucket{direction="inbound"}[30s])) by (le, deployment))"#,
    r#"histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{direction="outbound"}[1m])) by (le, dst_deployment))"#,
    r#"histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{status_code!=""}[1m])) by (le, direction, status_code))"#,
    r#"sum(rate(response_latency_ms_sum[1m])) by (direction, deployment) / sum(rate(response_latency_ms_count[1m])) by (direction, deployment)"#,
    r#"sum(rate(response_latency_ms_bucket{le="100.0",direction="inbound"}[1m])) by (deployment) / sum(rate(response_latency_ms_count{direction="inbound"}[1m])) by (deployment)"#,
    r#"count(sum(response_latency_ms_bucket) by (le))"#,
    r#"count(count(request_total{dst_namespace="default",deployment!="",dst_deployment="web",direction="outbound"}) by (namespace, deployment))"#,
];

/// Of [`TALK`], those whose answers are also known by hand.
const SUCCESS: usize = 7;
const MEDIAN: usize = 12;
const BOUNDS: usize = 19;

/// What each kind of page shows before and after the traffic: ours, and Linkerd's of both eras.
async fn views() -> (View, View, View) {
    let (mut ours, mut plain, mut meshed) = (View::new(), View::new(), View::new());
    let mut mesh = Mesh::start().await;
    // Once each at first: of a series' first sample, no rate is known.
    let rounds: [fn(usize) -> usize; 2] = [|_| 1, |count| count];
    for (round, t_ms) in rounds.into_iter().zip(TIMES_MS) {
        mesh.send(round).await;
        mesh.scrape_ours(&mut ours, t_ms).await;
        mesh.scrape_linkerds(Era::Stable23, &mut plain, t_ms).await;
        mesh.scrape_linkerds(Era::Now, &mut meshed, t_ms).await;
    }
    (ours, plain, meshed)
}

fn answer<const N: usize>(series: [(&str, f64); N]) -> Answer {
    series.into_iter().map(|(labels, value)| (labels.to_owned(), value)).collect()
}

#[tokio::test(start_paused = true)]
async fn queries_for_linkerd_give_the_same_numbers_on_our_pages() {
    let _still = Still::start();
    let (ours, plain, meshed) = views().await;
    let now_ms = TIMES_MS[1];
    for query in TALK {
        let answer = ours.ask(query, now_ms).await;
        assert!(!answer.is_empty(), "{query}: nothing");
        assert_same(query, &answer, &plain.ask(query, now_ms).await);
        assert_same(query, &answer, &meshed.ask(query, now_ms).await);
    }
    // Equal, and right, by hand: 18 of web's 24 succeed and 11 of books' 16.
    let success = ours.ask(TALK[SUCCESS], now_ms).await;
    let by_hand = answer([(r#"{deployment="books"}"#, 11.0 / 16.0), (r#"{deployment="web"}"#, 18.0 / 24.0)]);
    assert_same(TALK[SUCCESS], &success, &by_hand);
    // Half of books' 16 answers lie among the 11 in (50, 100]; half of web's 23 among the 8 in (5, 10], above 4.
    let median = ours.ask(TALK[MEDIAN], now_ms).await;
    let (books, web) = (50.0 + 50.0 * 8.0 / 11.0, 5.0 + 5.0 * (11.5 - 4.0) / 8.0);
    let by_hand = answer([(r#"{deployment="books"}"#, books), (r#"{deployment="web"}"#, web)]);
    assert_same(TALK[MEDIAN], &median, &by_hand);
    let bounds = ours.ask(TALK[BOUNDS], now_ms).await;
    assert_same(TALK[BOUNDS], &bounds, &answer([("{}", 26.0)]));
}

#[tokio::test(start_paused = true)]
async fn what_differs_from_linkerd_is_what_is_written_down() {
    let _still = Still::start();
    let (ours, plain, meshed) = views().await;
    let now_ms = TIMES_MS[1];
    let none = answer([]);
    // Requests by whether they were secured: ours are not, and say so.
    let secured = r#"sum(rate(request_total{direction="inbound",tls="true"}[1m])) by (deployment)"#;
    let open = r#"sum(rate(request_total{direction="inbound",tls!="true"}[1m])) by (deployment)"#;
    let all = ours.ask(open, now_ms).await;
    assert_eq!(all.len(), 2);
    for (view, is_secured) in [(&ours, false), (&plain, false), (&meshed, true)] {
        let (some, nothing) = if is_secured { (secured, open) } else { (open, secured) };
        assert_same(some, &all, &view.ask(some, now_ms).await);
        assert_same(nothing, &none, &view.ask(nothing, now_ms).await);
    }
    // The histogram of requests that got no answer: Linkerd shows one of nothing but zeros.
    let unanswered = r#"response_latency_ms_count{status_code=""}"#;
    assert!(ours.ask(unanswered, now_ms).await.is_empty());
    for linkerds in [&plain, &meshed] {
        let zeros = linkerds.ask(unanswered, now_ms).await;
        assert!(zeros.len() == 1 && zeros.values().all(|v| *v == 0.0), "{zeros:?}");
    }
    // An inbound authority: only 2.3 shows one unasked.
    let named = r#"count(request_total{direction="inbound",authority!=""})"#;
    assert_same(named, &none, &ours.ask(named, now_ms).await);
    assert_same(named, &none, &meshed.ask(named, now_ms).await);
    assert_same(named, &answer([("{}", 2.0)]), &plain.ask(named, now_ms).await);
}

#[tokio::test(start_paused = true)]
async fn queries_that_ship_hold_on_linkerds_pages() {
    const LINKERDS: [&str; 5] = [
        "request_total",
        "response_total",
        "response_latency_ms_bucket",
        "response_latency_ms_sum",
        "response_latency_ms_count",
    ];
    let _still = Still::start();
    let (ours, plain, meshed) = views().await;
    let mut held = 0;
    for (place, query) in shipped() {
        let plan = thanos_promql::parse(&query).unwrap_or_else(|e| panic!("{place}: {query}: {e}"));
        let name = |s: &thanos_promql::Selector| {
            s.matchers.iter().find(|m| &*m.name == "__name__").map(|m| m.value.to_string())
        };
        if !plan.selectors().iter().filter_map(name).all(|n| LINKERDS.contains(&n.as_str())) {
            continue;
        }
        let answer = ours.ask(&query, TIMES_MS[1]).await;
        assert!(!answer.is_empty(), "{place}: {query}: nothing");
        assert_same(&query, &answer, &plain.ask(&query, TIMES_MS[1]).await);
        assert_same(&query, &answer, &meshed.ask(&query, TIMES_MS[1]).await);
        held += 1;
    }
    assert!(held >= 15, "only {held} queries were found");
}

#[test]
fn a_jobs_pod_keeps_prometheus_job_label() {
    let admin = "10.0.0.1:4191".parse().unwrap();
    let target = View::new().target(("job", "import"), ("linkerd-proxy", "linkerd-admin"), admin);
    let label = |name: &str| target.labels.get(name).to_owned();
    assert_eq!((label("job"), label("k8s_job")), ("linkerd-proxy".into(), "import".into()));
}

/// Queries of the scenarios, the policies and the dashboards, by file; a dashboard's variables stand for all.
fn shipped() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![view::root().join("simulations/scenarios"), view::root().join("manifests")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("yaml" | "json") => files.push(path),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if !text.contains("request_total") && !text.contains("response_") {
            continue;
        }
        let documents: Vec<serde_json::Value> = thanos_telemetry::cli::parse_yaml_documents(&text).unwrap();
        let mut left: Vec<&serde_json::Value> = documents.iter().collect();
        while let Some(value) = left.pop() {
            left.extend(value.as_array().into_iter().flatten());
            for (key, value) in value.as_object().into_iter().flatten() {
                let is_query = key.ends_with("query") || key.ends_with("expr");
                match value.as_str() {
                    Some(query) if is_query && !query.starts_with("label_values") => {
                        let query = ["$cluster", "$namespace", "$deployment"]
                            .iter()
                            .fold(query.to_owned(), |q, variable| q.replace(variable, ".*"));
                        found.push((file.display().to_string(), query));
                    }
                    _ => left.push(value),
                }
            }
        }
    }
    found
}
