//! A querier that knows all answers: it reads of a query for whom it is, and which parts it asks for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::header::CONTENT_TYPE;

use crate::Outcome;

/// Requests a second that one replica is meant to have.
pub(crate) const PER_REPLICA: f64 = 50.0;
/// What those that do not move have.
pub(crate) const STANDS_AT: f64 = 390.0;

/// What comes down on every workload.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policies: usize,
    changing: usize,
    answered: AtomicU64,
}

impl Load {
    pub(crate) fn new(policies: usize, changing: usize) -> Self {
        Self(Arc::new(Inner { policies, changing, answered: AtomicU64::new(0) }))
    }

    pub(crate) fn policies(&self) -> usize {
        self.0.policies
    }

    pub(crate) fn moves(&self, n: usize) -> bool {
        n.is_multiple_of(self.0.changing)
    }

    /// Requests a second of a workload at a time, in seconds: a wave of a minute, each with a phase of its own.
    fn of(&self, n: usize, seconds: f64) -> f64 {
        let phase = (n % 997) as f64 / 997.0;
        if self.moves(n) {
            400.0 + 150.0 * (std::f64::consts::TAU * (seconds / 60.0 + phase)).sin()
        } else {
            STANDS_AT
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.0.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn forget_latencies(&self) {
        self.0.answered.store(0, Ordering::Relaxed);
    }
}

/// Serves it; its address.
pub(crate) async fn serve(load: Load) -> Outcome<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/api/v1/query", any(answer)).with_state(load);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn answer(State(load): State<Load>, body: String) -> ([(http::HeaderName, &'static str); 1], String) {
    load.0.answered.fetch_add(1, Ordering::Relaxed);
    ([(CONTENT_TYPE, "application/json")], said(&load, &body))
}

/// The body is a form; what is looked for in it has no letter that a form spells otherwise.
fn said(load: &Load, body: &str) -> String {
    let after = |mark: &str| body.split_once(mark).map_or("", |(_, rest)| rest);
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let n: usize = digits(after("web-")).parse().unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    // Scraped each second; seen a third of a second later.
    let newest = (now - 0.3).floor();
    let mut out = String::from(r#"{"status":"success","data":{"resultType":"vector","result":["#);
    // Writing into memory cannot fail.
    let _ = write!(out, r#"{{"metric":{{"__part__":"now"}},"value":[{now:.3},"{}"]}}"#, load.of(n, now));
    for part in ["new0", "old0"] {
        if body.contains(part) {
            let _ = write!(
                out,
                r#",{{"metric":{{"__part__":"{part}","cluster":"east"}},"value":[{now:.3},"{newest}"]}}"#
            );
        }
    }
    // As many series as ever where a window begins.
    for part in ["beg0-0", "beg1-0"] {
        if body.contains(part) {
            let _ = write!(
                out,
                r#",{{"metric":{{"__part__":"{part}","cluster":"east"}},"value":[{now:.3},"1"]}}"#
            );
        }
    }
    if body.contains("%22at%22") {
        let _ =
            write!(out, r#",{{"metric":{{"__part__":"at"}},"value":[{now:.3},"{}"]}}"#, load.of(n, newest));
    }
    out.push_str("]}}");
    out
}
