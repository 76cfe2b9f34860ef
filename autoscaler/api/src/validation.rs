//! What a schema cannot say: bounds against each other, durations that parse, quantities that make sense.
//!
//! The controller refuses a policy with problems (an API server without our schema may have let it in), and
//! `autoscaler check` prints them before the policy meets a cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Behavior, Metric, Quantity, Ring, Rules, ScalingPolicy, ScalingPolicySpec};

mod metric;
mod source;
mod terms;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path from the document's root, for example `spec.metrics[0].target.averageValue`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem from its three parts.
    pub fn new(field: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), fix: fix.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.message, self.fix)
    }
}

/// Everything wrong with a policy, in the order of its fields. Queries are judged elsewhere.
pub fn validate(policy: &ScalingPolicy) -> Vec<Problem> {
    let mut found = Vec::new();
    let spec = &policy.spec;
    target(spec, &mut found);
    replicas(spec, &mut found);
    if let Some(interval) = &spec.interval {
        duration("spec.interval", interval, 100, 3_600_000, &mut found);
    }
    if let Some(s) = &spec.source {
        source::validate(s, "spec.source", &mut found);
    }
    metrics(&spec.metrics, &mut found);
    objects(spec, &mut found);
    terms::validate(spec, &mut found);
    if spec.compatibility.is_some() {
        upstream_has(spec, &mut found);
    }
    if let Some(behavior) = &spec.behavior {
        behavior_rules(behavior, &mut found);
    }
    if let Some(r) = &spec.ring {
        ring(r, spec, &mut found);
    }
    found
}

fn target(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    let target = &spec.scale_target_ref;
    for (field, value) in
        [("apiVersion", &target.api_version), ("kind", &target.kind), ("name", &target.name)]
    {
        // They become part of a URL.
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
        let strange = |c: char| !(word(c) || c == '/' && field == "apiVersion");
        if value.is_empty() || value.contains(strange) || value.split(['/', '.']).any(str::is_empty) {
            found.push(Problem::new(
                format!("spec.scaleTargetRef.{field}"),
                format!("{value:?} names nothing"),
                "write for example {apiVersion: apps/v1, kind: Deployment, name: web}",
            ));
        }
    }
}

fn replicas(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    if spec.min_replicas < 0 {
        found.push(Problem::new(
            "spec.minReplicas",
            format!("{} is below 0", spec.min_replicas),
            "write 0 or more",
        ));
    }
    if spec.max_replicas < 1 {
        found.push(Problem::new(
            "spec.maxReplicas",
            format!("{} is below 1", spec.max_replicas),
            "write 1 or more",
        ));
    } else if spec.max_replicas < spec.min_replicas {
        found.push(Problem::new(
            "spec.maxReplicas",
            format!("{} is below minReplicas {}", spec.max_replicas, spec.min_replicas),
            "raise maxReplicas or lower minReplicas",
        ));
    }
}

/// Most Secrets and ConfigMaps of one policy's sources: the controller has a watch of each.
const OBJECTS_MAX: usize = 32;

fn objects(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    let sources = spec.source.iter().chain(spec.metrics.iter().filter_map(|metric| metric.source.as_ref()));
    let objects: BTreeSet<_> = sources.flat_map(source::objects).collect();
    if objects.len() > OBJECTS_MAX {
        found.push(Problem::new(
            "spec",
            format!("its sources name {} Secrets and ConfigMaps, each of which is watched", objects.len()),
            format!("name at most {OBJECTS_MAX}; one Secret holds many keys"),
        ));
    }
}

/// Of all queries of a policy: what is made of a query takes about fifteen times its text, for each policy there is.
const QUERY_BYTES_MAX: usize = 64 << 10;

fn metrics(metrics: &[Metric], found: &mut Vec<Problem>) {
    if metrics.is_empty() {
        found.push(Problem::new("spec.metrics", "is empty", "name at least one metric"));
    }
    let bytes: usize = metrics.iter().map(|metric| metric.query.len()).sum();
    if bytes > QUERY_BYTES_MAX {
        found.push(Problem::new(
            "spec.metrics",
            format!("has {bytes} bytes of queries, over {QUERY_BYTES_MAX}"),
            "record what they ask for by rules, or make several policies of it",
        ));
    }
    let mut names = BTreeSet::new();
    for (i, metric) in metrics.iter().enumerate() {
        let at = format!("spec.metrics[{i}]");
        if metric.name.is_empty() || !names.insert(metric.name.as_str()) {
            let message = format!("{:?} is empty or used twice", metric.name);
            found.push(Problem::new(format!("{at}.name"), message, "give each metric its own name"));
        }
        metric::validate(metric, &at, found);
        evidence(metric, &at, found);
        if let Some(fallback) = &metric.fallback {
            duration(&format!("{at}.fallback.after"), &fallback.after, 1, 86_400_000, found);
            if fallback.replicas < 1 {
                let field = format!("{at}.fallback.replicas");
                found.push(Problem::new(
                    field,
                    format!("{} is below 1", fallback.replicas),
                    "write 1 or more",
                ));
            }
        }
    }
}

/// The HPA's rules have no room for what it does not have.
fn upstream_has(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    let terms = [
        ("formula", spec.formula.is_some()),
        ("schedules", !spec.schedules.is_empty()),
        ("pause", spec.pause.is_some()),
        ("zero", spec.zero.is_some()),
    ];
    let terms = terms.into_iter().filter(|(_, is_there)| *is_there).map(|(field, _)| format!("spec.{field}"));
    let metrics = spec.metrics.iter().enumerate().filter(|(_, metric)| metric.fallback.is_some());
    for field in terms.chain(metrics.map(|(i, _)| format!("spec.metrics[{i}].fallback"))) {
        found.push(Problem::new(
            field,
            "has no effect with compatibility: HPA, which knows none",
            "remove it, or compatibility",
        ));
    }
}

