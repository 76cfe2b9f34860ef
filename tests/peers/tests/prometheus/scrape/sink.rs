//! A remote-write receiver that keeps what it took, by who sent it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use peers::Address;
use prost::Message;
use thanos_model::is_stale;
use thanos_storepb::prompb::WriteRequest;

/// A sample as it came.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) labels: String,
    pub(crate) t_ms: i64,
    /// `stale`, or the number.
    pub(crate) value: String,
}

type Taken = Arc<Mutex<BTreeMap<String, Vec<Point>>>>;

pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Taken,
    _at: Address,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let at = Address::claim();
        let listener = tokio::net::TcpListener::bind(at.port(80)).await.unwrap();
        let taken = Taken::default();
        let app = Router::new().route("/{who}", post(take)).with_state(taken.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url: at.url(80), taken, _at: at }
    }

    pub(crate) fn points(&self, who: &str) -> Vec<Point> {
        self.taken.lock().get(who).cloned().unwrap_or_default()
    }
}

async fn take(State(taken): State<Taken>, Path(who): Path<String>, body: Bytes) -> StatusCode {
    let bytes = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let request = WriteRequest::decode(bytes.as_slice()).unwrap();
    let mut taken = taken.lock();
    let points = taken.entry(who).or_default();
    for series in request.timeseries {
        let name = series.labels.iter().find(|l| l.name == "__name__").map(|l| l.value.clone());
        let labels: Vec<String> = series.labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
        points.extend(series.samples.iter().map(|s| Point {
            name: name.clone().unwrap_or_default(),
            labels: labels.join(","),
            t_ms: s.timestamp,
            value: if is_stale(s.value) { "stale".into() } else { s.value.to_string() },
        }));
    }
    StatusCode::NO_CONTENT
}
