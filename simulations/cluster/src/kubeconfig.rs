//! Kubeconfig files: one context a cluster.

use std::io;
use std::path::Path;

use serde_json::json;

/// Writes one kubeconfig with a context for each cluster, given by name and URL; `current` is the current one.
///
/// # Errors
/// The file cannot be written.
pub fn write_kubeconfig(path: &Path, clusters: &[(&str, &str)], current: &str) -> io::Result<()> {
    let named = |key: &str, value: &dyn Fn(&str, &str) -> serde_json::Value| {
        let list: Vec<_> =
            clusters.iter().map(|(name, url)| json!({"name": name, key: value(name, url)})).collect();
        json!(list)
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": named("cluster", &|_, url| json!({"server": url})),
        "users": named("user", &|_, _| json!({})),
        "contexts": named("context", &|name, _| json!({"cluster": name, "user": name, "namespace": "default"})),
        "current-context": current,
    });
    let text = thanos_telemetry::cli::to_yaml(&config).map_err(io::Error::other)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // A container that reads it meanwhile sees the old one or the new one.
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, path)
}
