//! Tells API servers whom to trust: `caBundle` of a ValidatingWebhookConfiguration or an APIService.

use std::time::Duration;

use k8s_openapi::ByteString;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::call::{MANAGER, Refused, call};
use crate::{Bundle, CertError, SecretStore};

/// Lost races of one publication; see [`Publisher::publish`].
const TURNS: usize = 8;

/// What calls a server of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// All webhooks of the ValidatingWebhookConfiguration of this name.
    Webhook(String),
    /// The APIService of this name.
    ApiService(String),
}

impl Reader {
    fn name(&self) -> &str {
        match self {
            Self::Webhook(name) | Self::ApiService(name) => name,
        }
    }

    fn resource(&self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Webhook(_) => (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
            ),
            Self::ApiService(_) => ("apiregistration.k8s.io", "APIService", "apiservices"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
    }
}

impl std::fmt::Display for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Webhook(name) => write!(f, "ValidatingWebhookConfiguration {name}"),
            Self::ApiService(name) => write!(f, "APIService {name}"),
        }
    }
}

/// Publishes to one reader.
#[derive(Clone)]
pub struct Publisher {
    client: Client,
    reader: Reader,
    timeout: Duration,
}

impl Publisher {
    /// To `reader`; `timeout` is that of one call.
    pub fn new(client: Client, reader: Reader, timeout: Duration) -> Self {
        Self { client, reader, timeout }
    }

    /// Publishes what the Secret holds, unless it is there already, and returns it.
    ///
    /// The reader is read before the Secret and written with its resourceVersion: a replica that is slow cannot put an
    /// older bundle over a newer one, as the one that wrote the newer changed the version.
    ///
    /// # Errors
    /// The API server refuses or does not answer; a reader that is not there is told as such.
    pub async fn publish(&self, secret: &SecretStore) -> Result<Bundle, CertError> {
        for _ in 0..TURNS {
            let mut object = self.read().await.map_err(|e| e.about(&self.reader))?;
            let bundle = secret.read_only().await?;
            // As bytes are everywhere in Kubernetes' JSON: base64.
            let wanted = json!(ByteString(bundle.ca_bundle().into_bytes()));
            if !set(&self.reader, &mut object.data, &wanted) {
                return Ok(bundle);
            }
            match self.write(&object).await {
                Ok(()) => {
                    let authorities = bundle.authorities().len();
                    tracing::info!(reader = %self.reader, authorities, "told whom to trust");
                    return Ok(bundle);
                }
                Err(e) if e.is_conflict() => {}
                Err(e) => return Err(e.about(&self.reader)),
            }
        }
        Err(CertError::Api {
            what: self.reader.to_string(),
            message: "others write its caBundle again and again; look who does".into(),
        })
    }

    /// Untyped: what a newer API server has in it stays.
    async fn read(&self) -> Result<DynamicObject, Refused> {
        call(self.timeout, self.api().get(self.reader.name())).await
    }

    async fn write(&self, object: &DynamicObject) -> Result<(), Refused> {
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        call(self.timeout, self.api().replace(self.reader.name(), &params, object)).await.map(drop)
    }

    fn api(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &self.reader.resource())
    }
}

/// Puts the bundle wherever the reader looks for one; says whether that changed anything.
fn set(reader: &Reader, object: &mut Value, ca_bundle: &Value) -> bool {
    let places: Vec<&mut Value> = match reader {
        Reader::Webhook(_) => object["webhooks"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter_map(|w| w.get_mut("clientConfig"))
            .collect(),
        Reader::ApiService(_) => object.get_mut("spec").into_iter().collect(),
    };
    let mut changed = false;
    for place in places.into_iter().filter_map(Value::as_object_mut) {
        changed |= place.insert("caBundle".into(), ca_bundle.clone()).as_ref() != Some(ca_bundle);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_goes_where_each_reader_looks_and_nothing_else_changes() {
        let bundle = json!("Y2E=");
        let webhook = Reader::Webhook("w".into());
        let mut object = json!({
            "webhooks": [
                {"name": "a", "clientConfig": {"service": {"name": "s"}}, "new": {"field": 1}},
                {"name": "b", "clientConfig": {"url": "https://x", "caBundle": "b2xk"}},
                {"name": "broken"},
            ],
        });
        assert!(set(&webhook, &mut object, &bundle));
        assert_eq!(
            object,
            json!({
                "webhooks": [
                    {"name": "a", "clientConfig": {"service": {"name": "s"}, "caBundle": "Y2E="}, "new": {"field": 1}},
                    {"name": "b", "clientConfig": {"url": "https://x", "caBundle": "Y2E="}},
                    {"name": "broken"},
                ],
            })
        );
        assert!(!set(&webhook, &mut object, &bundle), "nothing is left to do");
        let mut object = json!({"spec": {"group": "g"}});
        assert!(set(&Reader::ApiService("a".into()), &mut object, &bundle));
        assert_eq!(object, json!({"spec": {"group": "g", "caBundle": "Y2E="}}));
        for odd in [json!({}), json!(null), json!({"webhooks": 1}), json!({"spec": []})] {
            assert!(!set(&webhook, &mut odd.clone(), &bundle));
            assert!(!set(&Reader::ApiService("a".into()), &mut odd.clone(), &bundle));
        }
    }
}
