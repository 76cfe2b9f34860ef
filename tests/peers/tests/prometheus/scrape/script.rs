//! A target that shows each of its scrapers the same pages in the same order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use peers::Address;
use peers::traffic::now_ms;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug)]
enum Page {
    Shows(&'static str, String),
    Fails,
    Hangs,
}

/// What is shown, page by page, and what goes on being shown.
#[derive(Debug)]
pub(crate) struct Script {
    pages: Vec<Page>,
    rest: Page,
}

/// A page as most targets have it, its values moving with `n`.
fn plain(n: i64) -> String {
    format!(
        "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{{code=\"200\"}} {}\n\
         requests_total{{code=\"500\"}} {n}\n# TYPE temperature gauge\ntemperature{{room=\"a\"}} -{n}.5\n\
         # TYPE latency histogram\nlatency_bucket{{le=\"0.1\"}} {n}\nlatency_bucket{{le=\"1\"}} {n}\n\
         latency_bucket{{le=\"+Inf\"}} {n}\nlatency_sum {n}\nlatency_count {n}\n\
         # TYPE quantiles summary\nquantiles{{quantile=\"0.50\"}} {n}\nquantiles_sum {n}\nquantiles_count {n}\n\
         conflict{{job=\"mine\",instance=\"here\",region=\"us\",exported_region=\"eu\"}} 1\n\
         dropped_by_rule 1\nold_name{{secret=\"x\"}} {n}\n",
        n * 10
    )
}

impl Script {
    pub(crate) fn new() -> Self {
        let now = now_ms();
        let text = |body: String| Page::Shows(TEXT, body);
        let plus = |n: i64, more: &str| text(plain(n) + more);
        let wrong = |first: &str| text(first.to_owned() + &plain(1));
        let pages = vec![
            plus(1, ""),
            plus(2, ""),
            // A series comes, goes, comes back.
            plus(3, "flapping 1\n"),
            plus(4, ""),
            plus(5, "flapping 2\n"),
            // The same series twice.
            plus(6, "twice 1\ntwice 2\n"),
            plus(7, "twice 3\ntwice 3\n"),
            // Times of its own: forward, the same again with another value, backward, forward, gone.
            plus(8, &format!("timed 1 {}\n", now + 1000)),
            plus(9, &format!("timed 2 {}\n", now + 1000)),
            plus(10, &format!("timed 3 {}\n", now + 500)),
            plus(11, &format!("timed 4 {}\n", now + 2000)),
            plus(12, ""),
            // Everything that a number and a label may look like.
            plus(
                13,
                "odd NaN\nodd{a=\"b\"} +Inf\nodd{a=\"c\"} -Inf\nodd{a=\"d\"} 1e-300\nodd{a=\"e\",} 0.10\n",
            ),
            plus(14, "spaced  {  a = \"b\" , c=\"d\" }   1\n\n  \n# a comment\n#\n"),
            plus(15, "escaped{a=\"q\\\"b\\\\c\\nd\",utf=\"ümläut\",empty=\"\"} 1\n"),
            plus(16, "{\"dotted.name\",\"la.bel\"=\"x\"} 1\n"),
            plus(17, "no_newline_at_the_end 1").trimmed(),
            // Wrong pages. What is wrong comes first: Prometheus goes on with series that it read before.
            wrong("half{a=\"b\" 1\n"),
            plus(19, ""),
            wrong("number 1.2.3\n"),
            wrong("1name 1\n"),
            plus(22, ""),
            wrong("name{1label=\"x\"} 1\n"),
            plus(24, "same_label{a=\"1\",b=\"2\"} 1\n"),
            wrong("same_label{a=\"1\",a=\"2\"} 1\n"),
            wrong("hex 0x1p-2\n"),
            wrong("underscore 1_000\n"),
            plus(28, ""),
            text(String::new()),
            plus(30, ""),
            Page::Fails,
            plus(32, ""),
            Page::Hangs,
            plus(34, ""),
            Page::Shows("text/html", plain(35)),
            plus(36, ""),
            // The other format: right, cut off, with a unit that is not the name's, right.
            Page::Shows(OPEN_METRICS, open_metrics(37, "# EOF\n")),
            Page::Shows(OPEN_METRICS, "# TYPE nothing gauge\n".into()),
            Page::Shows(OPEN_METRICS, "# TYPE bytes gauge\n# UNIT bytes bytes\nbytes 1\n# EOF\n".into()),
            Page::Shows(OPEN_METRICS, open_metrics(39, "# EOF\n")),
        ];
        Self { pages, rest: plus(100, "") }
    }

    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }
}

impl Page {
    fn trimmed(self) -> Self {
        match self {
            Self::Shows(kind, body) => Self::Shows(kind, body.trim_end().to_owned()),
            other => other,
        }
    }
}

fn open_metrics(n: i64, end: &str) -> String {
    format!(
        "# TYPE requests counter\n# HELP requests Requests.\nrequests_total{{code=\"200\"}} {n} # {{trace_id=\"x\"}} 1\n\
         requests_created{{code=\"200\"}} 1.5\n# TYPE room info\nroom_info{{a=\"b\"}} 1\n\
         # TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes {n}\n{end}"
    )
}

/// The target.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    state: Arc<Shown>,
    _at: Address,
}

#[derive(Debug)]
struct Shown {
    script: Script,
    seen: Mutex<BTreeMap<String, usize>>,
}

impl Target {
    pub(crate) async fn start(script: Script) -> Self {
        let at = Address::claim();
        let address = at.port(8080);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let state = Arc::new(Shown { script, seen: Mutex::default() });
        let app = Router::new().route("/metrics", get(show)).with_state(state.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { address, state, _at: at }
    }

    /// How many pages each scraper asked for.
    pub(crate) fn seen(&self) -> BTreeMap<String, usize> {
        self.state.seen.lock().clone()
    }
}

async fn show(State(state): State<Arc<Shown>>, headers: HeaderMap) -> Response {
    let who = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let page = {
        let mut seen = state.seen.lock();
        let n = seen.entry(who.to_owned()).or_default();
        *n += 1;
        state.script.pages.get(*n - 1).unwrap_or(&state.script.rest).clone()
    };
    match page {
        Page::Shows(kind, body) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Page::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Page::Hangs => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
    }
}
