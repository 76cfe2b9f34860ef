//! Label and field selectors, in the words of a list request.

use serde_json::Value;

use crate::builtin::names;
use crate::error::{ApiError, Result};
use crate::object;
use crate::resources::Resource;

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
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone)]
struct FieldTerm {
    path: Vec<String>,
    /// What an object has that says nothing of it.
    zero: &'static str,
    value: String,
    equal: bool,
}

/// What of a kind may be selected on, beside its name and namespace, and what an object has that says nothing of it.
/// Source: kubernetes, `AddFieldLabelConversionFunc` and `SelectableFields` of each kind.
fn fields_of(resource: &Resource) -> &'static [(&'static str, &'static str)] {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => &[
            ("spec.nodeName", ""),
            ("spec.restartPolicy", ""),
            ("spec.schedulerName", ""),
            ("spec.serviceAccountName", ""),
            ("spec.hostNetwork", "false"),
            ("status.phase", ""),
            ("status.podIP", ""),
            ("status.nominatedNodeName", ""),
        ],
        ("", "Node") => &[("spec.unschedulable", "false")],
        ("", "Namespace") => &[("status.phase", "")],
        ("", "Secret") => &[("type", "")],
        ("", "Service") => &[("spec.clusterIP", ""), ("spec.type", "")],
        ("apps", "ReplicaSet") => &[("status.replicas", "0")],
        ("", "Event") => &[
            ("involvedObject.kind", ""),
            ("involvedObject.namespace", ""),
            ("involvedObject.name", ""),
            ("involvedObject.uid", ""),
            ("involvedObject.apiVersion", ""),
            ("involvedObject.resourceVersion", ""),
            ("involvedObject.fieldPath", ""),
            ("reason", ""),
            ("reportingComponent", ""),
            ("source", ""),
            ("type", ""),
        ],
        ("events.k8s.io", "Event") => &[
            ("regarding.kind", ""),
            ("regarding.namespace", ""),
            ("regarding.name", ""),
            ("regarding.uid", ""),
            ("regarding.apiVersion", ""),
            ("regarding.resourceVersion", ""),
            ("regarding.fieldPath", ""),
            ("reason", ""),
            ("reportingController", ""),
            ("type", ""),
        ],
        _ => &[],
    }
}

const SOURCE: [&str; 2] = ["source", "component"];

/// Where a field is kept. Events are in core/v1's form, whichever group asks.
fn path_of(field: &str) -> Vec<String> {
    let field = match field {
        "source" => SOURCE.join("."),
        "reportingController" => "reportingComponent".to_owned(),
        field => field.strip_prefix("regarding.").map_or(field.to_owned(), |r| format!("involvedObject.{r}")),
    };
    field.split('.').map(str::to_owned).collect()
}

impl Selector {
    /// Parses both selectors, of objects of this resource.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    /// The same, of objects with this name alone; "" is any.
    pub(crate) fn named(mut self, name: &str) -> Self {
        if !name.is_empty() {
            let path = vec!["metadata".to_owned(), "name".to_owned()];
            self.fields.push(FieldTerm { path, zero: "", value: name.to_owned(), equal: true });
        }
        self
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
                (LabelOp::Greater(bound), v) => v.and_then(integer).is_some_and(|v| v > *bound),
                (LabelOp::Less(bound), v) => v.and_then(integer).is_some_and(|v| v < *bound),
            }
        }) && self.fields.iter().all(|term| {
            let path: Vec<&str> = term.path.iter().map(String::as_str).collect();
            let at = match object::at(object, &path) {
                // Newer events have it there alone.
                None | Some(Value::Null) if path == SOURCE => object.get("reportingComponent"),
                at => at,
            };
            let value = match at {
                Some(Value::String(s)) => s.clone(),
                Some(Value::Null) | None => term.zero.to_owned(),
                Some(other) => other.to_string(),
            };
            (value == term.value) == term.equal
        })
    }
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<FieldTerm>> {
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
        let zero = match field {
            "metadata.name" => Some(""),
            "metadata.namespace" => resource.namespaced.then_some(""),
            field => fields_of(resource).iter().find(|(name, _)| *name == field).map(|(_, zero)| *zero),
        };
        let Some(zero) = zero else {
            return Err(ApiError::bad_request(format!("field label not supported: {field}")));
        };
        out.push(FieldTerm { path: path_of(field), zero, value: value.trim().to_owned(), equal });
    }
    Ok(out)
}

/// Tokens of a label selector. Source: apimachinery `pkg/labels` (grammar): words are words or keywords by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Operator(&'a str),
    Open,
    Close,
    Comma,
    Not,
    End,
}

