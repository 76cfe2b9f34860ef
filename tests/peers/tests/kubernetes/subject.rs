//! The API server under test, as a case sees it: clients, raw HTTP, kubectl, and a namespace of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::client::Body;
use kube::{Client, Resource};
use serde_json::{Value, json};
use tokio::process::Command;

/// Long enough for a machine that is busy with other things; what is waited for comes in milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which API server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Embedded,
    Real,
}

/// What all cases share.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) flavour: Flavour,
    pub(crate) client: Client,
    /// A revision that no watch reaches back to.
    pub(crate) old_revision: String,
    /// For kubectl.
    pub(crate) kubeconfig: PathBuf,
    /// The binary; `None`: what kubectl sees is not tested.
    pub(crate) kubectl: Option<PathBuf>,
    /// kubectl's home: its cache would remember another cluster of the same address.
    pub(crate) home: PathBuf,
}

/// A case's view.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) server: Arc<Server>,
    /// The case's own namespace.
    pub(crate) namespace: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) content_type: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) text: String,
    /// Null if the text is no JSON.
    pub(crate) body: Value,
}

impl Reply {
    /// Code, reason and message of a `Status`.
    pub(crate) fn status(&self) -> (u16, &str, &str) {
        assert_eq!(self.body["kind"], "Status", "{self:?}");
        assert_eq!(self.body["status"], "Failure", "{self:?}");
        assert_eq!(self.body["code"], self.code, "{self:?}");
        let text = |key: &str| self.body[key].as_str().unwrap_or_default();
        (self.code, text("reason"), text("message"))
    }
}

impl Subject {
    /// Makes the namespace and waits until it can be used.
    pub(crate) async fn new(server: Arc<Server>, namespace: &str) -> Self {
        let this = Self { server, namespace: namespace.to_owned() };
        let body: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        let all: Api<Namespace> = Api::all(this.client());
        all.create(&PostParams::default(), &body).await.unwrap();
        this
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client.clone()
    }

    pub(crate) fn is_real(&self) -> bool {
        self.server.flavour == Flavour::Real
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// `/api/v1/namespaces/NAMESPACE/REST`.
    pub(crate) fn core(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    /// `/apis/apps/v1/namespaces/NAMESPACE/REST`.
    pub(crate) fn apps(&self, rest: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/{rest}", self.namespace)
    }

    /// One request; `kind` and `accept` are media types, "" for JSON.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        accept: &str,
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let or_json = |text: &'static str, given: &str| {
            if given.is_empty() { text.to_owned() } else { given.to_owned() }
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", or_json("application/json", kind))
            .header("accept", or_json("application/json", accept))
            .body(Body::from(body.into()))
            .unwrap();
        let response = within(self.client().send(request)).await.unwrap();
        let code = response.status().as_u16();
        let header = |name: &str| -> Vec<String> {
            let values = response.headers().get_all(name).iter();
            values.map(|v| v.to_str().unwrap_or_default().to_owned()).collect()
        };
        let (content_type, warnings) = (header("content-type").join(","), header("warning"));
        let bytes = within(response.into_body().collect()).await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { code, content_type, warnings, text, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, "", "", body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, "", "", body.to_string()).await
    }

    /// `how`: `json`, `merge`, `strategic` or `apply`.
    pub(crate) async fn patch(&self, how: &str, path: &str, body: &Value) -> Reply {
        let kind = match how {
            "json" => "application/json-patch+json",
            "merge" => "application/merge-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            "apply" => "application/apply-patch+yaml",
            other => panic!("patch kind {other}"),
        };
        self.send("PATCH", path, kind, "", body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Reply {
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.send("DELETE", path, "", "", body).await
    }

    /// kubectl in the case's namespace; `None` without kubectl.
    pub(crate) fn kubectl(&self, line: &str) -> Option<Command> {
        let mut command = Command::new(self.server.kubectl.as_ref()?);
        command.args(line.split_whitespace()).args(["--namespace", &self.namespace]);
        command.env("KUBECONFIG", &self.server.kubeconfig).env("HOME", &self.server.home);
        command.stdin(Stdio::null()).kill_on_drop(true);
        Some(command)
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not come to pass in time")
}

/// Looks again and again, for what nobody announces.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// The code, reason and message that a typed call was refused with.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason, status.message),
        other => panic!("{other}"),
    }
}
