mod pages;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use thanos_model::{Labels, Matcher, Sample, TimestampMs};
use thanos_promql::source::{SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_store::endpoint::{Info, StoreInfo};
use thanos_store::{QueryOptions, StoreStatus};
use tokio::sync::Notify;
use tower::ServiceExt;

use super::{Api, Limits, router};
use crate::backend::{Backend, Source, Texts};
use crate::gate::Gate;
use crate::metrics::Metrics;

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Good,
    Warns,
    Fails,
    Hangs,
    Panics,
}

/// Series in memory, and what the last request asked for.
#[derive(Clone, Default)]
struct Memory {
    series: Arc<Vec<Series>>,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Mutex<Option<QueryOptions>>>,
    started: Arc<Notify>,
    dropped: Arc<Notify>,
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Memory {
    async fn answer<T>(&self, value: T) -> Result<(T, Vec<String>), SourceError> {
        let _guard = OnDrop(self.dropped.clone());
        self.started.notify_one();
        let mood = *self.mood.lock();
        match mood {
            Mood::Good => Ok((value, vec![])),
            Mood::Warns => Ok((value, vec!["store a:1 does not answer: connection refused".into()])),
            Mood::Fails => Err(SourceError::Unavailable("no store could answer: a:1".into())),
            Mood::Hangs => futures::future::pending().await,
            Mood::Panics => panic!("a bug"),
        }
    }

    fn matching(&self, matchers: &[Matcher]) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels)))
    }
}

impl SeriesSource for Memory {
    fn select(&self, r: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        async move {
            let within = |s: &&Sample| (r.start_ms..=r.end_ms).contains(&s.t_ms);
            let cut = |s: &Series| Series {
                labels: s.labels.clone(),
                samples: s.samples.iter().filter(within).cloned().collect(),
            };
            let series: Vec<Series> =
                self.matching(&r.matchers).map(cut).filter(|s| !s.samples.is_empty()).collect();
            let held = series.iter().map(|s| s.samples.len() as u64).sum();
            r.budget.charge(held, held * 24)?;
            let (series, warnings) = self.answer(series).await?;
            Ok(SeriesSet { series, warnings })
        }
        .boxed()
    }
}

impl Source for Memory {
    fn label_names<'a>(&'a self, m: &'a [Matcher], _: TimestampMs, _: TimestampMs) -> BoxFuture<'a, Texts> {
        let names = self.matching(m).flat_map(|s| s.labels.iter().map(|l| l.name.to_string()));
        self.answer(names.collect::<BTreeSet<_>>()).boxed()
    }

    fn label_values<'a>(
        &'a self,
        label: &'a str,
        m: &'a [Matcher],
        _: TimestampMs,
        _: TimestampMs,
    ) -> BoxFuture<'a, Texts> {
        let values = self.matching(m).map(|s| s.labels.get(label).to_owned()).filter(|v| !v.is_empty());
        self.answer(values.collect::<BTreeSet<_>>()).boxed()
    }
}

impl Backend for Memory {
    fn open(&self, options: QueryOptions) -> Box<dyn Source> {
        *self.seen.lock() = Some(options);
        Box::new(self.clone())
    }

    fn stores(&self) -> Vec<StoreStatus> {
        let info = Info {
            component: "receive".into(),
            label_sets: vec![Labels::from_pairs([("cluster", "west")])],
            store: Some(StoreInfo { min_ms: 1, max_ms: 2, open_max_ms: 2, without_replica_labels: true }),
        };
        let status = |name: &str, info, problem| StoreStatus {
            name: name.into(),
            address: "127.0.0.1:1".into(),
            last_check_ms: Some(1500),
            problem,
            info,
        };
        vec![status("r-0:1", Some(info), None), status("r-1:1", None, Some("down".into()))]
    }
}

fn memory() -> Memory {
    let series = |pairs: &[(&str, &str)], samples: &[(i64, f64)]| Series {
        labels: Labels::from_pairs(pairs.iter().copied()),
        samples: samples.iter().map(|(t, v)| Sample::float(*t, *v)).collect(),
    };
    let ramp: Vec<(i64, f64)> = (0..=10).map(|i| (i * 10_000, i as f64 * 1.5)).collect();
    let mut all = vec![
        series(&[("__name__", "load"), ("job", "a")], &ramp),
        series(&[("__name__", "load"), ("job", "b")], &[(60_000, f64::INFINITY)]),
        series(&[("__name__", "odd"), ("v", "q\"\n")], &[(60_000, f64::NAN)]),
    ];
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Memory { series: Arc::new(all), ..Memory::default() }
}

