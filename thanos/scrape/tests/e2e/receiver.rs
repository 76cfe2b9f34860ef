//! A remote-write receiver that does as it is told and keeps what it took.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use prost::Message;
use thanos_model::is_stale;
use thanos_storepb::prompb::WriteRequest;
use tokio::sync::watch;

/// Longest that any wait here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How one request is answered. When none is planned: 200.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// 429 with `Retry-After: 0`.
    TryLater,
    /// Nothing, ever.
    Hang,
}

/// `(timestamp, value)`; a staleness marker prints as `stale`.
pub(crate) type Samples = Vec<(i64, String)>;

#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: Mutex<VecDeque<Answer>>,
    /// When the plan is used up.
    otherwise: Mutex<Answer>,
    /// By series, in the order of arrival.
    taken: watch::Sender<BTreeMap<String, Samples>>,
    requests: watch::Sender<usize>,
    lines: Mutex<Vec<String>>,
}

impl Receiver {
    pub(crate) async fn start(plan: impl IntoIterator<Item = Answer>) -> Self {
        let inner = Arc::new(Inner {
            plan: Mutex::new(plan.into_iter().collect()),
            otherwise: Mutex::new(Answer::Status(200)),
            taken: watch::Sender::default(),
            requests: watch::Sender::default(),
            lines: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(receive).with_state(inner.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url, inner }
    }

    pub(crate) fn always(&self, answer: Answer) {
        *self.inner.otherwise.lock() = answer;
    }

    /// What was taken so far.
    pub(crate) fn taken(&self) -> BTreeMap<String, Samples> {
        self.inner.taken.borrow().clone()
    }

    /// Waits until what was taken fits.
    pub(crate) async fn until(&self, what: &str, fits: impl FnMut(&BTreeMap<String, Samples>) -> bool) {
        let mut taken = self.inner.taken.subscribe();
        let waited = tokio::time::timeout(PATIENCE, taken.wait_for(fits)).await;
        assert!(waited.is_ok(), "never: {what}; taken: {:#?}", self.taken());
    }

    /// Waits for some number of requests, answered or not.
    pub(crate) async fn requests(&self, at_least: usize) {
        let mut requests = self.inner.requests.subscribe();
        tokio::time::timeout(PATIENCE, requests.wait_for(|n| *n >= at_least)).await.unwrap().unwrap();
    }

    /// Method, target and protocol headers of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.inner.lines.lock().clone()
    }
}

async fn receive(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or("-");
    inner.lines.lock().push(format!(
        "{} {} {} {} {} {}",
        parts.method,
        parts.uri,
        header("content-encoding"),
        header("content-type"),
        header("x-prometheus-remote-write-version"),
        header("x-extra"),
    ));
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    inner.requests.send_modify(|n| *n += 1);
    let answer = inner.plan.lock().pop_front().unwrap_or(*inner.otherwise.lock());
    match answer {
        Answer::Hang => std::future::pending().await,
        Answer::TryLater => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
        Answer::Status(status) => {
            if status < 300 {
                inner.taken.send_modify(|taken| take(taken, &body));
            }
            StatusCode::from_u16(status).unwrap().into_response()
        }
    }
}

fn take(taken: &mut BTreeMap<String, Samples>, body: &Bytes) {
    let bytes = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request = WriteRequest::decode(&bytes[..]).unwrap();
    for series in request.timeseries {
        let labels: Vec<_> = series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
        assert!(labels.is_sorted(), "labels must be sorted: {labels:?}");
        let samples = taken.entry(labels.join(" ")).or_default();
        for s in series.samples {
            let value = if is_stale(s.value) { "stale".to_owned() } else { s.value.to_string() };
            samples.push((s.timestamp, value));
        }
    }
}
