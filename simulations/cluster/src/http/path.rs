//! URL paths of the Kubernetes API.

use std::sync::Arc;

use crate::error::{ApiError, Result};
use crate::resources::{Registry, Resource};

/// What a path addresses.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// `None`: all namespaces, or the resource has none.
    pub(crate) namespace: Option<String>,
    /// "" for the collection.
    pub(crate) name: String,
    /// "" for the object itself.
    pub(crate) subresource: String,
    /// The old form of a watch: `/api/v1/watch/…`.
    pub(crate) watch: bool,
}

/// Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`.
pub(crate) fn parse(path: &str, registry: &Registry) -> Result<Target> {
    let segments: Option<Vec<String>> = path.trim_matches('/').split('/').map(decode).collect();
    let segments =
        segments.ok_or_else(|| ApiError::bad_request("the path is not valid percent-encoded UTF-8"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(ApiError::no_such_path()),
    };
    let (watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (namespace, rest) = match rest {
        // A namespace's own subresources, else something within it.
        ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return Err(ApiError::no_such_path()),
    };
    let resource = registry.get(group, version, plural).ok_or_else(ApiError::no_such_path)?.clone();
    if namespace.is_some() && !resource.namespaced {
        return Err(ApiError::no_such_path());
    }
    if resource.namespaced && namespace.is_none() && !name.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let served = match subresource {
        "" => true,
        _ if watch => false,
        "status" => resource.has_status,
        "scale" => resource.scale.is_some(),
        "log" | "binding" | "eviction" => resource.collection == "pods",
        _ => false,
    };
    if !served {
        return Err(ApiError::no_such_path());
    }
    Ok(Target { resource, namespace, name: name.to_owned(), subresource: subresource.to_owned(), watch })
}

fn decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = segment.bytes();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let hex = |b: u8| char::from(b).to_digit(16);
        let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let registry = Registry::new();
        let read = |path: &str| {
            parse(path, &registry)
                .map(|t| format!("{} {:?} {} {}", t.resource.kind, t.namespace, t.name, t.subresource))
                .map_err(|e| e.code)
        };
        for (path, expected) in [
            ("/api/v1/pods", Ok("Pod None  ")),
            ("/api/v1/namespaces", Ok("Namespace None  ")),
            ("/api/v1/namespaces/x", Ok("Namespace None x ")),
            ("/api/v1/namespaces/x/status", Ok("Namespace None x status")),
            ("/api/v1/namespaces/x/pods/p/log", Ok("Pod Some(\"x\") p log")),
            ("/apis/apps/v1/namespaces/x/deployments/d/scale", Ok("Deployment Some(\"x\") d scale")),
            ("/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab", Ok("ClusterRole None a:b ")),
            ("/api/v1/pods/x", Err(404)),
            ("/api/v1/namespaces/x/nodes", Err(404)),
            ("/api/v1/namespaces/x/pods/p/exec", Err(404)),
            ("/api/v1/namespaces/x/configmaps/p/status", Err(404)),
            ("/api/v1/watch/pods", Ok("Pod None  ")),
            ("/api/v1/watch/namespaces/x/pods/p", Ok("Pod Some(\"x\") p ")),
            ("/api/v1/watch/namespaces/x/pods/p/status", Err(404)),
            ("/api/v1/nonsense", Err(404)),
            ("/x", Err(404)),
            ("/api/v1/namespaces/%zz/pods", Err(400)),
            ("/api/v1/namespaces/%ff/pods", Err(400)),
        ] {
            assert_eq!(read(path), expected.map(str::to_owned), "{path}");
        }
    }
}
