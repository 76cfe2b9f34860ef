//! Who a pod is to an API server that asks: a kubeconfig of its own, with its service account's token.

use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// Tokens are not renewed: a pod lives no longer than this as who it is.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// Makes kubeconfigs for pods after the node's own.
#[derive(Debug, Clone)]
pub(crate) struct Identities {
    /// A kubeconfig of one context, without a user.
    template: Value,
}

impl Identities {
    /// Takes the way to the API server from the current context of a kubeconfig.
    ///
    /// # Errors
    /// The file cannot be read, or names no cluster.
    pub(crate) fn read(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = || format!("kubeconfig {}", kubeconfig.display());
        let text = std::fs::read_to_string(kubeconfig).with_context(file)?;
        let config: Value =
            thanos_telemetry::cli::parse_yaml(&text).map_err(anyhow::Error::msg).with_context(file)?;
        let named = |list: &str, name: &Value| {
            config[list].as_array()?.iter().find(|entry| entry["name"] == *name).cloned()
        };
        let context = named("contexts", &config["current-context"])
            .with_context(|| format!("{} has no current context", file()))?;
        let cluster = named("clusters", &context["context"]["cluster"])
            .with_context(|| format!("{}: its current context names no cluster", file()))?;
        let name = context["name"].clone();
        let template = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name, "clusters": [cluster],
            "contexts": [{"name": name, "context": {"cluster": context["context"]["cluster"], "user": "pod"}}],
        });
        Ok(Self { template })
    }

    /// Writes a pod's kubeconfig.
    ///
    /// # Errors
    /// A sentence naming what is missing; asking again may help.
    pub(super) async fn write(&self, client: &Client, pod: &Pod, path: &Path) -> Result<(), String> {
        let namespace = pod.namespace().unwrap_or_default();
        let account = pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref()).unwrap_or("default");
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        // Bound to the pod: it ends with it, and the API server knows which pod calls.
        let bound = BoundObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: Some(pod.name_any()),
            uid: pod.uid(),
        };
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: Some(bound),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let failed = |e: &dyn std::fmt::Display| format!("token of service account {account:?}: {e}");
        let made = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|e| failed(&e))?;
        let token = made.status.map(|s| s.token).ok_or_else(|| failed(&"the API server gave none"))?;
        let mut config = self.template.clone();
        config["users"] = json!([{"name": "pod", "user": {"token": token}}]);
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| failed(&e))?;
        }
        // JSON is YAML.
        std::fs::write(path, config.to_string()).map_err(|e| failed(&e))
    }
}
