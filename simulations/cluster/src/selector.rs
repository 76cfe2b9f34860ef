//! Label and field selectors, in the words of a list request.

use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::object;

/// `labelSelector` and `fieldSelector` of a list, watch or deletecollection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Debug, Clone)]
struct LabelTerm {
    key: String,
    op: LabelOp,
}

#[derive(Debug, Clone)]
enum LabelOp {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    NotExists,
}

#[derive(Debug, Clone)]
struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

/// Fields that may be selected on, beside `metadata.name` and `metadata.namespace`.
const FIELDS: &[&str] = &[
    "status.phase",
    "status.podIP",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.unschedulable",
    "type",
    "reason",
    "source",
    "status.replicas",
    "reportingComponent",
];

impl Selector {
    /// Parses both selectors.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(fields)? })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object::at(object, &["metadata", "labels"]);
        self.labels.iter().all(|term| {
            let value = labels.and_then(|l| l.get(&term.key)).and_then(Value::as_str);
            match (&term.op, value) {
                (LabelOp::In(values), Some(v)) => values.iter().any(|x| x == v),
                (LabelOp::In(_), None) => false,
                (LabelOp::NotIn(values), Some(v)) => !values.iter().any(|x| x == v),
                (LabelOp::NotIn(_), None) => true,
                (LabelOp::Exists, v) => v.is_some(),
                (LabelOp::NotExists, v) => v.is_none(),
            }
        }) && self.fields.iter().all(|term| {
            let path: Vec<&str> = term.path.iter().map(String::as_str).collect();
            let value = match object::at(object, &path) {
                Some(Value::String(s)) => s.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            (value == term.value) == term.equal
        })
    }
}

fn parse_fields(text: &str) -> Result<Vec<FieldTerm>> {
    let mut out = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (field, value, equal) = if let Some((f, v)) = part.split_once("!=") {
            (f, v, false)
        } else if let Some((f, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (f, v, true)
        } else {
            return Err(ApiError::bad_request(format!(
                "invalid field selector {part:?}: expected FIELD=VALUE"
            )));
        };
        let field = field.trim();
        let known = field == "metadata.name"
            || field == "metadata.namespace"
            || FIELDS.contains(&field)
            || field.starts_with("involvedObject.")
            || field.starts_with("regarding.");
        if !known {
            return Err(ApiError::bad_request(format!("field label not supported: {field}")));
        }
        // Events are kept in core/v1's form, whichever group asks.
        let field =
            field.strip_prefix("regarding.").map_or(field.to_owned(), |r| format!("involvedObject.{r}"));
        out.push(FieldTerm {
            path: field.split('.').map(str::to_owned).collect(),
            value: value.trim().to_owned(),
            equal,
        });
    }
    Ok(out)
}

fn parse_labels(text: &str) -> Result<Vec<LabelTerm>> {
    let mut out = Vec::new();
    for part in split_outside_parentheses(text) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let bad = || ApiError::bad_request(format!("unable to parse label selector requirement {part:?}"));
        let term = if let Some(open) = part.find('(') {
            let inner = part.get(open + 1..).and_then(|r| r.strip_suffix(')')).ok_or_else(bad)?;
            let values: Vec<String> = inner.split(',').map(|v| v.trim().to_owned()).collect();
            let mut words = part.get(..open).unwrap_or_default().split_whitespace();
            let key = words.next().ok_or_else(bad)?.to_owned();
            match (words.next(), words.next()) {
                (Some("in"), None) => LabelTerm { key, op: LabelOp::In(values) },
                (Some("notin"), None) => LabelTerm { key, op: LabelOp::NotIn(values) },
                _ => return Err(bad()),
            }
        } else if let Some((key, value)) = part.split_once("!=") {
            LabelTerm { key: key.trim().to_owned(), op: LabelOp::NotIn(vec![value.trim().to_owned()]) }
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            LabelTerm { key: key.trim().to_owned(), op: LabelOp::In(vec![value.trim().to_owned()]) }
        } else if let Some(key) = part.strip_prefix('!') {
            LabelTerm { key: key.trim().to_owned(), op: LabelOp::NotExists }
        } else {
            LabelTerm { key: part.to_owned(), op: LabelOp::Exists }
        };
        let key_ok = !term.key.is_empty()
            && term.key.len() <= 317
            && term.key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if !key_ok {
            return Err(bad());
        }
        out.push(term);
    }
    Ok(out)
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text.get(start..i).unwrap_or_default());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"app": "web", "tier": "x"}},
            "status": {"phase": "Running"},
        });
        for (labels, fields, expected) in [
            ("", "", true),
            ("app=web", "", true),
            ("app==web,tier!=y", "", true),
            ("app in (web, front),tier", "", true),
            ("app notin (web)", "", false),
            ("!app", "", false),
            ("!other", "", true),
            ("other!=x", "", true),
            ("other in (x)", "", false),
            ("", "metadata.name=a", true),
            ("", "metadata.name!=a", false),
            ("", "status.phase=Running,spec.nodeName=", true),
            ("", "spec.nodeName!=", false),
        ] {
            let got = Selector::parse(labels, fields).unwrap().matches(&pod);
            assert_eq!(got, expected, "{labels:?} {fields:?}");
        }
        for (labels, fields) in
            [("app in web", ""), ("a b (x)", ""), ("=x", ""), ("", "spec.foo=1"), ("", "x")]
        {
            assert_eq!(Selector::parse(labels, fields).unwrap_err().code, 400, "{labels:?} {fields:?}");
        }
    }
}
