//! The PromQL that `manifests/` brings: of dashboards, rules and policies.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use thanos_telemetry::cli::parse_yaml_documents;

/// A query and where it stands.
#[derive(Debug)]
pub(crate) struct Query {
    /// File and panel, alert or metric.
    pub(crate) place: String,
    /// PromQL.
    pub(crate) text: String,
}

/// All of them, below the repository's root.
pub(crate) fn all(root: &Path) -> Vec<Query> {
    let read =
        |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let yaml = |path: &str| -> Vec<Value> {
        parse_yaml_documents(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let mut found = Vec::new();
    let mut add = |place: &str, name: &Value, text: &Value| {
        let text = text.as_str().unwrap_or_default().to_owned();
        found.push(Query { place: format!("{place}: {}", name.as_str().unwrap_or_default()), text });
    };
    let each = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let dashboard: Value =
        serde_json::from_str(&read("manifests/dashboards/gauntlet.json")).expect("a dashboard is JSON");
    for panel in each(&dashboard["panels"]) {
        for target in each(&panel["targets"]) {
            add("gauntlet.json", &panel["title"], &target["expr"]);
        }
    }
    for file in yaml("manifests/rules/gauntlet.yaml") {
        for rule in each(&file["groups"]).iter().flat_map(|g| each(&g["rules"])) {
            add("rules", &rule["alert"], &rule["expr"]);
        }
    }
    for policy in yaml("manifests/base/receive/policy.yaml") {
        for metric in each(&policy["spec"]["metrics"]) {
            add("policy.yaml", &metric["name"], &metric["query"]);
        }
    }
    found
}

/// The metrics that a query reads.
///
/// # Errors
/// It is not PromQL.
pub(crate) fn metrics(query: &str) -> Result<BTreeSet<String>, String> {
    let query = thanos_promql_syntax::Query::parse(query).map_err(|e| e.to_string())?;
    Ok(query.selectors().iter().filter_map(|selector| selector.name().map(ToString::to_string)).collect())
}
