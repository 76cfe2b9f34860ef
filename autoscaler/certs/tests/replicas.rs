//! Several replicas keep one Secret: whatever races they lose, what each shows is vouched for by what was published.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::sync::Arc;
use std::time::Duration;

use autoscaler_certs::{Certificate, Keeper, Lifetimes, Publisher, Reader, SecretStore, Served};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

const NAME: &str = "webhook.gauntlet-system.svc";
const SECRET: &str = "/api/v1/namespaces/gauntlet-system/secrets";

/// An API server that has one Secret and one webhook configuration, and takes no write of an old version.
#[derive(Default)]
struct Fake {
    secret: Option<Value>,
    reader: Value,
    version: u64,
    writes: usize,
    conflicts: usize,
    away: bool,
}

impl Fake {
    fn new() -> Self {
        let reader = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "gauntlet-autoscaler", "resourceVersion": "1"},
            "webhooks": [{"name": "a", "clientConfig": {"url": "https://x"}, "newer": true}],
        });
        Self { reader, version: 1, ..Self::default() }
    }

    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let status = |code: u16, reason: &str| {
            (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
            )
        };
        if self.away {
            return status(503, "away");
        }
        let is_secret = path.starts_with(SECRET);
        let current = if is_secret { self.secret.clone() } else { Some(self.reader.clone()) };
        if *method == Method::GET {
            return current.map_or_else(|| status(404, "NotFound"), |object| (200, object));
        }
        let mut object: Value = serde_json::from_slice(body).unwrap();
        let expected = current.as_ref().map(|c| c["metadata"]["resourceVersion"].clone());
        let is_create = *method == Method::POST;
        if is_create && current.is_some()
            || !is_create && expected != Some(object["metadata"]["resourceVersion"].clone())
        {
            self.conflicts += 1;
            return status(409, "Conflict");
        }
        self.version += 1;
        self.writes += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        *if is_secret { self.secret.insert(Value::Null) } else { &mut self.reader } = object.clone();
        (200, object)
    }

    /// What API servers trust now.
    fn trusted(&self) -> Vec<Certificate> {
        let base64 = self.reader["webhooks"][0]["clientConfig"]["caBundle"].clone();
        let pem: k8s_openapi::ByteString = serde_json::from_value(base64).unwrap();
        Certificate::read_all("caBundle", &pem.0).unwrap()
    }
}

fn client(fake: &Arc<Mutex<Fake>>) -> Client {
    let fake = fake.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let fake = fake.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            // Others come in between.
            tokio::task::yield_now().await;
            let (code, answer) = fake.lock().answer(&parts.method, parts.uri.path(), &body);
            tokio::task::yield_now().await;
            let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
            let response = response.header("content-type", "application/json");
            Ok::<_, std::convert::Infallible>(
                response.body(Body::from(answer.to_string().into_bytes())).unwrap(),
            )
        }
    });
    Client::new(service, "default")
}

fn replica(fake: &Arc<Mutex<Fake>>, lifetimes: Lifetimes) -> Keeper {
    let (client, second) = (client(fake), Duration::from_secs(1));
    let names = vec![NAME.to_owned()];
    Keeper {
        secret: SecretStore::new(client.clone(), "gauntlet-system", "cert", names, lifetimes, second),
        readers: vec![Publisher::new(client, Reader::Webhook("gauntlet-autoscaler".into()), second)],
        served: Served::default(),
        settled: watch::Sender::new(false),
    }
}

fn shown(keeper: &Keeper) -> Certificate {
    Certificate::from_der("served", keeper.served.leaf_der().unwrap().into()).unwrap()
}

#[tokio::test]
async fn replicas_that_start_at_once_agree() {
    let lifetimes = Lifetimes { authority_ms: 3_000_000, serving_ms: 800_000 };
    let fake = Arc::new(Mutex::new(Fake::new()));
    let replicas: Vec<Keeper> = (0..8).map(|_| replica(&fake, lifetimes)).collect();
    let now_ms = 1_764_500_000_000;
    let looks = futures::future::join_all(replicas.iter().map(|r| r.look(now_ms))).await;
    for look in looks {
        look.unwrap();
    }
    let all: Vec<Certificate> = replicas.iter().map(shown).collect();
    assert!(all.iter().all(|c| *c == all[0]), "one certificate");
    let fake = fake.lock();
    assert_eq!(fake.writes, 2, "one made it, one published it");
    assert!(fake.conflicts > 0, "the others were too late, or this tests nothing");
    assert!(all[0].is_signed_by(&fake.trusted()[0]));
    assert_eq!(fake.reader["webhooks"][0]["newer"], true, "what is not ours stays");
    assert_eq!(fake.secret.as_ref().unwrap()["type"], "kubernetes.io/tls");
}

/// Five lives of an authority: replicas look when they look, one is slow, the API server is away for a while.
#[tokio::test]
async fn what_is_shown_is_trusted_at_all_times() {
    let lifetimes = Lifetimes { authority_ms: 3_000_000, serving_ms: 800_000 };
    let fake = Arc::new(Mutex::new(Fake::new()));
    let replicas: Vec<Keeper> = (0..3).map(|_| replica(&fake, lifetimes)).collect();
    let begin_ms = 1_764_500_000_000_i64;
    let (mut seen, mut served) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for turn in 0..750_i64 {
        let now_ms = begin_ms + turn * 20_000;
        // Up to ten turns of 20 s without an API server, often enough to hit every step.
        fake.lock().away = turn % 37 > 27;
        // The second looks every time, the first now and then, the third seldom: an eighth of 800 s is its limit.
        let looks = (replicas.iter().zip([3, 1, 4])).filter(|(_, every)| turn % every == 0);
        for look in futures::future::join_all(looks.map(|(r, _)| r.look(now_ms))).await {
            assert!(look.is_ok() || fake.lock().away, "{look:?}");
        }
        let trusted = fake.lock().trusted();
        for certificate in replicas.iter().filter(|r| r.served.is_set()).map(shown) {
            assert!(trusted.iter().any(|ca| certificate.is_signed_by(ca)), "turn {turn}: {certificate:?}");
            assert!(now_ms < certificate.not_after_ms, "turn {turn}: it has expired");
            served.insert(certificate.not_after_ms);
        }
        assert!(trusted.len() <= 2, "turn {turn}: {} authorities", trusted.len());
        seen.extend(trusted.iter().map(|ca| ca.not_after_ms));
    }
    assert!(seen.len() >= 6, "authorities were renewed: {seen:?}");
    assert!(served.len() >= 20, "certificates were renewed: {}", served.len());
}

#[tokio::test]
async fn a_secret_that_somebody_broke_is_made_anew_and_published() {
    let lifetimes = Lifetimes { authority_ms: 3_000_000, serving_ms: 800_000 };
    let fake = Arc::new(Mutex::new(Fake::new()));
    let replica = replica(&fake, lifetimes);
    // A manifest's, without data; then one with nonsense.
    for data in [json!(null), json!({}), json!({"tls.crt": "bm9uc2Vuc2U="})] {
        let version = fake.lock().version.to_string();
        let metadata = json!({"name": "cert", "namespace": "gauntlet-system", "resourceVersion": version});
        fake.lock().secret =
            Some(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}));
        replica.look(1_764_500_000_000).await.unwrap();
        assert!(shown(&replica).is_signed_by(&fake.lock().trusted()[0]));
    }
}
