//! What is wrong with a source.

use std::collections::BTreeSet;

use thanos_model::{HttpUrl, http_url};

use super::Problem;
use crate::source::{KeyRef, Source};

/// Headers whose values belong into Secrets.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
/// How a tenant is told.
const TENANT_HEADER: &str = "x-scope-orgid";

/// Everything wrong with a source at `at`, for example `spec.source`, in the order of its fields.
pub(super) fn validate(source: &Source, at: &str, found: &mut Vec<Problem>) {
    let mut problem = |field: &str, message: String, fix: &str| {
        found.push(Problem::new(format!("{at}.{field}"), message, fix));
    };
    if source.addresses.is_empty() || source.addresses.len() > 8 {
        problem(
            "addresses",
            format!("has {} entries", source.addresses.len()),
            "name 1 to 8 servers that hold the same",
        );
    }
    let mut seen = BTreeSet::new();
    for (i, address) in source.addresses.iter().enumerate() {
        let field = format!("addresses[{i}]");
        url(address, &field, &mut problem);
        if !seen.insert(address) {
            problem(
                &field,
                format!("{:?} is named twice", http_url::without_secrets(address)),
                "name each address once",
            );
        }
    }
    if let Some(prefix) = &source.path_prefix
        && (!prefix.starts_with('/')
            || prefix.contains(['?', '#', '\\', ' '])
            || prefix.split('/').any(|s| s == ".."))
    {
        problem("pathPrefix", format!("{prefix:?} is no path"), "write for example /prometheus");
    }
    if let Some(proxy) = &source.proxy_url {
        url(proxy, "proxyUrl", &mut problem);
    }
    let line = |text: &str| !text.is_empty() && text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if source.tenant.as_deref().is_some_and(|t| !line(t)) {
        problem("tenant", "is not one line of text".into(), "write the tenant's name");
    }
    headers(source, &mut problem);
    for (field, reference) in references(source) {
        if !is_name(&reference.name) {
            let message = format!("{:?} names no object", reference.name);
            problem(
                &format!("{field}.name"),
                message,
                "write lower-case letters, digits, '-' and '.', for example mimir",
            );
        }
        if !is_key(&reference.key) {
            let message = format!("{:?} is no key of an object's data", reference.key);
            problem(
                &format!("{field}.key"),
                message,
                "write letters, digits, '-', '_' and '.', for example token",
            );
        }
    }
    if let Some(basic) = &source.basic_auth {
        if basic.username.is_some() == basic.username_from.is_some() {
            problem(
                "basicAuth",
                "needs one of username and usernameFrom".into(),
                "write the name, or where it is",
            );
        }
        if basic.username.as_deref().is_some_and(|name| name.contains(':')) {
            problem(
                "basicAuth.username",
                "has a colon".into(),
                "a user name ends at its colon (RFC 7617); remove it",
            );
        }
        if source.bearer_token.is_some() {
            problem("basicAuth", "is there beside bearerToken".into(), "keep one of them");
        }
    }
    if let Some(tls) = &source.tls {
        if let Some(ca) = &tls.ca
            && ca.secret_ref.is_some() == ca.config_map_ref.is_some()
        {
            problem(
                "tls.ca",
                "needs one of secretRef and configMapRef".into(),
                "say where the certificates are",
            );
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            problem("tls", "has one of certificate and key".into(), "give both, or neither");
        }
        if tls.insecure_skip_verify && (tls.ca.is_some() || tls.server_name.is_some()) {
            let fix = "remove it, or ca and serverName";
            problem(
                "tls.insecureSkipVerify",
                "checks nothing, so ca and serverName have no effect".into(),
                fix,
            );
        }
    }
}

fn url(text: &str, field: &str, problem: &mut impl FnMut(&str, String, &str)) {
    let shown = http_url::without_secrets(text);
    match HttpUrl::parse(text) {
        Err(_) => {
            problem(field, format!("{shown:?} is no http(s) URL"), "write for example http://prometheus:9090")
        }
        Ok(url) if url.user_info().is_some() => {
            problem(
                field,
                format!("{shown} has user info, for everybody to read"),
                "put it into a Secret: basicAuth",
            );
        }
        Ok(url) if !url.secrets().is_empty() => {
            let fix = "put it into a Secret, and name it under bearerToken or headers";
            problem(field, format!("{shown} has what looks like a token, for everybody to read"), fix);
        }
        Ok(_) => {}
    }
}