/// Reads the tokens one by one.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Token<'a> {
        Tokens { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let (token, len) = match self.rest.as_bytes() {
            [] => (Token::End, 0),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b',', ..] => (Token::Comma, 1),
            [b'=', b'=', ..] => (Token::Operator("=="), 2),
            [b'!', b'=', ..] => (Token::Operator("!="), 2),
            [b'=', ..] => (Token::Operator("="), 1),
            [b'>', ..] => (Token::Operator(">"), 1),
            [b'<', ..] => (Token::Operator("<"), 1),
            [b'!', ..] => (Token::Not, 1),
            _ => {
                let special = |c: char| " \t\r\n=!(),><".contains(c);
                let len = self.rest.find(special).unwrap_or(self.rest.len());
                (Token::Word(self.rest.get(..len).unwrap_or_default()), len)
            }
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        token
    }
}

fn unparsable(why: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {why}"))
}

fn expected(found: Token<'_>, what: &str) -> ApiError {
    let found = match found {
        Token::Word(text) | Token::Operator(text) => text,
        Token::Open => "(",
        Token::Close => ")",
        Token::Comma => ",",
        Token::Not => "!",
        Token::End => "",
    };
    unparsable(format!("found '{found}', expected: {what}"))
}

fn parse_labels(text: &str) -> Result<Vec<LabelTerm>> {
    let mut tokens = Tokens { rest: text };
    let mut out = Vec::new();
    if tokens.peek() == Token::End {
        return Ok(out);
    }
    loop {
        out.push(parse_term(&mut tokens)?);
        match tokens.next() {
            Token::End => return Ok(out),
            Token::Comma if matches!(tokens.peek(), Token::Word(_) | Token::Not) => {}
            Token::Comma => return Err(expected(tokens.peek(), "identifier after ','")),
            other => return Err(expected(other, "',' or 'end of string'")),
        }
    }
}

fn parse_term(tokens: &mut Tokens<'_>) -> Result<LabelTerm> {
    let mut token = tokens.next();
    let not = token == Token::Not;
    if not {
        token = tokens.next();
    }
    let Token::Word(key) = token else { return Err(expected(token, "identifier")) };
    if let Some(why) = names::qualified_name(key).first() {
        return Err(unparsable(format!("<nil>: Invalid value: {key:?}: {why}")));
    }
    let key = key.to_owned();
    if not {
        return Ok(LabelTerm { key, op: LabelOp::NotExists });
    }
    if matches!(tokens.peek(), Token::End | Token::Comma) {
        return Ok(LabelTerm { key, op: LabelOp::Exists });
    }
    let op = match tokens.next() {
        Token::Operator("=" | "==") => LabelOp::In(vec![parse_value(tokens)?]),
        Token::Operator("!=") => LabelOp::NotIn(vec![parse_value(tokens)?]),
        Token::Operator(">") => LabelOp::Greater(number(&parse_value(tokens)?)?),
        Token::Operator("<") => LabelOp::Less(number(&parse_value(tokens)?)?),
        Token::Word("in") => LabelOp::In(parse_values(tokens)?),
        Token::Word("notin") => LabelOp::NotIn(parse_values(tokens)?),
        other => return Err(expected(other, "in, notin, =, ==, !=, gt, lt")),
    };
    let (LabelOp::In(values) | LabelOp::NotIn(values)) = &op else { return Ok(LabelTerm { key, op }) };
    for (i, value) in values.iter().enumerate() {
        if let Some(why) = names::label_value(value).first() {
            return Err(unparsable(format!("values[{i}][{key}]: Invalid value: {value:?}: {why}")));
        }
    }
    Ok(LabelTerm { key, op })
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        let why = "for 'Gt', 'Lt' operators, the value must be an integer";
        unparsable(format!("values[0]: Invalid value: {text:?}: {why}"))
    })
}

/// One value, which may be empty.
fn parse_value(tokens: &mut Tokens<'_>) -> Result<String> {
    if matches!(tokens.peek(), Token::End | Token::Comma) {
        return Ok(String::new());
    }
    match tokens.next() {
        Token::Word(value) => Ok(value.to_owned()),
        other => Err(expected(other, "identifier")),
    }
}

