//! PromQL as text: names, matchers, and the pods of a workload.

use autoscaler_api::ScaleTargetRef;

use crate::field::At;
use crate::note::Note;

/// A label matcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    label: String,
    op: &'static str,
    value: String,
}

impl Matcher {
    pub(crate) fn new(label: &str, op: &'static str, value: impl Into<String>) -> Self {
        Self { label: label.to_owned(), op, value: value.into() }
    }
}

/// A series selector.
pub(crate) fn selector(name: &str, matchers: &[Matcher]) -> String {
    let inner: Vec<String> =
        matchers.iter().map(|m| format!("{}{}{}", m.label, m.op, quoted(&m.value))).collect();
    if inner.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", inner.join(",")) }
}

/// Whether a metric of that name can come from a Prometheus without quotes around it.
pub(crate) fn is_metric_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// As an exporter writes a label whose name has other characters.
fn label_name(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let text: String = name.chars().map(word).collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("_{text}") } else { text }
}

/// Text that a regular expression of RE2 matches as it is.
pub(crate) fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The pattern of the names of a workload's pods, as its controller makes them (Kubernetes 1.35,
/// `pkg/controller/replicaset`, `pkg/controller/statefulset`).
pub(crate) fn pods_of(target: &ScaleTargetRef) -> String {
    let name = literally(&target.name);
    match target.kind.as_str() {
        "Deployment" => format!("{name}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"),
        "ReplicaSet" | "ReplicationController" => format!("{name}-[a-z0-9]{{5}}"),
        "StatefulSet" => format!("{name}-[0-9]+"),
        _ => format!("{name}-.+"),
    }
}

/// A Kubernetes label selector as matchers. Names that Prometheus does not allow become what exporters write.
pub(crate) fn matchers(selector: Option<At<'_>>, notes: &mut Vec<Note>) -> Vec<Matcher> {
    let Some(selector) = selector else { return Vec::new() };
    selector.tell_unknown(&["matchLabels", "matchExpressions"], notes);
    let mut found = Vec::new();
    if let Some(labels) = selector.field("matchLabels") {
        for name in labels.names() {
            let Some(value) = labels.field(name) else { continue };
            match value.scalar() {
                Some(text) => found.push(Matcher::new(&label_name(name), "=", text)),
                None => notes.push(value.wrong("a string")),
            }
        }
    }
    for e in selector.field("matchExpressions").map(|e| e.items()).unwrap_or_default() {
        match expression(&e) {
            Some(matcher) => found.push(matcher),
            None => notes.push(e.wrong("key, operator In, NotIn, Exists or DoesNotExist, and values")),
        }
    }
    found
}

fn expression(e: &At<'_>) -> Option<Matcher> {
    let label = label_name(e.field("key")?.text().filter(|key| !key.is_empty())?);
    let values = e.field("values").map(|v| v.items()).unwrap_or_default();
    let one_of = || {
        let texts: Option<Vec<String>> = values.iter().map(|v| Some(literally(&v.scalar()?))).collect();
        texts.filter(|t| !t.is_empty()).map(|t| t.join("|"))
    };
    Some(match e.field("operator")?.text()? {
        "In" => Matcher::new(&label, "=~", one_of()?),
        "NotIn" => Matcher::new(&label, "!~", one_of()?),
        "Exists" => Matcher::new(&label, "!=", ""),
        "DoesNotExist" => Matcher::new(&label, "=", ""),
        _ => return None,
    })
}

/// The sum of a metric that an adapter serves under this name, in the commonest case: counters as rates, and
/// `…_per_second` as the rate of `…_total`, as prometheus-adapter's own examples name it.
pub(crate) fn sum(name: &str, matchers: &[Matcher]) -> String {
    let rate = |name: &str| format!("sum(rate({}[2m]))", selector(name, matchers));
    if let Some(base) = name.strip_suffix("_per_second").filter(|base| !base.is_empty()) {
        return rate(&format!("{base}_total"));
    }
    let counts = ["_total", "_count", "_sum"].iter().any(|end| name.ends_with(end));
    if counts { rate(name) } else { format!("sum({})", selector(name, matchers)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_label_selector_becomes_matchers() {
        let value = json!({
            "matchLabels": {"app.kubernetes.io/name": "a\"b", "n": 3},
            "matchExpressions": [
                {"key": "queue", "operator": "In", "values": ["a.b", "c"]},
                {"key": "tier", "operator": "NotIn", "values": ["x"]},
                {"key": "zone", "operator": "Exists"},
                {"key": "2nd", "operator": "DoesNotExist"},
                {"key": "bad", "operator": "Gt", "values": ["1"]},
                {"key": "bad", "operator": "In", "values": []},
            ],
        });
        let mut notes = Vec::new();
        let matchers = matchers(Some(At::root(&value)), &mut notes);
        assert_eq!(
            selector("m", &matchers),
            r#"m{app_kubernetes_io_name="a\"b",n="3",queue=~"a\\.b|c",tier!~"x",zone!="",_2nd=""}"#
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
    }

    #[test]
    fn counters_are_summed_as_rates() {
        for (name, query) in [
            ("queue_depth", "sum(queue_depth)"),
            ("jobs_total", "sum(rate(jobs_total[2m]))"),
            ("http_requests_per_second", "sum(rate(http_requests_total[2m]))"),
            ("_per_second", "sum(_per_second)"),
        ] {
            assert_eq!(sum(name, &[]), query);
        }
    }
}