/// Every key of a Secret or ConfigMap that a source names, with its field.
fn references(source: &Source) -> Vec<(String, &KeyRef)> {
    let tls = source.tls.as_ref();
    let basic = source.basic_auth.as_ref();
    let secrets = [
        ("bearerToken", source.bearer_token.as_ref()),
        ("basicAuth.usernameFrom", basic.and_then(|b| b.username_from.as_ref())),
        ("basicAuth.password", basic.map(|b| &b.password)),
        ("tls.certificate", tls.and_then(|t| t.certificate.as_ref())),
        ("tls.key", tls.and_then(|t| t.key.as_ref())),
    ];
    let headers = source.headers.iter().enumerate();
    let headers =
        headers.filter_map(|(i, h)| Some((format!("headers[{i}].valueFrom"), h.value_from.as_ref()?)));
    let secrets =
        secrets.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))).chain(headers);
    let ca = tls.and_then(|t| t.ca.as_ref());
    let ca = [
        ("tls.ca.secretRef", ca.and_then(|c| c.secret_ref.as_ref())),
        ("tls.ca.configMapRef", ca.and_then(|c| c.config_map_ref.as_ref())),
    ];
    secrets
        .map(|(field, value)| (format!("{field}.secretRef"), &value.secret_ref))
        .chain(ca.into_iter().filter_map(|(field, key)| Some((field.to_owned(), key?))))
        .collect()
}

/// The Secrets and ConfigMaps that a source names: whether it is a ConfigMap, and its name.
pub(super) fn objects(source: &Source) -> impl Iterator<Item = (bool, &str)> {
    let named = references(source).into_iter();
    named.map(|(field, key)| (field.ends_with("configMapRef"), key.name.as_str()))
}

/// RFC 1123's subdomain, as every object's name is (apimachinery `IsDNS1123Subdomain`).
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |l: &str| !l.is_empty() && l.chars().all(inner) && !l.starts_with('-') && !l.ends_with('-');
    text.len() <= 253 && text.split('.').all(label)
}

/// A key of a Secret's or ConfigMap's data (apimachinery `IsConfigMapKey`).
fn is_key(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=253).contains(&text.len()) && text.chars().all(word) && text != "." && !text.starts_with("..")
}

