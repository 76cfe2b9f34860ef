//! What can go wrong between a client and the API server.
//!
//! ```text
//!  kube::Client ─► Faulty ─► ApiService
//!                    │ before: refuse, hang, be late, ask for an older list
//!                    └ after:  hang or fail though it is written; watches cut, late, repeated, gone
//! ```

pub mod fault;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri, header};
use parking_lot::Mutex;
use simulations_cluster::{ApiServer, ApiService};
use simulations_kernel::{Fault, Schedule, Stream, Streams, Trace};
use tokio::time::Instant;
use tower::{BoxError, Service};

use crate::scaled::{Journal, Scalable, Scaled};
use fault::Called;
pub use fault::{ApiFault, ApiFaultKind, Scope, Verb};

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
    /// Where changes of replicas are noted, and as which cluster's.
    journal: (usize, Journal),
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
            journal: (0, Journal::default()),
            server: server.clone(),
            luck: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The same way in a world that began at a time, of which changes of replicas are noted as a cluster's. For one that
    /// nobody uses yet.
    #[must_use]
    pub(crate) fn noted(mut self, begin: Instant, cluster: usize, journal: &Journal) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.begin = begin;
            shared.journal = (cluster, journal.clone());
        }
        self
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
        let hits = |fault: &&Fault<ApiFault>| {
            let scope = &fault.kind.scope;
            scope.is_of(&self.actor) && scope.covers(call) && self.has_bad_luck(fault)
        };
        self.schedule.on(self.now_ms()).filter(hits).map(|fault| fault.kind.kind.clone()).collect()
    }

    /// Notes a change of replicas, if there was one. Nobody else ran in between.
    fn scaled(&self, sent: Sent, object: Scalable, from: i32) {
        let Some(to) = object.replicas(&self.server).filter(|to| *to != from) else { return };
        let (cluster, journal) = &self.journal;
        self.trace.note(self.now_ms(), format_args!("{} scales {} {from} {to}", self.actor, object.name));
        let at_ms = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        let (cluster, actor, Sent { at_ms: sent_ms, holder }) = (*cluster, self.actor.clone(), sent);
        journal.push(Scaled { sent_ms, at_ms, cluster, actor, name: object.name, from, to, holder });
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
        let covers = |scope: &Scope| scope.is_of(&self.actor) && scope.covers(call);
        let cuts = self.schedule.faults.iter().filter(|f| covers(&f.kind.scope)).filter_map(|fault| {
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

/// What is known of a call that may scale something as it is sent.
struct Sent {
    at_ms: i64,
    holder: Option<String>,
}

/// The call reaches the server.
async fn arrive(
    shared: &Shared,
    mut inner: ApiService,
    sent: Option<(Sent, Scalable)>,
    request: Request<kube::client::Body>,
) -> Response<Body> {
    let before = sent.as_ref().and_then(|(_, object)| object.replicas(&shared.server));
    let response = match inner.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let (Some((sent, object)), Some(before)) = (sent, before) {
        shared.scaled(sent, object, before);
    }
    response
}

async fn answer(
    shared: &Arc<Shared>,
    inner: ApiService,
    call: &Called,
    mut request: Request<kube::client::Body>,
) -> Result<Response<Body>, BoxError> {
    let scalable = if call.verb.only_reads() { None } else { Scalable::of(request.uri()) };
    let sent = scalable.map(|object| {
        let at_ms = i64::try_from(shared.now_ms()).unwrap_or(i64::MAX);
        (Sent { at_ms, holder: shared.journal.1.holder(&shared.server) }, object)
    });
    let befalling = shared.befalling(call);
    let mut late = Duration::ZERO;
    for kind in &befalling {
        // Of what hangs, this is all that is ever told.
        shared.trace.note(shared.now_ms(), format_args!("{} {:?} {kind:?}", shared.actor, call.verb));
        match kind {
            ApiFaultKind::Late { ms } => late = late.saturating_add(Duration::from_millis(*ms)),
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
    let response = if late.is_zero() {
        arrive(shared, inner, sent, request).await
    } else {
        // What is on its way arrives, even if nobody waits for an answer any more.
        let shared = shared.clone();
        let arrived = tokio::spawn(async move {
            tokio::time::sleep(late).await;
            arrive(&shared, inner, sent, request).await
        });
        arrived.await.map_err(BoxError::from)?
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