/// `(a, b)`; what is left out between commas is an empty value.
fn parse_values(tokens: &mut Tokens<'_>) -> Result<Vec<String>> {
    match tokens.next() {
        Token::Open => {}
        other => return Err(expected(other, "'('")),
    }
    let mut values = Vec::new();
    loop {
        values.push(match tokens.peek() {
            Token::Word(value) => {
                tokens.next();
                value.to_owned()
            }
            _ => String::new(),
        });
        match tokens.next() {
            Token::Comma => {}
            Token::Close => return Ok(values),
            other => return Err(expected(other, "',' or ')'")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"app": "web", "tier": "x", "n": "7", "empty": "", "in": "notin"}},
            "status": {"phase": "Running"},
        });
        let pods = resource("", "pods");
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
            ("n>5,n<8", "", true),
            ("n > 7", "", false),
            ("n<-1", "", false),
            ("app>5", "", false),
            ("other>5", "", false),
            ("empty=", "", true),
            ("empty in ()", "", true),
            ("empty in (x,)", "", true),
            ("app in (,web)", "", true),
            ("app=,tier", "", false),
            ("in=notin", "", true),
            (" app = web , tier ", "", true),
            ("example.com/key!=x", "", true),
            ("", "metadata.name=a", true),
            ("", "metadata.name!=a", false),
            ("", "status.phase=Running,spec.nodeName=", true),
            ("", "spec.nodeName!=", false),
        ] {
            let got = Selector::parse(&pods, labels, fields).unwrap().matches(&pod);
            assert_eq!(got, expected, "{labels:?} {fields:?}");
        }
        for (labels, fields) in [
            ("app in web", ""),
            ("a b (x)", ""),
            ("=x", ""),
            ("", "spec.foo=1"),
            ("", "x"),
            ("app=a b", ""),
            ("app,", ""),
            (",app", ""),
            ("app=a/b", ""),
            ("app>x", ""),
            ("app>", ""),
            ("a..b/c=x", ""),
            ("a/b/c", ""),
            ("app in (a", ""),
            ("app in (a b)", ""),
            ("!app=x", ""),
            ("app=-a", ""),
            ("app=a=b", ""),
            ("((", ""),
            ("!", ""),
            ("app===x", ""),
            ("app in (-)", ""),
            ("ä", ""),
        ] {
            assert_eq!(
                Selector::parse(&pods, labels, fields).unwrap_err().code,
                400,
                "{labels:?} {fields:?}"
            );
        }
    }

    fn resource(group: &str, plural: &str) -> std::sync::Arc<Resource> {
        crate::resources::Registry::new().get(group, "v1", plural).unwrap().clone()
    }

    #[test]
    fn each_kind_has_its_own_fields_and_each_field_its_own_zero() {
        for (group, plural, object, fields, expected) in [
            ("", "nodes", json!({}), "spec.unschedulable=false", Some(true)),
            ("", "nodes", json!({}), "spec.unschedulable=true", Some(false)),
            ("", "nodes", json!({"spec": {"unschedulable": true}}), "spec.unschedulable=false", Some(false)),
            ("", "nodes", json!({"spec": {"unschedulable": true}}), "spec.unschedulable!=false", Some(true)),
            ("", "nodes", json!({}), "metadata.namespace=default", None),
            ("", "nodes", json!({}), "spec.nodeName=a", None),
            ("", "pods", json!({}), "spec.hostNetwork=false", Some(true)),
            ("", "pods", json!({"spec": {"hostNetwork": true}}), "spec.hostNetwork=true", Some(true)),
            ("", "pods", json!({}), "spec.nodeName=", Some(true)),
            ("", "pods", json!({"spec": {"schedulerName": "x"}}), "spec.schedulerName=x", Some(true)),
            ("", "pods", json!({}), "spec.unschedulable=false", None),
            ("", "pods", json!({}), "type=x", None),
            ("", "pods", json!({}), "involvedObject.name=x", None),
            ("apps", "replicasets", json!({}), "status.replicas=0", Some(true)),
            ("apps", "replicasets", json!({"status": {"replicas": 3}}), "status.replicas=3", Some(true)),
            ("apps", "replicasets", json!({"status": {"replicas": 3}}), "status.replicas=0", Some(false)),
            ("apps", "deployments", json!({}), "status.replicas=0", None),
            ("", "services", json!({"spec": {"type": "NodePort"}}), "spec.type=NodePort", Some(true)),
            ("", "services", json!({"spec": {"clusterIP": "None"}}), "spec.clusterIP=None", Some(true)),
            ("", "secrets", json!({"type": "Opaque"}), "type=Opaque", Some(true)),
            ("", "configmaps", json!({}), "type=Opaque", None),
            ("", "namespaces", json!({"status": {"phase": "Active"}}), "status.phase=Active", Some(true)),
            ("", "events", json!({"source": {"component": "c"}}), "source=c", Some(true)),
            ("", "events", json!({"reportingComponent": "c"}), "source=c", Some(true)),
            ("", "events", json!({"involvedObject": {"name": "p"}}), "involvedObject.name=p", Some(true)),
            ("", "events", json!({}), "involvedObject.colour=p", None),
            (
                "events.k8s.io",
                "events",
                json!({"involvedObject": {"name": "p"}}),
                "regarding.name=p",
                Some(true),
            ),
            (
                "events.k8s.io",
                "events",
                json!({"reportingComponent": "c"}),
                "reportingController=c",
                Some(true),
            ),
            ("events.k8s.io", "events", json!({}), "regarding.colour=p", None),
        ] {
            let selector = Selector::parse(&resource(group, plural), "", fields);
            let got = selector.map(|s| s.matches(&object)).map_err(|e| (e.code, e.message));
            let unsupported =
                format!("field label not supported: {}", fields.split(['=', '!']).next().unwrap());
            assert_eq!(got, expected.ok_or((400, unsupported)), "{plural} {fields} {object}");
        }
    }
}