fn headers(source: &Source, problem: &mut impl FnMut(&str, String, &str)) {
    if source.headers.len() > 32 {
        problem("headers", format!("has {} entries", source.headers.len()), "write at most 32");
    }
    let mut names = BTreeSet::new();
    for (i, header) in source.headers.iter().enumerate() {
        let field = format!("headers[{i}]");
        let name = header.name.to_ascii_lowercase();
        if header.value.is_some() == header.value_from.is_some() {
            problem(&field, "needs one of value and valueFrom".into(), "write the value, or where it is");
        }
        if header.value.is_some() && SECRET_HEADERS.contains(&name.as_str()) {
            let message = format!("{} has its value for everybody to read", header.name);
            problem(&field, message, "put it into a Secret: valueFrom, bearerToken or basicAuth");
        }
        if name == "authorization" && (source.bearer_token.is_some() || source.basic_auth.is_some()) {
            problem(&field, "is there beside bearerToken or basicAuth".into(), "keep one of them");
        }
        if name == TENANT_HEADER && source.tenant.is_some() {
            problem(&field, "is there beside tenant".into(), "keep one of them");
        }
        if !names.insert(name) {
            problem(&field, format!("{} is there twice", header.name), "give each header once");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(source: Value) -> Vec<String> {
        let mut found = Vec::new();
        validate(&serde_json::from_value(source).unwrap(), "spec.source", &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    fn secret(name: &str) -> Value {
        json!({"secretRef": {"name": name, "key": "token"}})
    }

    #[test]
    fn a_sound_source_has_no_problems() {
        for source in [
            json!({"addresses": ["http://query:9090"]}),
            json!({"addresses": ["https://a/prometheus?dedup=true", "https://b"], "pathPrefix": "/api/prom",
                   "proxyUrl": "http://proxy:3128", "tenant": "team-a|team-b",
                   "headers": [{"name": "X-A", "value": "b"}, {"name": "X-Api-Key", "valueFrom": secret("k")}],
                   "bearerToken": secret("t"),
                   "tls": {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}, "certificate": secret("c"),
                           "key": secret("c"), "serverName": "query.example.com"}}),
            json!({"addresses": ["https://a"], "basicAuth": {"username": "u", "password": secret("p")},
                   "tls": {"insecureSkipVerify": true}}),
        ] {
            assert_eq!(problems(source), Vec::<String>::new());
        }
    }

    #[test]
    fn each_problem_of_a_source_is_named_with_its_cure_and_without_secrets() {
        let with = |more: Value| {
            let mut source = json!({"addresses": ["http://h"]});
            source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            problems(source)
        };
        for (more, expected) in [
            (json!({"addresses": []}), "addresses: has 0 entries; name 1 to 8"),
            (json!({"addresses": ["query:9090"]}), "addresses[0]: \"query:9090\" is no http(s) URL; write"),
            (json!({"addresses": ["http://a", "http://a"]}), "addresses[1]: \"http://a/\" is named twice"),
            (
                json!({"addresses": ["http://me:hunter2@h"]}),
                "addresses[0]: http://h/ has user info, for everybody to read; put it into a Secret: basicAuth",
            ),
            (
                json!({"addresses": ["http://h?token=hunter2"]}),
                "addresses[0]: http://h/?token=… has what looks like a token, for everybody to read; put",
            ),
            (json!({"pathPrefix": "x"}), "pathPrefix: \"x\" is no path"),
            (json!({"proxyUrl": "http://me:hunter2@h"}), "proxyUrl: http://h/ has user info"),
            (json!({"tenant": ""}), "tenant: is not one line"),
            (json!({"headers": [{"name": "a"}]}), "headers[0]: needs one of value and valueFrom"),
            (
                json!({"headers": [{"name": "a", "value": "b", "valueFrom": secret("s")}]}),
                "headers[0]: needs one of",
            ),
            (
                json!({"headers": [{"name": "Authorization", "value": "hunter2"}]}),
                "headers[0]: Authorization has its value for everybody to read; put it into a Secret",
            ),
            (
                json!({"headers": [{"name": "a", "value": "b"}, {"name": "A", "value": "c"}]}),
                "headers[1]: A is there twice",
            ),
            (
                json!({"tenant": "a", "headers": [{"name": "X-Scope-OrgID", "value": "b"}]}),
                "headers[0]: is there beside tenant",
            ),
            (
                json!({"bearerToken": secret("s"), "headers": [{"name": "Authorization", "valueFrom": secret("s")}]}),
                "headers[0]: is there beside bearerToken",
            ),
            (
                json!({"basicAuth": {"password": secret("s")}}),
                "basicAuth: needs one of username and usernameFrom",
            ),
            (
                json!({"basicAuth": {"username": "a:b", "password": secret("s")}}),
                "basicAuth.username: has a colon",
            ),
            (
                json!({"bearerToken": secret("s"), "basicAuth": {"username": "a", "password": secret("s")}}),
                "basicAuth: is there beside bearerToken; keep one",
            ),
            (
                json!({"bearerToken": {"secretRef": {"name": "My_Secret", "key": "token"}}}),
                "bearerToken.secretRef.name: \"My_Secret\" names no object; write lower-case",
            ),
            (
                json!({"headers": [{"name": "a", "valueFrom": {"secretRef": {"name": "s", "key": "a/b"}}}]}),
                "headers[0].valueFrom.secretRef.key: \"a/b\" is no key of an object's data; write",
            ),
            (
                json!({"tls": {"ca": {"configMapRef": {"name": "-ca", "key": "k"}}}}),
                "tls.ca.configMapRef.name: \"-ca\" names no object",
            ),
            (json!({"tls": {"ca": {}}}), "tls.ca: needs one of secretRef and configMapRef"),
            (json!({"tls": {"key": secret("s")}}), "tls: has one of certificate and key; give both"),
            (
                json!({"tls": {"insecureSkipVerify": true, "serverName": "x"}}),
                "tls.insecureSkipVerify: checks nothing",
            ),
        ] {
            let found = with(more.clone());
            assert_eq!(found.len(), 1, "{more}: {found:?}");
            assert!(found[0].starts_with(&format!("spec.source.{expected}")), "{more}: {}", found[0]);
            assert!(!found[0].contains("hunter2"), "{}", found[0]);
        }
    }
}
