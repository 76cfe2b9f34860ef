//! The Secret that replicas share: whoever is first makes or renews, the others read what it wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::call::{MANAGER, call};
use crate::rotation::{Lifetimes, Step, due};
use crate::{Bundle, CertError};

/// Steps and lost races of one look; a race is lost to somebody who won it, so few are many.
const TURNS: usize = 8;

/// Where the certificates are kept.
#[derive(Clone)]
pub struct SecretStore {
    api: Api<Secret>,
    name: String,
    names: Vec<String>,
    lifetimes: Lifetimes,
    timeout: Duration,
}

impl SecretStore {
    /// The Secret `namespace/name`, of a server with these DNS names and addresses; `timeout` is that of one call.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        names: Vec<String>,
        lifetimes: Lifetimes,
        timeout: Duration,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), names, lifetimes, timeout }
    }

    /// What the Secret holds, after everything that is due was done; and when the next thing is, in milliseconds since
    /// the Unix epoch.
    ///
    /// # Errors
    /// The API server refuses, or does not answer; nothing was made then that anybody could use.
    pub async fn settle(&self, now_ms: i64) -> Result<(Bundle, i64), CertError> {
        for _ in 0..TURNS {
            let secret = self.get().await?;
            let bundle = secret.as_ref().and_then(|s| self.read(s));
            let step = due(bundle.as_ref().map(|b| b.state(&self.names)).as_ref(), now_ms, &self.lifetimes);
            let next = match (&bundle, step) {
                (Some(bundle), Step::Keep { until_ms }) => return Ok((bundle.clone(), until_ms)),
                (Some(bundle), step) => bundle.after(step, &self.names, now_ms, &self.lifetimes)?,
                (None, _) => Bundle::begin(&self.names, now_ms, &self.lifetimes)?,
            };
            if self.put(secret, &next).await? {
                tracing::info!(secret = self.name, ?step, "certificates were renewed");
            }
        }
        Err(self.failed("others renew it again and again; look who else writes it"))
    }

    /// How long readers have to learn of a new authority.
    pub(crate) fn overlap(&self) -> Duration {
        Duration::from_millis(self.lifetimes.overlap_ms().unsigned_abs())
    }

    /// What it holds now.
    ///
    /// # Errors
    /// The API server refuses or does not answer, or there is nothing that can be used.
    pub async fn read_only(&self) -> Result<Bundle, CertError> {
        let secret = self.get().await?;
        secret.and_then(|s| self.read(&s)).ok_or_else(|| self.failed("it is gone, or cannot be read"))
    }

    fn read(&self, secret: &Secret) -> Option<Bundle> {
        let data: BTreeMap<String, Vec<u8>> =
            secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
        // One that a manifest made, for whoever runs first.
        if data.is_empty() {
            return None;
        }
        match Bundle::read(&data) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                tracing::warn!(secret = self.name, %error, "the Secret cannot be read; everything in it is made anew");
                None
            }
        }
    }

    async fn get(&self) -> Result<Option<Secret>, CertError> {
        let got = call(self.timeout, self.api.get_opt(&self.name)).await;
        got.map_err(|e| e.about(&format!("Secret {}", self.name)))
    }

    /// Whether it was written; `false`: somebody else was first.
    async fn put(&self, old: Option<Secret>, bundle: &Bundle) -> Result<bool, CertError> {
        let data = bundle.data().into_iter().map(|(key, value)| (key, ByteString(value))).collect();
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let written = match old {
            // With the resourceVersion that was read: a precondition.
            Some(mut secret) => {
                secret.data = Some(data);
                call(self.timeout, self.api.replace(&self.name, &params, &secret)).await
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let secret = Secret {
                    metadata,
                    data: Some(data),
                    // Has both of the keys that this type needs, and is known by it to whoever looks for certificates.
                    type_: Some("kubernetes.io/tls".into()),
                    ..Secret::default()
                };
                call(self.timeout, self.api.create(&params, &secret)).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(e) if e.is_conflict() => Ok(false),
            Err(e) => Err(e.about(&format!("Secret {}", self.name))),
        }
    }

    fn failed(&self, message: &str) -> CertError {
        CertError::Api { what: format!("Secret {}", self.name), message: message.into() }
    }
}
