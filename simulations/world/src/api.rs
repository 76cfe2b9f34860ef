//! What can go wrong between a client and the API server.
//!
//! ```text
//!  kube::Client ─► Faulty ─► ApiService
//!                    │ before: refuse, hang, be late, ask for an older list
//!                    └ after:  hang or fail though it is written; watches cut, late, repeated, gone
//! ```

mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri, header};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use simulations_cluster::{ApiServer, ApiService};
use simulations_kernel::{Fault, Schedule, Stream, Streams, Trace, shrink, swarm};
use tokio::time::Instant;
use tower::{BoxError, Service};

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// One object is read.
    Get,
    /// Many are read.
    List,
    /// Changes are followed.
    Watch,
    /// One is made.
    Create,
    /// One is replaced.
    Update,
    /// One is changed.
    Patch,
    /// One is, or many are, deleted.
    Delete,
}

impl Verb {
    /// Whether nothing changes by it.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Which calls a fault is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// These verbs; all, if there are none.
    pub verbs: Vec<Verb>,
    /// This resource, with its subresource if that is meant (`leases`, `deployments/scale`); all, if it is empty.
    pub resource: String,
}

impl Scope {
    /// All calls.
    pub fn all() -> Self {
        Self::default()
    }

    /// Some verbs on a resource; "" for all resources.
    pub fn of(verbs: &[Verb], resource: &str) -> Self {
        Self { verbs: verbs.to_vec(), resource: resource.to_owned() }
    }

    fn covers(&self, call: &Called) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&call.verb))
            && (self.resource.is_empty() || self.resource == call.resource)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiFault {
    /// With which calls.
    pub scope: Scope,
    /// With how many of a thousand of these.
    pub permille: u64,
    /// What.
    pub kind: ApiFaultKind,
}

/// The kinds of what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiFaultKind {
    /// The call is refused and changes nothing.
    Refused {
        /// HTTP status: 409, 429, 500, 503.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// There is no connection.
    Unreachable,
    /// No answer comes, and nothing changes.
    Hangs,
    /// What is asked for happens, and no answer comes.
    HangsAfter,
    /// What is asked for happens, and the answer is an error.
    FailsAfter {
        /// HTTP status, such as 500 or 504.
        status: u16,
    },
    /// The call reaches the server late.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// A list is as it was some changes ago.
    StaleList {
        /// Revisions.
        behind: u64,
    },
    /// Watches end as this begins, and last no longer than this while it goes on.
    WatchCut {
        /// Milliseconds.
        every_ms: u64,
    },
    /// Watches tell of changes late.
    WatchLate {
        /// Milliseconds.
        ms: u64,
    },
    /// Watches tell of changes twice.
    WatchRepeats,
    /// Watches end with 410 Gone as this begins, and each that is begun meanwhile ends so after a time.
    WatchGone {
        /// Milliseconds.
        every_ms: u64,
    },
    /// No bookmarks come.
    NoBookmarks,
}

/// Every kind, and how it is drawn for an autoscaler.
pub const SOURCES: &[swarm::Source<ApiFault, ()>] = &[
    swarm::Source { name: "api-conflict", draw: |s, ()| refused(s, Scope::of(WRITES, ""), 409, false) },
    swarm::Source { name: "api-throttled", draw: |s, ()| refused(s, Scope::all(), 429, true) },
    swarm::Source { name: "api-error", draw: |s, ()| refused(s, Scope::all(), 500, false) },
    swarm::Source { name: "api-unavailable", draw: |s, ()| refused(s, Scope::all(), 503, false) },
    swarm::Source { name: "api-unreachable", draw: |s, ()| some(s, Scope::all(), ApiFaultKind::Unreachable) },
    swarm::Source { name: "api-hangs", draw: |s, ()| some(s, Scope::all(), ApiFaultKind::Hangs) },
    swarm::Source {
        name: "api-hangs-after",
        draw: |s, ()| some(s, Scope::of(WRITES, ""), ApiFaultKind::HangsAfter),
    },
    swarm::Source {
        name: "api-fails-after",
        draw: |s, ()| some(s, Scope::of(WRITES, ""), ApiFaultKind::FailsAfter { status: 504 }),
    },
    swarm::Source {
        name: "api-late",
        draw: |s, ()| {
            let ms = 10 + s.below(3000);
            some(s, Scope::all(), ApiFaultKind::Late { ms })
        },
    },
    swarm::Source {
        name: "lease-hangs",
        draw: |s, ()| some(s, Scope::of(&[], "leases"), ApiFaultKind::Hangs),
    },
    swarm::Source {
        name: "lease-refused",
        draw: |s, ()| refused(s, Scope::of(WRITES, "leases"), 500, false),
    },
    swarm::Source {
        name: "stale-list",
        draw: |s, ()| {
            let behind = 1 + s.below(50);
            some(s, Scope::of(&[Verb::List], ""), ApiFaultKind::StaleList { behind })
        },
    },
    swarm::Source {
        name: "watch-cut",
        draw: |s, ()| {
            let every_ms = 100 + s.below(10_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchCut { every_ms })
        },
    },
    swarm::Source {
        name: "watch-late",
        draw: |s, ()| {
            let ms = 100 + s.below(20_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchLate { ms })
        },
    },
    swarm::Source {
        name: "watch-repeats",
        draw: |s, ()| some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchRepeats),
    },
    swarm::Source {
        name: "watch-gone",
        draw: |s, ()| {
            let every_ms = 100 + s.below(10_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchGone { every_ms })
        },
    },
    swarm::Source {
        name: "no-bookmarks",
        draw: |s, ()| some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::NoBookmarks),
    },
];

