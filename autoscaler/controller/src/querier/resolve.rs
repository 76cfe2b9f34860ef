//! A policy's source and what its Secrets hold become a [`Source`]: data in, data out.
//!
//! ```text
//!  spec.source ─► references() ─► whoever watches Secrets ─► lookup ┐
//!       └───────────────────────────────────────────────────────────┴► resolve() ─► Source ─► Prometheus::renewed
//! ```

use autoscaler_api as api;
use autoscaler_api::{KeyRef, Problem, SecretValue};
use autoscaler_querier::{Authorization, ClientCertificate, Source, Tls};
use thanos_model::{HttpUrl, Secret};

/// An object in the policy's own namespace, and the key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference<'a> {
    Secret(&'a KeyRef),
    ConfigMap(&'a KeyRef),
}

impl std::fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, to) = match self {
            Self::Secret(to) => ("Secret", to),
            Self::ConfigMap(to) => ("ConfigMap", to),
        };
        write!(f, "{kind} {} has no key {}", to.name, to.key)
    }
}

/// What has to be read before a source can be resolved, each once.
pub(crate) fn references(spec: &api::Source) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let _ = read(spec, "", 1, &mut |reference| {
        found.push(reference);
        Some(b"-".to_vec())
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// The source that a policy names at `at`, for example `spec.source`; `lookup` has what Secrets and ConfigMaps hold.
///
/// # Errors
/// What is missing or wrong, by its field, without its text.
pub(crate) fn resolve<'a>(
    spec: &'a api::Source,
    at: &str,
    max_series: usize,
    lookup: &dyn Fn(Reference<'a>) -> Option<Vec<u8>>,
) -> Result<Source, Problem> {
    read(spec, at, max_series, &mut |reference| lookup(reference))
}

fn read<'a>(
    spec: &'a api::Source,
    at: &str,
    max_series: usize,
    lookup: &mut dyn FnMut(Reference<'a>) -> Option<Vec<u8>>,
) -> Result<Source, Problem> {
    let mut text = |field: &str, reference: Reference<'a>| -> Result<Secret, Problem> {
        let problem = |message: String, fix| Problem::new(format!("{at}.{field}"), message, fix);
        let bytes = lookup(reference)
            .ok_or_else(|| problem(reference.to_string(), "create it in the policy's namespace"))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| problem(format!("{reference:?} is not UTF-8"), "write text into it"))?;
        Ok(Secret::from(text.trim()))
    };
    let secret = |value: &'a SecretValue| Reference::Secret(&value.secret_ref);
    let url = |field: &str, text: &str| {
        HttpUrl::parse(text)
            .map_err(|e| Problem::new(format!("{at}.{field}"), e.to_string(), "name a server"))
    };

    let mut addresses = Vec::new();
    for (i, address) in spec.addresses.iter().enumerate() {
        addresses.push(url(&format!("addresses[{i}]"), address)?);
    }
    let mut headers = Vec::new();
    for (i, header) in spec.headers.iter().enumerate() {
        let value = match (&header.value, &header.value_from) {
            (_, Some(from)) => text(&format!("headers[{i}].valueFrom"), secret(from))?,
            (value, None) => Secret::from(value.clone().unwrap_or_default()),
        };
        headers.push((header.name.clone(), value));
    }
    let authorization = match (&spec.bearer_token, &spec.basic_auth) {
        (Some(token), _) => Some(Authorization::Bearer(text("bearerToken", secret(token))?)),
        (None, Some(basic)) => {
            let username = match &basic.username_from {
                Some(from) => text("basicAuth.usernameFrom", secret(from))?,
                None => Secret::from(basic.username.clone().unwrap_or_default()),
            };
            Some(Authorization::Basic {
                username,
                password: text("basicAuth.password", secret(&basic.password))?,
            })
        }
        (None, None) => None,
    };
    let mut tls = Tls::default();
    if let Some(given) = &spec.tls {
        let ca = given.ca.as_ref().and_then(|ca| {
            let secret = ca.secret_ref.as_ref().map(Reference::Secret);
            secret.or(ca.config_map_ref.as_ref().map(Reference::ConfigMap))
        });
        tls.ca = ca.map(|reference| text("tls.ca", reference)).transpose()?;
        if let (Some(certificate), Some(key)) = (&given.certificate, &given.key) {
            tls.client = Some(ClientCertificate {
                certificate: text("tls.certificate", secret(certificate))?,
                key: text("tls.key", secret(key))?,
            });
        }
        tls.server_name = given.server_name.clone();
        tls.insecure_skip_verify = given.insecure_skip_verify;
    }
    Ok(Source {
        addresses,
        path_prefix: spec.path_prefix.clone().unwrap_or_default(),
        proxy: spec.proxy_url.as_deref().map(|text| url("proxyUrl", text)).transpose()?,
        headers,
        tenant: spec.tenant.clone(),
        authorization,
        tls,
        max_series,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> api::Source {
        let secret = |name: &str, key: &str| json!({"secretRef": {"name": name, "key": key}});
        serde_json::from_value(json!({
            "addresses": ["https://a/x", "https://b"], "pathPrefix": "/prom", "proxyUrl": "http://proxy:1",
            "tenant": "team", "headers": [{"name": "a", "value": "b"}, {"name": "c", "valueFrom": secret("creds", "c")}],
            "basicAuth": {"usernameFrom": secret("creds", "user"), "password": secret("creds", "password")},
            "tls": {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}, "certificate": secret("tls", "tls.crt"),
                    "key": secret("tls", "tls.key"), "serverName": "q"},
        }))
        .unwrap()
    }

    fn held(reference: Reference<'_>) -> Option<Vec<u8>> {
        Some(
            format!(
                "{}\n",
                match reference {
                    Reference::Secret(to) => format!("secret of {}/{}", to.name, to.key),
                    Reference::ConfigMap(to) => format!("text of {}/{}", to.name, to.key),
                }
            )
            .into_bytes(),
        )
    }

    #[test]
    fn a_source_is_what_the_policy_and_its_secrets_say() {
        let spec = spec();
        let source = resolve(&spec, "spec.source", 7, &held).unwrap();
        assert_eq!(source.addresses.len(), 2);
        assert_eq!(
            (source.path_prefix.as_str(), source.tenant.as_deref(), source.max_series),
            ("/prom", Some("team"), 7)
        );
        assert_eq!(source.headers, [("a".into(), "b".into()), ("c".into(), "secret of creds/c".into())]);
        let basic = Authorization::Basic {
            username: "secret of creds/user".into(),
            password: "secret of creds/password".into(),
        };
        assert_eq!(source.authorization, Some(basic));
        assert_eq!(source.tls.ca, Some("text of ca/ca.crt".into()));
        assert_eq!(source.tls.client.unwrap().key, "secret of tls/tls.key".into());
        assert_eq!(source.tls.server_name.as_deref(), Some("q"));
        assert_eq!(source.proxy.unwrap().to_string(), "http://proxy:1/");
    }

    #[test]
    fn everything_that_has_to_be_read_is_named_once() {
        let named: Vec<String> = references(&spec()).iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "Secret creds has no key c",
                "Secret creds has no key password",
                "Secret creds has no key user",
                "Secret tls has no key tls.crt",
                "Secret tls has no key tls.key",
                "ConfigMap ca has no key ca.crt",
            ]
        );
    }

    #[test]
    fn what_is_missing_is_named_by_field_and_object() {
        for (missing, expected) in [
            (
                "c",
                "spec.source.headers[1].valueFrom: Secret creds has no key c; create it in the policy's namespace",
            ),
            ("user", "spec.source.basicAuth.usernameFrom: Secret creds has no key user"),
            ("password", "spec.source.basicAuth.password: Secret creds has no key password"),
            ("ca.crt", "spec.source.tls.ca: ConfigMap ca has no key ca.crt"),
            ("tls.crt", "spec.source.tls.certificate: Secret tls has no key tls.crt"),
            ("tls.key", "spec.source.tls.key: Secret tls has no key tls.key"),
        ] {
            let spec = spec();
            let problem = resolve(&spec, "spec.source", 7, &|reference| {
                let (Reference::Secret(to) | Reference::ConfigMap(to)) = reference;
                if to.key == missing { None } else { held(reference) }
            });
            let said = problem.unwrap_err().to_string();
            assert!(said.starts_with(expected), "{said}");
        }
        let binary = resolve(&spec(), "spec.source", 7, &|_| Some(vec![0xff])).unwrap_err().to_string();
        assert!(binary.contains("is not UTF-8"), "{binary}");
    }
}
