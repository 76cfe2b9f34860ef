//! The trigger `prometheus` (KEDA 2.20, `pkg/scalers/prometheus_scaler.go`).

use autoscaler_api::Quantity;

use crate::draft::{Found, Measure, Metric, Target};
use crate::field::At;
use crate::note::Note;

/// What a key of a trigger's metadata is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// Read on its own.
    Read,
    /// KEDA itself looks at it no more.
    Ignored,
    /// When the workload leaves zero.
    Activation,
    /// How the server is reached; never shown, since it may hold a secret.
    Access(&'static str),
}

const KEYS: &[(&str, Key)] = &[
    ("serverAddress", Key::Read),
    ("query", Key::Read),
    ("threshold", Key::Read),
    ("ignoreNullValues", Key::Read),
    ("unsafeSsl", Key::Read),
    ("metricName", Key::Ignored),
    ("activationThreshold", Key::Activation),
    ("namespace", Key::Access("a query parameter that names the tenant's namespace")),
    ("queryParameters", Key::Access("parameters of every request")),
    ("customHeaders", Key::Access("headers of every request")),
    ("authModes", Key::Access("how requests are authenticated")),
    ("authMode", Key::Access("how requests are authenticated")),
    ("cortexOrgID", Key::Access("the tenant's header, X-Scope-OrgID")),
    ("timeout", Key::Access("how long an answer may take")),
    ("awsRegion", Key::Access("how requests are signed")),
    ("identityOwner", Key::Access("how requests are signed")),
    ("credentialsFromEnv", Key::Access("how requests are authenticated")),
    ("customAuthHeader", Key::Access("how requests are authenticated")),
    ("customAuthValue", Key::Access("how requests are authenticated")),
    ("apiKey", Key::Access("how requests are authenticated")),
    ("keyParamName", Key::Access("how requests are authenticated")),
    ("method", Key::Access("how requests are authenticated")),
];

/// What to do about how a server is reached.
const ACCESS: &str = "set it up for the controller's querier (gauntlet autoscaler run --help)";

/// Reads one trigger.
pub(super) fn read(trigger: &At<'_>, metadata: &At<'_>, from_zero: bool, found: &mut Found) {
    access(trigger, metadata, from_zero, &mut found.notes);
    let Some(query) = metadata.field("query").and_then(|q| q.scalar()).filter(|q| !q.is_empty()) else {
        found.notes.push(Note::lost(metadata.path_of("query"), "is missing", "write the PromQL"));
        return;
    };
    let Some(threshold) = metadata.field("threshold") else {
        found.notes.push(Note::lost(
            metadata.path_of("threshold"),
            "is missing",
            "write what a replica takes",
        ));
        return;
    };
    let Some(threshold) = above_zero(&threshold, &mut found.notes) else { return };
    let target = match trigger.field("metricType") {
        Some(kind) => match kind.one_of(&[("AverageValue", true), ("Value", false)], &mut found.notes) {
            Some(true) => Target::AverageValue(threshold),
            Some(false) => Target::Value(threshold),
            None => return,
        },
        None => Target::AverageValue(threshold),
    };
    nulls(metadata, &query, &mut found.notes);
    let named = trigger.field("name").and_then(|n| n.scalar()).filter(|n| !n.is_empty());
    let older = || metadata.field("metricName").and_then(|n| n.scalar()).filter(|n| !n.is_empty());
    found.metrics.push(Metric {
        name: named.or_else(older).unwrap_or_else(|| "prometheus".to_owned()),
        measure: Measure::Query(query),
        target,
        fallback: None,
        field: trigger.path().to_owned(),
        server: metadata.field("serverAddress").and_then(|s| s.scalar()),
    });
}

/// A threshold, which KEDA reads as a float.
pub(super) fn above_zero(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Quantity> {
    let text = at.scalar().unwrap_or_default();
    let as_quantity = Some(Quantity(text.clone()));
    let as_float = || {
        let float: f64 = text.parse().ok().filter(|f: &f64| f.is_finite())?;
        Some(Quantity(format!("{float:.3}")))
    };
    let sound = |q: &Quantity| q.milli().is_ok_and(|milli| milli > 0);
    let found = as_quantity.filter(sound).or_else(|| as_float().filter(sound));
    if found.is_none() {
        notes.push(at.wrong("a number above zero, for example '50'"));
    }
    found
}

fn access(trigger: &At<'_>, metadata: &At<'_>, from_zero: bool, notes: &mut Vec<Note>) {
    for name in metadata.names() {
        let path = metadata.path_of(name);
        match KEYS.iter().find(|(known, _)| *known == name).map(|(_, key)| *key) {
            None => notes.push(Note::lost(
                path,
                "is unknown to KEDA's prometheus trigger",
                "correct it, or drop it",
            )),
            Some(Key::Read | Key::Ignored) => {}
            Some(Key::Access(what)) => {
                let message = format!("{what}: a policy does not say how its querier is reached");
                notes.push(Note::lost(path, message, ACCESS));
            }
            Some(Key::Activation) if from_zero => {
                let message = "is when the workload leaves zero, to which this policy does not go";
                notes.push(Note::lost(path, message, "write the metric's activation beside minReplicas: 0"));
            }
            Some(Key::Activation) => {
                let message = "is about scaling from zero only, which minReplicaCount rules out";
                notes.push(Note::differs(path, message, "nothing is lost"));
            }
        }
    }
    if metadata.field("unsafeSsl").and_then(|u| u.scalar()).is_some_and(|text| super::is_true(&text)) {
        let message =
            "takes any certificate for the server's: a policy does not say how its querier is reached";
        notes.push(Note::lost(metadata.path_of("unsafeSsl"), message, "give the controller the server's CA"));
    }
    if let Some(auth) = trigger.field("authenticationRef") {
        let name = auth.field("name").and_then(|n| n.text()).unwrap_or("?");
        let message = format!("credentials of {name}: a policy does not say how its querier is reached");
        notes.push(Note::lost(auth.path(), message, ACCESS));
    }
}

/// What KEDA makes of an answer without a value.
fn nulls(metadata: &At<'_>, query: &str, notes: &mut Vec<Note>) {
    let at = metadata.field("ignoreNullValues");
    let ignored = at.as_ref().and_then(|a| a.scalar()).is_none_or(|text| super::is_true(&text));
    if let Some(at) = at.filter(|_| ignored) {
        let message = "true: an empty answer, NaN or Inf was zero for KEDA, and here holds the replicas";
        notes.push(Note::differs(at.path(), message, "write a query that gives a value at all times"));
    }
    let bare: String = query.chars().filter(|c| !c.is_whitespace()).collect();
    if bare.contains("vector(0)") {
        let message = "the 0 of vector(0) stands for series that are not there, and lowers nothing here";
        notes.push(Note::differs(
            metadata.path_of("query"),
            message,
            "query series that are there at all times",
        ));
    }
}