const WRITES: &[Verb] = &[Verb::Create, Verb::Update, Verb::Patch, Verb::Delete];

fn some(stream: &mut Stream, scope: Scope, kind: ApiFaultKind) -> ApiFault {
    let permille = if stream.chance(0.3) { 1000 } else { 100 + stream.below(900) };
    ApiFault { scope, permille, kind }
}

fn refused(stream: &mut Stream, scope: Scope, status: u16, may_say_when: bool) -> ApiFault {
    let after = u32::try_from(1 + stream.below(10)).ok().filter(|_| may_say_when);
    let says = stream.chance(0.7);
    some(stream, scope, ApiFaultKind::Refused { status, retry_after_s: after.filter(|_| says) })
}

impl shrink::Kind for ApiFault {
    fn milder(&self) -> Vec<Self> {
        let with = |kind| Self { kind, ..self.clone() };
        let mut all = match &self.kind {
            ApiFaultKind::Late { ms } if *ms > 20 => vec![with(ApiFaultKind::Late { ms: ms / 2 })],
            ApiFaultKind::WatchLate { ms } if *ms > 200 => vec![with(ApiFaultKind::WatchLate { ms: ms / 2 })],
            ApiFaultKind::StaleList { behind } if *behind > 1 => {
                vec![with(ApiFaultKind::StaleList { behind: behind / 2 })]
            }
            _ => Vec::new(),
        };
        if self.permille > 200 {
            all.push(Self { permille: self.permille / 2, ..self.clone() });
        }
        all
    }
}

/// A call, as faults see it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Called {
    verb: Verb,
    /// With its subresource, as `deployments/scale`.
    resource: String,
}

impl Called {
    fn of(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|s| !s.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            other => other,
        };
        let rest = match rest {
            ["namespaces", _, rest @ ..] if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) => {
                rest
            }
            rest => rest,
        };
        let (resource, is_named) = match rest {
            [plural, _, subresource, ..] => (format!("{plural}/{subresource}"), true),
            [plural, _] => ((*plural).to_owned(), true),
            [plural] => ((*plural).to_owned(), false),
            [] => (String::new(), false),
        };
        let watches = || {
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .any(|(name, value)| name == "watch" && value != "false" && value != "0")
        };
        let verb = match *method {
            Method::GET if is_named => Verb::Get,
            Method::GET if watches() => Verb::Watch,
            Method::GET => Verb::List,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::DELETE => Verb::Delete,
            _ => Verb::Patch,
        };
        Self { verb, resource }
    }
}

/// The way of one actor to an API server, and what goes wrong on it.
#[derive(Debug, Clone)]
pub struct ApiFaults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    actor: String,
    schedule: Arc<Schedule<ApiFault>>,
    streams: Streams,
    begin: Instant,
    trace: Trace,
    server: ApiServer,
    /// By the fault's name: what its next call draws.
    luck: Mutex<BTreeMap<String, Stream>>,
}