fn evidence(metric: &Metric, at: &str, found: &mut Vec<Problem>) {
    let evidence = &metric.evidence;
    let at = format!("{at}.evidence");
    duration(&format!("{at}.maxAge"), &evidence.max_age, 1, 3_600_000, found);
    let mut seen = BTreeSet::new();
    for (i, cluster) in evidence.clusters.iter().enumerate() {
        if cluster.is_empty() || !seen.insert(cluster) {
            found.push(Problem::new(
                format!("{at}.clusters[{i}]"),
                format!("{cluster:?} is empty or named twice"),
                "name each value of the cluster label once",
            ));
        }
    }
    if let Some(forget) = &evidence.forget_clusters {
        duration(&format!("{at}.forgetClusters"), forget, 1, 30 * 86_400_000, found);
    }
    if let Some(window) = &evidence.window {
        duration(&format!("{at}.window"), window, 1, 7 * 86_400_000, found);
    }
    if evidence.empty_means.is_some() && evidence.selectors.is_empty() {
        found.push(Problem::new(
            format!("{at}.emptyMeans"),
            "has no evidence.selectors beside it, and without them an empty answer is what a lost one looks like",
            "name series in evidence.selectors that are there whenever the answer may be believed",
        ));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label = &evidence.pod_label;
    if label.is_empty() || !label.chars().all(word) || label.starts_with(|c: char| c.is_ascii_digit()) {
        found.push(Problem::new(
            format!("{at}.podLabel"),
            format!("{label:?} is no label's name"),
            "write for example pod",
        ));
    }
}

fn behavior_rules(behavior: &Behavior, found: &mut Vec<Problem>) {
    for (name, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
        if let Some(rules) = rules {
            direction(&format!("spec.behavior.{name}"), rules, found);
        }
    }
}

fn direction(at: &str, rules: &Rules, found: &mut Vec<Problem>) {
    if let Some(window) = rules.stabilization_window_seconds {
        within(&format!("{at}.stabilizationWindowSeconds"), window, 0, 3600, found);
    }
    if let Some(tolerance) = &rules.tolerance {
        quantity(&format!("{at}.tolerance"), tolerance, 0, 1_000_000, "between 0 and 1000", found);
    }
    match rules.policies.as_deref() {
        Some([]) => found.push(Problem::new(
            format!("{at}.policies"),
            "is an empty list",
            "leave it out for the defaults, or write selectPolicy: Disabled to forbid this direction",
        )),
        Some(policies) => {
            for (i, policy) in policies.iter().enumerate() {
                within(&format!("{at}.policies[{i}].value"), policy.value, 1, i32::MAX, found);
                within(&format!("{at}.policies[{i}].periodSeconds"), policy.period_seconds, 1, 1800, found);
            }
        }
        None => {}
    }
}

fn ring(ring: &Ring, spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    if spec.scale_target_ref.kind != "StatefulSet" {
        found.push(Problem::new(
            "spec.ring",
            format!("needs a StatefulSet, but the target is a {}", spec.scale_target_ref.kind),
            "members leave by ordinal: point scaleTargetRef at the Receive StatefulSet, or remove ring",
        ));
    }
    within("spec.ring.replicationFactor", ring.replication_factor, 1, 9, found);
    if spec.max_replicas < ring.replication_factor {
        found.push(Problem::new(
            "spec.maxReplicas",
            format!("{} is below ring.replicationFactor {}", spec.max_replicas, ring.replication_factor),
            "allow at least as many replicas as copies of each sample",
        ));
    }
    for (field, value) in [("configMap", &ring.config_map), ("key", &ring.key), ("hashring", &ring.hashring)]
    {
        if value.is_empty() {
            found.push(Problem::new(format!("spec.ring.{field}"), "is empty", "give it a name"));
        }
    }
    if ring.port == 0 {
        found.push(Problem::new(
            "spec.ring.port",
            "0 is not a port",
            "write the members' gRPC port, often 10901",
        ));
    }
    duration("spec.ring.settle", &ring.settle, 0, 600_000, found);
}

fn within(field: &str, value: i32, min: i32, max: i32, found: &mut Vec<Problem>) {
    if !(min..=max).contains(&value) {
        let fix = format!("write a number from {min} to {max}");
        found.push(Problem::new(field, format!("{value} is out of range"), fix));
    }
}

fn duration(field: &str, text: &str, min_ms: u64, max_ms: u64, found: &mut Vec<Problem>) {
    let show = |ms| thanos_model::format_duration(Duration::from_millis(ms));
    match thanos_model::parse_duration(text).map(|d| d.as_millis()) {
        Err(message) => found.push(Problem::new(field, message, "use units ms, s, m, h, d, largest first")),
        Ok(ms) if ms < u128::from(min_ms) || ms > u128::from(max_ms) => {
            let fix = format!("write a duration from {} to {}", show(min_ms), show(max_ms));
            found.push(Problem::new(field, format!("{text} is out of range"), fix));
        }
        Ok(_) => {}
    }
}

fn quantity(
    field: &str,
    q: &Quantity,
    min_milli: i64,
    max_milli: i64,
    range: &str,
    found: &mut Vec<Problem>,
) {
    match q.milli() {
        Err(message) => found.push(Problem::new(field, message, "a whole number is the simplest form")),
        Ok(milli) if !(min_milli..=max_milli).contains(&milli) => {
            found.push(Problem::new(
                field,
                format!("{q} is out of range"),
                format!("write a quantity {range}"),
            ));
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests;
