//! Just enough of a Kubernetes API server: objects by path, resourceVersions, conflicts, watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

pub(crate) const POLICIES: &str =
    "/apis/autoscaling.gauntlet.dev/v1alpha1/namespaces/default/scalingpolicies";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
pub(crate) const STATEFULSETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
/// A kind whose scale only the API server knows.
pub(crate) const WIDGETS: &str = "/apis/example.dev/v1/namespaces/default/widgets";
pub(crate) const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const SECRETS: &str = "/api/v1/namespaces/default/secrets";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const POD_METRICS: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
pub(crate) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/gauntlet-autoscaler";
pub(crate) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

/// One request that changed something, or tried to.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub path: String,
    pub body: Value,
}

/// Decides about a write before it happens: `Some` is the answer instead.
type Hook = Box<dyn FnMut(&Method, &str) -> Option<StatusCode> + Send>;

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<Write>,
    reads: BTreeMap<String, u64>,
    hook: Option<Hook>,
    /// The same for reads of one path.
    reads_fail: BTreeMap<String, StatusCode>,
    /// Workloads are served without a resourceVersion.
    versionless: bool,
    /// What watches tell: version, path, event.
    log: Vec<(u64, String, Value)>,
}

/// The server.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    /// The length of the log.
    logged: watch::Sender<usize>,
    pub(crate) url: String,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let logged = watch::Sender::new(0);
        let api = Self { inner: Arc::default(), changed: Arc::default(), logged, url };
        let router = Router::new().fallback(handle).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    /// Creates or replaces an object from outside.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut inner = self.inner.lock();
        let kind = if inner.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        let (name, uid) = (path.rsplit('/').next().unwrap().to_owned(), format!("uid-{path}"));
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("default");
        object["metadata"]["uid"] = json!(uid);
        self.store(&mut inner, path, object, kind);
    }

    pub(crate) fn delete(&self, path: &str) {
        let mut inner = self.inner.lock();
        let mut object = inner.objects.remove(path).unwrap();
        inner.version += 1;
        object["metadata"]["resourceVersion"] = json!(inner.version.to_string());
        self.log(&mut inner, path, json!({"type": "DELETED", "object": object}));
    }

    /// Deletes as an API server does: what has finalizers is marked, and goes with the last of them.
    pub(crate) fn request_deletion(&self, path: &str) {
        let mut object = self.get(path).unwrap();
        if has_finalizers(&object) {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-30T16:43:00Z");
            self.store(&mut self.inner.lock(), path, object, "MODIFIED");
        } else {
            self.delete(path);
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.inner.lock().objects.get(path).cloned()
    }

    pub(crate) fn writes_to(&self, path: &str) -> Vec<Write> {
        self.inner.lock().writes.iter().filter(|w| w.path == path).cloned().collect()
    }

    /// Paths written, in order, without statuses, events and leases.
    pub(crate) fn order(&self) -> Vec<String> {
        let noise = |w: &&Write| !["/status", "/events", "/leases"].iter().any(|n| w.path.contains(n));
        self.inner.lock().writes.iter().filter(noise).map(|w| w.path.clone()).collect()
    }

    pub(crate) fn reads_of(&self, path: &str) -> u64 {
        self.inner.lock().reads.get(path).copied().unwrap_or(0)
    }

    pub(crate) fn on_write(&self, hook: impl FnMut(&Method, &str) -> Option<StatusCode> + Send + 'static) {
        self.inner.lock().hook = Some(Box::new(hook));
    }

    /// Reads of this path fail so, or (`None`) no longer.
    pub(crate) fn on_read(&self, path: &str, fails: Option<StatusCode>) {
        let mut inner = self.inner.lock();
        match fails {
            Some(status) => drop(inner.reads_fail.insert(path.to_owned(), status)),
            None => drop(inner.reads_fail.remove(path)),
        }
    }

    pub(crate) fn without_versions_of_scales(&self) {
        self.inner.lock().versionless = true;
    }

    /// Waits for something to be true; each request is a reason to look again.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let wait = async {
            loop {
                let notified = self.changed.notified();
                if let Some(found) = look(self) {
                    return found;
                }
                notified.await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), wait).await {
            Ok(found) => found,
            Err(_) => panic!("never: {what}; objects: {:#?}", self.inner.lock().objects),
        }
    }

    /// A policy's condition as `status reason: message`.
    pub(crate) fn condition(&self, policy: &str, kind: &str) -> Option<String> {
        let object = self.get(&format!("{POLICIES}/{policy}"))?;
        let conditions = object["status"]["conditions"].as_array()?.clone();
        let c = conditions.into_iter().find(|c| c["type"] == kind)?;
        Some(format!("{} {}: {}", c["status"].as_str()?, c["reason"].as_str()?, c["message"].as_str()?))
    }

    pub(crate) async fn until_condition(&self, policy: &str, kind: &str, starts: &str) -> String {
        let what = format!("{policy} {kind} {starts}");
        self.until(&what, |api| api.condition(policy, kind).filter(|c| c.starts_with(starts))).await
    }

    fn store(&self, inner: &mut Inner, path: &str, mut object: Value, kind: &str) -> Value {
        inner.version += 1;
        object["metadata"]["resourceVersion"] = json!(inner.version.to_string());
        inner.objects.insert(path.to_owned(), object.clone());
        self.log(inner, path, json!({"type": kind, "object": object}));
        self.changed.notify_waiters();
        object
    }

    fn log(&self, inner: &mut Inner, path: &str, event: Value) {
        inner.log.push((inner.version, path.to_owned(), event));
        self.logged.send_replace(inner.log.len());
    }

    fn read(&self, path: &str, query: &str) -> Response {
        let mut inner = self.inner.lock();
        *inner.reads.entry(path.to_owned()).or_default() += 1;
        self.changed.notify_waiters();
        if let Some(status) = inner.reads_fail.get(path) {
            return refuse(*status, "not now");
        }
        if let Some(object) = inner.objects.get(path) {
            return Json(object).into_response();
        }
        if let Some(object) = path.strip_suffix("/scale").and_then(|owner| inner.objects.get(owner)) {
            return Json(scale(object)).into_response();
        }
        if path == "/apis/example.dev/v1" {
            let resource = json!({"name": "widgets", "singularName": "widget", "kind": "Widget", "namespaced": true, "verbs": ["get", "list", "watch"]});
            return Json(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "example.dev/v1", "resources": [resource]})).into_response();
        }
        if let Some(prefix) = collection(path) {
            let found = inner.objects.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
            let versionless = inner.versionless && path.contains("/apps/");
            let items: Vec<Value> = found
                .filter(|(p, _)| is_asked_for(p, query))
                .map(|(_, o)| {
                    let mut object = o.clone();
                    if versionless {
                        object["metadata"]["resourceVersion"] = Value::Null;
                    }
                    object
                })
                .collect();
            let measures = path.contains("/metrics.k8s.io/");
            if measures && items.is_empty() {
                // Nobody serves it.
                return missing();
            }
            let kind = if measures { "PodMetricsList" } else { "List" };
            let list = json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": inner.version.to_string()}, "items": items});
            return Json(list).into_response();
        }
        missing()
    }

    fn write(&self, method: &Method, path: &str, body: Value) -> Response {
        let mut inner = self.inner.lock();
        inner.writes.push(Write { path: path.to_owned(), body: body.clone() });
        self.changed.notify_waiters();
        if let Some(status) = inner.hook.as_mut().and_then(|hook| hook(method, path)) {
            return refuse(status, "the hook said no");
        }
        if *method == Method::POST {
            let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
            if inner.objects.contains_key(&path) {
                return refuse(StatusCode::CONFLICT, "it exists already");
            }
            return Json(self.store(&mut inner, &path, body, "ADDED")).into_response();
        }
        let owner = path.strip_suffix("/scale").or_else(|| path.strip_suffix("/status")).unwrap_or(path);
        let Some(mut object) = inner.objects.get(owner).cloned() else { return missing() };
        let wanted = body["metadata"]["resourceVersion"].as_str();
        let uid = body["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty());
        let is_other = uid.is_some() && uid != object["metadata"]["uid"].as_str();
        if is_other || (wanted.is_some() && wanted != object["metadata"]["resourceVersion"].as_str()) {
            return refuse(StatusCode::CONFLICT, "the object has been modified");
        }
        if path.ends_with("/scale") {
            object["spec"]["replicas"] = body["spec"]["replicas"].clone();
            object["status"]["replicas"] = body["spec"]["replicas"].clone();
        } else if path.ends_with("/status") {
            let mut status = body["status"].clone();
            // A merge patch removes what is null.
            status.as_object_mut().unwrap().retain(|_, v| !v.is_null());
            object["status"] = status;
        } else if *method == Method::PATCH {
            merge(&mut object, &body);
            if object["metadata"]["deletionTimestamp"].is_string() && !has_finalizers(&object) {
                drop(inner);
                self.delete(owner);
                self.changed.notify_waiters();
                return Json(object).into_response();
            }
        } else {
            object = body;
        }
        let stored = self.store(&mut inner, owner, object, "MODIFIED");
        Json(if path.ends_with("/scale") { scale(&stored) } else { stored }).into_response()
    }

    /// What changed since a version, and goes on changing.
    fn watch(&self, path: &str, query: &str) -> Response {
        let Some(prefix) = collection(path) else { return missing() };
        let since: u64 = parameter(query, "resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
        let (api, logged, query) = (self.clone(), self.logged.subscribe(), query.to_owned());
        let next = (api, logged, query, prefix, 0_usize);
        let lines =
            futures::stream::unfold(next, move |(api, mut logged, query, prefix, mut at)| async move {
                loop {
                    let found = {
                        let inner = api.inner.lock();
                        let is_new = |(version, p, _): &&(u64, String, Value)| {
                            *version > since && p.starts_with(&prefix) && is_asked_for(p, &query)
                        };
                        let found = inner.log.iter().enumerate().skip(at).find(|(_, e)| is_new(e));
                        let found = found.map(|(i, (_, _, event))| (i + 1, event.to_string()));
                        at = found.as_ref().map_or(inner.log.len(), |(next, _)| *next);
                        found
                    };
                    if let Some((_, event)) = found {
                        let line = Ok::<_, std::io::Error>(format!("{event}\n"));
                        return Some((line, (api, logged, query, prefix, at)));
                    }
                    logged.changed().await.ok()?;
                }
            });
        Body::from_stream(lines).into_response()
    }
}

/// Where the objects of a collection are; a namespace that is not named is the only one there is.
fn collection(path: &str) -> Option<String> {
    let (parent, plural) = path.rsplit_once('/')?;
    let known = [
        "scalingpolicies",
        "deployments",
        "statefulsets",
        "configmaps",
        "secrets",
        "widgets",
        "pods",
        "horizontalpodautoscalers",
    ];
    if !known.contains(&plural) {
        return None;
    }
    Some(if parent.ends_with("/namespaces/default") {
        format!("{path}/")
    } else {
        format!("{parent}/namespaces/default/{plural}/")
    })
}

fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// By a field selector, which names an object.
fn is_asked_for(path: &str, query: &str) -> bool {
    let Some(selector) = parameter(query, "fieldSelector") else { return true };
    let name = selector.trim_start_matches("metadata.name").trim_start_matches("%3D").trim_start_matches('=');
    path.rsplit('/').next() == Some(name)
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            into.as_object_mut().map(|o| o.remove(key));
        } else {
            merge(&mut into[key], value);
        }
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if parts.method == Method::GET {
        let query = parts.uri.query().unwrap_or_default();
        let watches = query.contains("watch=true");
        return if watches { api.watch(&path, query) } else { api.read(&path, query) };
    }
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    api.write(&parts.method, &path, serde_json::from_slice(&bytes).unwrap())
}

fn scale(object: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": object["metadata"],
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"], "selector": "app=x"},
    })
}

fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, "not found")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let code = status.as_u16();
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "Forbidden",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
                      "reason": reason, "code": code});
    (status, Json(body)).into_response()
}