fn api(memory: &Memory, slots: usize) -> Api {
    let limits = Limits {
        timeout: Duration::from_millis(300),
        response_timeout: Duration::from_secs(1),
        lookback_delta_ms: 300_000,
        default_step_ms: 60_000,
        max_samples: 1000,
        max_memory_bytes: 1 << 20,
        max_series: 1000,
        partial_response: true,
        replica_labels: vec!["replica".into()],
        cors: true,
    };
    Api {
        backend: Arc::new(memory.clone()),
        limits: Arc::new(limits),
        gate: Gate::new(slots),
        metrics: Metrics::new(slots),
    }
}

async fn send(memory: &Memory, request: Request<Body>) -> (StatusCode, String) {
    let response = router(api(memory, 4)).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(memory: &Memory, path: &str) -> (StatusCode, Json) {
    let request = Request::get(format!("/api/v1/{path}")).body(Body::empty()).unwrap();
    let (status, body) = send(memory, request).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")))
}

#[tokio::test]
async fn answers_are_prometheus_to_the_byte() {
    let memory = memory();
    for (path, data) in [
        (
            "query?query=load&time=65.5",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"load","job":"a"},"value":[65.500,"9"]},{"metric":{"__name__":"load","job":"b"},"value":[65.500,"+Inf"]}]}"#,
        ),
        (
            "query?query=odd&time=1970-01-01T00:01:00Z",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"odd","v":"q\"\n"},"value":[60,"NaN"]}]}"#,
        ),
        ("query?query=1%2F3&time=1", r#"{"resultType":"scalar","result":[1,"0.3333333333333333"]}"#),
        ("query?query=%22x%22&time=1", r#"{"resultType":"string","result":[1,"x"]}"#),
        ("query?query=absent&time=1", r#"{"resultType":"vector","result":[]}"#),
        (
            "query?query=load%7Bjob%3D%22a%22%7D%5B15s%5D&time=30",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"load","job":"a"},"values":[[20,"3"],[30,"4.5"]]}]}"#,
        ),
        (
            "query_range?query=sum(load)&start=40&end=60&step=10s",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[40,"6"],[50,"7.5"],[60,"+Inf"]]}]}"#,
        ),
        (
            "query_range?query=load%7Bjob%3D%22a%22%7D&start=0&end=0.5&step=0.25",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"load","job":"a"},"values":[[0,"0"],[0.250,"0"],[0.500,"0"]]}]}"#,
        ),
        // What a querier holds none of: clients ask for it as they start.
        ("metadata", "{}"),
        ("rules", r#"{"groups":[]}"#),
        ("alerts", r#"{"alerts":[]}"#),
        ("query_exemplars?query=load", "[]"),
        ("labels", r#"["__name__","job","v"]"#),
        ("labels?match[]=odd", r#"["__name__","v"]"#),
        ("label/job/values", r#"["a","b"]"#),
        ("label/job/values?match[]=load%7Bjob!%3D%22a%22%7D&match[]=odd", r#"["b"]"#),
        (
            "series?match[]=load&match[]=%7Bjob%3D%22a%22%7D&end=100",
            r#"[{"__name__":"load","job":"a"},{"__name__":"load","job":"b"}]"#,
        ),
    ] {
        let request = Request::get(format!("/api/v1/{path}")).body(Body::empty()).unwrap();
        let (status, body) = send(&memory, request).await;
        assert_eq!(
            (status.as_u16(), body),
            (200, format!(r#"{{"status":"success","data":{data}}}"#)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let memory = memory();
    for (path, status, kind, text) in [
        ("query", 400, "bad_data", "invalid parameter \"query\": parse error"),
        ("query?query=sum(", 400, "bad_data", "parse error"),
        (
            "query?query=up&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
        ),
        ("query?query=up&timeout=x", 400, "bad_data", "invalid parameter \"timeout\""),
        ("query?query=up&timeout=-1", 400, "bad_data", "must be positive"),
        ("query?query=up&limit=-1", 400, "bad_data", "invalid parameter \"limit\""),
        ("query?query=up&lookback_delta=0", 400, "bad_data", "invalid parameter \"lookback_delta\""),
        ("query?query=up&dedup=perhaps", 400, "bad_data", "invalid parameter \"dedup\""),
        ("query?query=up&storeMatch[]=x", 400, "bad_data", "not supported yet"),
        ("query_range?query=up&start=0&end=1", 400, "bad_data", "invalid parameter \"step\""),
        ("query_range?query=up&end=1&step=1", 400, "bad_data", "invalid parameter \"start\""),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "end timestamp must not be before start time",
        ),
        ("query_range?query=up&start=0&end=1&step=0", 400, "bad_data", "zero or negative"),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            "bad_data",
            "maximum resolution of 11,000 points",
        ),
        ("query_range?query=up&start=-4e15&end=4e15&step=1", 400, "bad_data", "maximum resolution"),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        ("series?match[]=%7Bjob%3D%22%22%7D", 400, "bad_data", "at least one non-empty matcher"),
        ("series?match[]=sum(up)", 400, "bad_data", "not a series selector"),
        ("series?match[]=up%5B5m%5D", 400, "bad_data", "not a series selector"),
        ("series?match[]=up%20offset%205m", 400, "bad_data", "not a series selector"),
        ("labels?start=2&end=1", 400, "bad_data", "invalid parameter \"end\""),
        ("nonsense", 404, "not_found", "no such endpoint"),
        (
            "query_range?query=sum_over_time(load%5B100s%5D)%20%2B%20on()%20load&start=60&end=100&step=10",
            422,
            "execution",
            "many-to-many",
        ),
    ] {
        let (got, json) = get(&memory, path).await;
        assert_eq!(
            (got.as_u16(), &json["status"], &json["errorType"]),
            (status, &json!("error"), &json!(kind)),
            "{path}: {json}"
        );
        assert!(json["error"].as_str().unwrap().contains(text), "{path}: {json}");
    }
    let (status, _) = send(&memory, Request::delete("/api/v1/query").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let xml = Request::post("/api/v1/query")
        .header(header::CONTENT_TYPE, "text/xml")
        .body(Body::from("<q/>"))
        .unwrap();
    assert_eq!(send(&memory, xml).await.0, StatusCode::BAD_REQUEST);
    let huge = Request::post("/api/v1/query").body(Body::from(vec![b'x'; 11 << 20])).unwrap();
    assert_eq!(send(&memory, huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_form_counts_and_beats_the_query_string() {
    let form = Request::post("/api/v1/query?query=nonsense(&time=60")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .body(Body::from("query=load%7Bjob%3D%22a%22%7D"))
        .unwrap();
    let (status, body) = send(&memory(), form).await;
    assert!(status == 200 && body.contains(r#"[60,"9"]"#), "{body}");
}

#[tokio::test]
async fn an_incomplete_answer_says_so() {
    let memory = memory();
    for path in [
        "query?query=load&time=60",
        "query_range?query=load&start=0&end=60&step=10",
        "labels",
        "label/job/values",
        "series?match[]=load",
    ] {
        *memory.mood.lock() = Mood::Warns;
        let (status, json) = get(&memory, path).await;
        assert_eq!(
            (status.as_u16(), &json["warnings"]),
            (200, &json!(["store a:1 does not answer: connection refused"])),
            "{path}"
        );
        *memory.mood.lock() = Mood::Fails;
        let (status, json) = get(&memory, path).await;
        assert_eq!((status.as_u16(), &json["errorType"]), (503, &json!("unavailable")), "{path}");
        assert!(json["error"].as_str().unwrap().contains("a:1"));
        *memory.mood.lock() = Mood::Hangs;
        let (status, json) = get(&memory, path).await;
        assert_eq!((status.as_u16(), &json["errorType"]), (503, &json!("timeout")), "{path}");
        *memory.mood.lock() = Mood::Panics;
        let (status, json) = get(&memory, path).await;
        assert_eq!((status.as_u16(), &json["errorType"]), (500, &json!("internal")), "{path}");
    }
}

#[tokio::test]
async fn limits_truncate_and_say_so() {
    let memory = memory();
    for path in [
        "query?query=load&time=60&limit=1",
        "query_range?query=load&start=60&end=70&step=10&limit=1",
        "labels?limit=1",
        "label/job/values?limit=1",
        "series?match[]=load&limit=1",
    ] {
        let (_, json) = get(&memory, path).await;
        assert_eq!(json["warnings"], json!(["results truncated due to limit"]), "{path}");
        let data = json["data"].as_array().or_else(|| json["data"]["result"].as_array()).unwrap();
        assert_eq!(data.len(), 1, "{path}");
    }
}

#[tokio::test]
async fn thanos_parameters_reach_the_stores() {
    let memory = memory();
    for (path, labels, partial) in [
        ("labels", &["replica"][..], true),
        ("labels?dedup=false", &[], true),
        ("labels?replicaLabels[]=a&replicaLabels[]=b&partial_response=false", &["a", "b"], false),
    ] {
        get(&memory, path).await;
        let seen = memory.seen.lock().clone().unwrap();
        assert_eq!(
            (seen.replica_labels.as_slice(), seen.partial_response),
            (labels.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice(), partial),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_query_over_its_budget_is_refused_with_the_reason() {
    let many = (0..2000).map(|i| Sample::float(i, 1.0)).collect();
    let series = vec![Series { labels: Labels::from_pairs([("__name__", "big")]), samples: many }];
    let memory = Memory { series: Arc::new(series), ..Memory::default() };
    let (status, json) = get(&memory, "query?query=big&time=2").await;
    assert_eq!((status.as_u16(), &json["errorType"]), (422, &json!("execution")), "{json}");
    assert!(json["error"].as_str().unwrap().contains("too many samples"), "{json}");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query_and_a_crowd_is_told() {
    let memory = memory();
    *memory.mood.lock() = Mood::Hangs;
    let mut api = api(&memory, 1);
    api.limits = Arc::new(Limits { timeout: Duration::from_secs(60), ..(*api.limits).clone() });
    let gate = api.gate.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router(api)).await });
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();

    let first = tokio::spawn(client.get(format!("{url}/labels")).send());
    memory.started.notified().await;
    assert_eq!(gate.in_flight(), 1);
    let crowded = client.get(format!("{url}/labels?timeout=50ms")).send().await.unwrap();
    assert_eq!(crowded.status(), 503);
    assert!(crowded.text().await.unwrap().contains("too many queries"));

    first.abort();
    tokio::time::timeout(Duration::from_secs(10), memory.dropped.notified()).await.unwrap();
    *memory.mood.lock() = Mood::Good;
    assert_eq!(client.get(format!("{url}/labels")).send().await.unwrap().status(), 200);
    server.abort();
}

#[tokio::test]
async fn stores_are_listed_as_thanos_does() {
    let (_, json) = get(&memory(), "stores").await;
    assert_eq!(
        json["data"],
        json!({
            "receive": [{"name": "r-0:1", "address": "127.0.0.1:1", "lastCheck": "1970-01-01T00:00:01.5Z",
                "lastError": null, "labelSets": [{"cluster": "west"}], "minTime": 1, "maxTime": 2}],
            "unknown": [{"name": "r-1:1", "address": "127.0.0.1:1", "lastCheck": "1970-01-01T00:00:01.5Z",
                "lastError": "down", "labelSets": [], "minTime": 0, "maxTime": 0}],
        })
    );
    let (_, json) = get(&memory(), "status/buildinfo").await;
    assert_eq!(json["data"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn browsers_may_ask_and_answers_may_be_compressed() {
    let app = router(api(&memory(), 1));
    let preflight = Request::options("/api/v1/query").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(preflight).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["access-control-allow-origin"]),
        (StatusCode::NO_CONTENT, &"*".parse().unwrap())
    );
    let long = Request::get("/api/v1/query_range?query=load&start=0&end=100&step=0.5")
        .header("accept-encoding", "gzip");
    let response = app.oneshot(long.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(
        (response.status(), response.headers().get("content-encoding")),
        (StatusCode::OK, Some(&"gzip".parse().unwrap()))
    );
}
