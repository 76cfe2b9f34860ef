//! A Prometheus HTTP API that answers what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use parking_lot::Mutex;

/// What is answered to value queries.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// One series with that value.
    Value(f64),
    /// One series, and a warning.
    Warned(f64),
    /// One series, of a server that says that some of its storage is away.
    Partial(f64),
    /// Several series.
    Many(usize),
    Nothing,
    NotANumber,
    Status(u16),
    Refuse,
    Garbage,
    Huge,
    Hang,
}

struct Inner {
    say: Mutex<Say>,
    /// Clusters that have samples, with their age in seconds.
    clusters: Mutex<Vec<(&'static str, f64)>>,
    values_asked: AtomicU64,
    /// The header of the last question.
    authorization: Mutex<Option<String>>,
}

#[derive(Clone)]
pub(crate) struct Querier {
    inner: Arc<Inner>,
    pub(crate) url: String,
}

impl Querier {
    /// Both clusters are fresh.
    pub(crate) async fn start(say: Say) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clusters = Mutex::new(vec![("east", 0.1), ("west", 0.1)]);
        let inner = Arc::new(Inner {
            say: Mutex::new(say),
            clusters,
            values_asked: AtomicU64::new(0),
            authorization: Mutex::new(None),
        });
        let router = Router::new().route("/api/v1/query", post(answer)).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, url }
    }

    pub(crate) fn say(&self, say: Say) {
        *self.inner.say.lock() = say;
    }

    pub(crate) fn clusters(&self, clusters: &[(&'static str, f64)]) {
        *self.inner.clusters.lock() = clusters.to_vec();
    }

    /// What the last question was authorized by.
    pub(crate) fn authorization(&self) -> Option<String> {
        self.inner.authorization.lock().clone()
    }

    /// How often a value was asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.inner.values_asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, form: String) -> Response<Body> {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    *inner.authorization.lock() = authorization.map(str::to_owned);
    let query = field(&form, "query");
    let parts = parts(&query);
    let one = |value: &str| -> Vec<String> {
        let values = parts.iter().filter(|part| ["now", "at"].contains(&part.as_str()));
        values.map(|part| sample(&[("__part__", part)], value)).collect()
    };
    // A clock, which a policy beside the others may ask for.
    if query.contains("timestamp(vector(1))") {
        return vector(&one("1000000"), "");
    }
    inner.values_asked.fetch_add(1, Ordering::SeqCst);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let evidence = evidence(&query, &parts, &inner.clusters.lock(), now);
    let say = inner.say.lock().clone();
    let with = |values: Vec<String>, more: &str| vector(&[values, evidence.clone()].concat(), more);
    match say {
        Say::Value(v) => with(one(&v.to_string()), ""),
        Say::Warned(v) => with(one(&v.to_string()), r#","warnings":["No StoreAPIs matched for this query"]"#),
        Say::Partial(v) => with(one(&v.to_string()), r#","isPartial":true"#),
        Say::Many(n) => {
            let of = |part: &str| {
                (0..n).map(|i| sample(&[("pod", &format!("web-{i}")), ("__part__", part)], "1")).collect()
            };
            let series: Vec<Vec<String>> = ["now", "at"].iter().map(|part| of(part)).collect();
            with(series.concat(), "")
        }
        Say::Nothing => with(Vec::new(), ""),
        Say::NotANumber => with(one("NaN"), ""),
        Say::Status(status) => response(status, "boom".into()),
        Say::Refuse => {
            response(400, r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#.into())
        }
        Say::Garbage => response(200, "\u{0}<html>".into()),
        Say::Huge => response(200, "x".repeat(5 << 20)),
        Say::Hang => std::future::pending().await,
    }
}

/// What the query asks for, in the order of its text.
fn parts(query: &str) -> Vec<String> {
    let codes = query.split("\"__part__\", \"").skip(1);
    codes.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The newest samples' times, and those of clusters that are not older than the query says.
fn evidence(query: &str, parts: &[String], clusters: &[(&'static str, f64)], now: f64) -> Vec<String> {
    let limit = query.split(") > ").nth(1).and_then(|rest| rest.split(')').next());
    let limit: f64 = limit.and_then(|limit| limit.parse().ok()).unwrap_or(0.0);
    let mut series = Vec::new();
    for part in parts {
        for (cluster, age) in clusters {
            if part.starts_with("beg") {
                series.push(sample(&[("cluster", cluster), ("__part__", part)], "1"));
            }
            let is_asked = part.starts_with("new") || part.starts_with("old") && now - age > limit;
            if is_asked {
                series.push(sample(&[("cluster", cluster), ("__part__", part)], &(now - age).to_string()));
            }
        }
    }
    series
}

fn sample(labels: &[(&str, &str)], value: &str) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
    format!(r#"{{"metric":{{{}}},"value":[1,"{value}"]}}"#, labels.join(","))
}

/// A field of a form.
fn field(form: &str, name: &str) -> String {
    let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut bytes = value.unwrap_or_default().bytes();
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(text).unwrap()
}

fn vector(series: &[String], more: &str) -> Response<Body> {
    let series = series.join(",");
    response(
        200,
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}{more}}}"#),
    )
}

fn response(status: u16, body: String) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body)).unwrap()
}
