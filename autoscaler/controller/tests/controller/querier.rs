//! A Prometheus HTTP API that answers what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
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
        let inner = Arc::new(Inner { say: Mutex::new(say), clusters, values_asked: AtomicU64::new(0) });
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

    /// How often a value was asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.inner.values_asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(inner): State<Arc<Inner>>, form: String) -> Response<Body> {
    if form.contains("timestamp") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let clusters = inner.clusters.lock().clone();
        let series: Vec<String> = clusters
            .iter()
            .map(|(c, age)| format!(r#"{{"metric":{{"cluster":"{c}"}},"value":[1,"{}"]}}"#, now - age))
            .collect();
        return vector(&series, "");
    }
    inner.values_asked.fetch_add(1, Ordering::SeqCst);
    let say = inner.say.lock().clone();
    let one = |value: &str| vec![format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#)];
    match say {
        Say::Value(v) => vector(&one(&v.to_string()), ""),
        Say::Warned(v) => {
            vector(&one(&v.to_string()), r#","warnings":["No StoreAPIs matched for this query"]"#)
        }
        Say::Partial(v) => vector(&one(&v.to_string()), r#","isPartial":true"#),
        Say::Many(n) => {
            let series: Vec<String> =
                (0..n).map(|i| format!(r#"{{"metric":{{"pod":"web-{i}"}},"value":[1,"1"]}}"#)).collect();
            vector(&series, "")
        }
        Say::Nothing => vector(&[], ""),
        Say::NotANumber => vector(&one("NaN"), ""),
        Say::Status(status) => response(status, "boom".into()),
        Say::Refuse => {
            response(400, r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#.into())
        }
        Say::Garbage => response(200, "\u{0}<html>".into()),
        Say::Huge => response(200, "x".repeat(5 << 20)),
        Say::Hang => std::future::pending().await,
    }
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
