//! Against an API server that refuses, or that makes other pods than it was asked for.

use std::convert::Infallible;

use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::Value;

use super::*;

/// As much of an API server as a ReplicaSet needs.
#[derive(Default)]
struct Fake {
    set: Value,
    pods: Vec<Value>,
    events: Vec<Value>,
    status: Value,
    /// How often a pod was asked for.
    asked: usize,
    /// What it says to that from then on.
    refuses_after: Option<usize>,
    /// It makes pods with these labels.
    relabels: Option<Value>,
}

const REFUSAL: &str = "pods \"web-\" is forbidden: exceeded quota";

impl Fake {
    fn answer(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        match (method, path.rsplit('/').next().unwrap_or_default()) {
            ("GET", "web") => (200, self.set.clone()),
            ("PATCH", "status") => {
                self.status = body["status"].clone();
                self.set["status"] = body["status"].clone();
                (200, self.set.clone())
            }
            ("GET", "pods") => (200, json!({"metadata": {}, "items": self.pods})),
            ("POST", "pods") => {
                self.asked += 1;
                if self.refuses_after.is_some_and(|n| self.asked > n) {
                    return (
                        403,
                        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": REFUSAL, "reason": "Forbidden", "code": 403}),
                    );
                }
                let mut pod = body;
                pod["metadata"]["name"] = json!(format!("web-{}", self.asked));
                pod["metadata"]["uid"] = json!(format!("u{}", self.asked));
                if let Some(labels) = &self.relabels {
                    pod["metadata"]["labels"] = labels.clone();
                }
                self.pods.push(pod.clone());
                (201, pod)
            }
            // Somebody lets go of a pod.
            ("PATCH", pod) if path.contains("/pods/") => {
                let found = self.pods.iter_mut().find(|p| p["metadata"]["name"] == pod);
                let Some(found) = found else { return (404, json!({})) };
                found["metadata"]["ownerReferences"] = body["metadata"]["ownerReferences"].clone();
                (200, found.clone())
            }
            ("POST" | "PATCH", _) if path.contains("/events") => {
                self.events.push(body.clone());
                (201, body)
            }
            _ => (
                404,
                json!({"kind": "Status", "status": "Failure", "message": path, "reason": "NotFound", "code": 404}),
            ),
        }
    }

    fn context(fake: &Arc<Mutex<Self>>) -> Arc<Context> {
        let fake = fake.clone();
        let client = Client::new(
            tower::service_fn(move |request: http::Request<Body>| {
                let fake = fake.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let bytes = body.collect().await.unwrap().to_bytes();
                    let body = serde_json::from_slice(&bytes).unwrap_or_default();
                    let (code, answer) = fake.lock().answer(parts.method.as_str(), parts.uri.path(), body);
                    let answer = Body::from(answer.to_string().into_bytes());
                    Ok::<_, Infallible>(http::Response::builder().status(code).body(answer).unwrap())
                }
            }),
            "default",
        );
        Arc::new(Context::through(client))
    }
}

fn set(replicas: u32, selector: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "set", "generation": 1},
        "spec": {"replicas": replicas, "selector": selector, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}}})
}

/// Reconciles so often, as changes of what it makes would bring about.
async fn reconciled(fake: Fake, times: usize) -> (Arc<Mutex<Fake>>, Vec<Next>) {
    let seen: ReplicaSet = serde_json::from_value(fake.set.clone()).unwrap();
    let seen = Key::of(&seen);
    let fake = Arc::new(Mutex::new(fake));
    let context = Fake::context(&fake);
    let mut actions = Vec::new();
    for _ in 0..times {
        actions.push(reconcile(seen.clone(), context.clone()).await.unwrap());
    }
    (fake, actions)
}

fn matching() -> Value {
    json!({"matchLabels": {"app": "web"}})
}

#[tokio::test]
async fn a_refused_pod_is_asked_for_once_and_told() {
    let fake = Fake { set: set(100, matching()), refuses_after: Some(0), ..Fake::default() };
    let (fake, actions) = reconciled(fake, 1).await;
    assert_eq!(fake.lock().asked, 1, "not a hundred times");
    let event = fake.lock().events[0].clone();
    assert_eq!((&event["reason"], &event["type"]), (&json!("FailedCreate"), &json!("Warning")));
    assert!(event["note"].as_str().unwrap().contains(REFUSAL), "{event}");
    let condition = fake.lock().status["conditions"][0].clone();
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"], &condition["message"]),
        (&json!("ReplicaFailure"), &json!("True"), &json!("FailedCreate"), &json!(REFUSAL))
    );
    assert_eq!(actions, [Next::After(Duration::from_millis(500))]);
    // When it is granted, nothing of that is left.
    fake.lock().refuses_after = None;
    let seen: ReplicaSet = serde_json::from_value(fake.lock().set.clone()).unwrap();
    let seen = Key::of(&seen);
    reconcile(seen, Fake::context(&fake)).await.unwrap();
    let fake = fake.lock();
    assert_eq!((fake.pods.len(), &fake.status["conditions"]), (100, &Value::Null));
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_asked_for_less_and_less_often() {
    let fake = Fake { set: set(9, matching()), refuses_after: Some(3), ..Fake::default() };
    let (fake, actions) = reconciled(fake, 8).await;
    // One, then two of which none is refused, then four of which all are; then one each time.
    let fake = fake.lock();
    assert_eq!((fake.pods.len(), fake.asked), (3, 3 + 4 + 7));
    let pauses = [500, 1000, 2000, 4000, 8000, 16_000, 16_000, 16_000];
    assert_eq!(actions, pauses.map(|ms| Next::After(Duration::from_millis(ms))));
}

#[tokio::test]
async fn no_selector_makes_pods_without_end() {
    let never = [
        json!({"matchLabels": {"app": "other"}}),
        json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
        json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}),
        json!({"matchExpressions": [{"key": "app", "operator": "Nonsense"}]}),
    ];
    for selector in never {
        let (fake, _) = reconciled(Fake { set: set(3, selector.clone()), ..Fake::default() }, 20).await;
        assert_eq!(fake.lock().asked, 0, "{selector}");
        assert_eq!(fake.lock().status["conditions"][0]["type"], "ReplicaFailure", "{selector}");
    }
    // Nor does an API server that makes others than it was asked for.
    let fake = Fake { set: set(3, matching()), relabels: Some(json!({"app": "x"})), ..Fake::default() };
    let (fake, _) = reconciled(fake, 20).await;
    assert!(fake.lock().pods.len() <= 3, "{}", fake.lock().pods.len());
}

#[tokio::test]
async fn a_pod_that_somebody_relabels_is_let_go_and_replaced() {
    let (fake, _) = reconciled(Fake { set: set(2, matching()), ..Fake::default() }, 1).await;
    fake.lock().pods[0]["metadata"]["labels"] = json!({"app": "debug"});
    let seen: ReplicaSet = serde_json::from_value(fake.lock().set.clone()).unwrap();
    let seen = Key::of(&seen);
    for _ in 0..3 {
        reconcile(seen.clone(), Fake::context(&fake)).await.unwrap();
    }
    let owned: Vec<bool> = fake
        .lock()
        .pods
        .iter()
        .map(|p| p["metadata"]["ownerReferences"].as_array().is_some_and(|o| !o.is_empty()))
        .collect();
    assert_eq!(owned, [false, true, true]);
}