impl ApiFaults {
    /// The way of an actor, of whose calls the trace tells, in a world that begins now. Two actors have each their own
    /// luck with the same schedule.
    pub fn new(
        server: &ApiServer,
        actor: &str,
        schedule: Arc<Schedule<ApiFault>>,
        streams: &Streams,
        trace: &Trace,
    ) -> Self {
        let shared = Shared {
            actor: actor.to_owned(),
            schedule,
            streams: *streams,
            begin: Instant::now(),
            trace: trace.clone(),
            server: server.clone(),
            luck: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The API server behind all of it, as a service.
    pub fn service(&self) -> Faulty {
        Faulty { shared: self.shared.clone(), inner: self.shared.server.service() }
    }

    /// A client that goes this way.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(), "default")
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The kinds that happen to a call now.
    fn befalling(&self, call: &Called) -> Vec<ApiFaultKind> {
        let hits = |fault: &&Fault<ApiFault>| fault.kind.scope.covers(call) && self.has_bad_luck(fault);
        self.schedule.on(self.now_ms()).filter(hits).map(|fault| fault.kind.kind.clone()).collect()
    }

    fn has_bad_luck(&self, fault: &Fault<ApiFault>) -> bool {
        if fault.kind.permille >= 1000 {
            return true;
        }
        let mut luck = self.luck.lock();
        if !luck.contains_key(&fault.name) {
            let stream = fault.streams(&self.streams).of(&self.actor).stream("calls");
            luck.insert(fault.name.clone(), stream);
        }
        luck.get_mut(&fault.name).is_some_and(|stream| stream.below(1000) < fault.kind.permille)
    }

    /// When a watch that begins now is cut, and whether it is told that its place is gone.
    fn cut(&self, call: &Called) -> Option<(Instant, bool)> {
        let now = self.now_ms();
        let cuts = self.schedule.faults.iter().filter(|f| f.kind.scope.covers(call)).filter_map(|fault| {
            let (every_ms, gone) = match fault.kind.kind {
                ApiFaultKind::WatchCut { every_ms } => (every_ms, false),
                ApiFaultKind::WatchGone { every_ms } => (every_ms, true),
                _ => return None,
            };
            if now < fault.from_ms {
                return Some((fault.from_ms, gone));
            }
            fault.is_on(now).then(|| (now.saturating_add(every_ms.max(1)), gone))
        });
        let (at_ms, gone) = cuts.min()?;
        Some((self.begin + Duration::from_millis(at_ms), gone))
    }
}

/// An API server on which things go wrong.
#[derive(Debug, Clone)]
pub struct Faulty {
    shared: Arc<Shared>,
    inner: ApiService,
}

impl Service<Request<kube::client::Body>> for Faulty {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let (shared, inner) = (self.shared.clone(), self.inner.clone());
        Box::pin(async move {
            let call = Called::of(request.method(), request.uri());
            let uri = request.uri().clone();
            let answer = answer(&shared, inner, &call, request).await;
            let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
            shared
                .trace
                .note(shared.now_ms(), format_args!("{} {:?} {uri} {status}", shared.actor, call.verb));
            answer
        })
    }
}

async fn answer(
    shared: &Arc<Shared>,
    mut inner: ApiService,
    call: &Called,
    mut request: Request<kube::client::Body>,
) -> Result<Response<Body>, BoxError> {
    let befalling = shared.befalling(call);
    for kind in &befalling {
        // Of what hangs, this is all that is ever told.
        shared.trace.note(shared.now_ms(), format_args!("{} {:?} {kind:?}", shared.actor, call.verb));
        match kind {
            ApiFaultKind::Late { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            ApiFaultKind::Refused { status, retry_after_s } => return Ok(refusal(*status, *retry_after_s)),
            ApiFaultKind::Unreachable => return Err("connection refused".into()),
            ApiFaultKind::Hangs => return std::future::pending().await,
            ApiFaultKind::StaleList { behind } => {
                let revision = shared.server.revision().saturating_sub(*behind);
                if let Some(older) = as_of(request.uri(), revision) {
                    *request.uri_mut() = older;
                }
            }
            _ => {}
        }
    }
    let response = match inner.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    for kind in &befalling {
        match kind {
            ApiFaultKind::HangsAfter => return std::future::pending().await,
            ApiFaultKind::FailsAfter { status } => return Ok(refusal(*status, None)),
            _ => {}
        }
    }
    if call.verb == Verb::Watch && response.status().is_success() {
        let (shared, call) = (shared.clone(), call.clone());
        let cut = shared.cut(&call);
        let now = move || shared.befalling(&call);
        return Ok(response.map(|body| watch::disturbed(body, cut, now)));
    }
    Ok(response)
}

/// The same list as of a revision, exactly; `None`: it is asked for in a way that says when.
fn as_of(uri: &Uri, revision: u64) -> Option<Uri> {
    let query = uri.query().unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let asked = |name: &str| pairs.iter().any(|(n, v)| n == name && !v.is_empty() && v != "0");
    if asked("continue") || asked("resourceVersion") {
        return None;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(n, _)| !n.starts_with("resourceVersion")));
    query.append_pair("resourceVersion", &revision.to_string()).append_pair("resourceVersionMatch", "Exact");
    format!("{}?{}", uri.path(), query.finish()).parse().ok()
}

fn refusal(status: u16, retry_after_s: Option<u32>) -> Response<Body> {
    let reason = match status {
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let mut body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "this is a world in which things go wrong", "reason": reason, "code": status});
    if let Some(seconds) = retry_after_s {
        body["details"] = serde_json::json!({"retryAfterSeconds": seconds});
    }
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

#[cfg(test)]
mod tests;
