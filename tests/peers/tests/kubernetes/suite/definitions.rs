//! Custom resource definitions: kinds, schemas, rules, subresources, columns.

use serde_json::{Value, json};

use crate::subject::{Reply, Subject, eventually};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A definition of `Thing` in a group of the case's own.
fn definition(s: &Subject, schema: Value, version: Value) -> Value {
    let group = group(s);
    let mut first =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    for (key, value) in version.as_object().cloned().unwrap_or_default() {
        first[key] = value;
    }
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": [first],
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList", "shortNames": ["th"]}}})
}

fn group(s: &Subject) -> String {
    format!("{}.dev", s.namespace)
}

/// `/apis/GROUP/v1/namespaces/NAMESPACE/things/REST`.
fn things(s: &Subject, rest: &str) -> String {
    format!("/apis/{}/v1/namespaces/{}/things{rest}", group(s), s.namespace)
}

async fn define(s: &Subject, schema: Value, version: Value) -> Value {
    let made = s.post(DEFINITIONS, &definition(s, schema, version)).await;
    assert_eq!(made.code, 201, "{made:?}");
    let path = format!("{DEFINITIONS}/things.{}", group(s));
    let established = eventually(async || {
        let object = s.get(&path).await.body;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True").then_some(object)
    })
    .await;
    // Established is said a moment before it is served.
    eventually(async || (s.get(&things(s, "")).await.code == 200).then_some(())).await;
    established
}

fn thing(s: &Subject, spec: Value) -> Value {
    json!({"apiVersion": format!("{}/v1", group(s)), "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})
}

fn causes(reply: &Reply) -> Vec<(String, String)> {
    let text = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
    let found = reply.body["details"]["causes"].as_array().cloned().unwrap_or_default();
    found.iter().map(|c| (text(c, "field"), text(c, "message"))).collect()
}

pub(crate) async fn add_kinds(s: Subject) {
    let made =
        define(&s, json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), json!({})).await;
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(made["status"]["acceptedNames"]["kind"], "Thing");
    let object = s.post(&things(&s, ""), &json!({"apiVersion": format!("{}/v1", group(&s)), "kind": "Thing", "metadata": {"name": "t"}, "free": {"x": 1}})).await;
    assert_eq!((object.code, &object.body["free"]["x"]), (201, &json!(1)), "{object:?}");
    assert_eq!(object.body["metadata"]["generation"], 1);
    let listed = s.get(&things(&s, "")).await.body;
    assert_eq!(
        (listed["kind"].as_str(), listed["items"].as_array().map(Vec::len)),
        (Some("ThingList"), Some(1))
    );
    // No status subresource: the whole object is one.
    assert_eq!(s.get(&things(&s, "/t/status")).await.code, 404);
    let written = s.patch("merge", &things(&s, "/t"), &json!({"status": {"x": 1}})).await;
    assert_eq!(
        (&written.body["status"]["x"], &written.body["metadata"]["generation"]),
        (&json!(1), &json!(2))
    );
    let refused = s.patch("strategic", &things(&s, "/t"), &json!({})).await;
    assert_eq!(refused.status().0, 415);
    let path = format!("{DEFINITIONS}/things.{}", group(&s));
    assert_eq!(s.delete(&path, &Value::Null).await.code, 200);
    eventually(async || (s.get(&path).await.code == 404).then_some(())).await;
    eventually(async || (s.get(&things(&s, "")).await.code == 404).then_some(())).await;
}

pub(crate) async fn default_prune_and_judge(s: Subject) {
    let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "mode": {"type": "string", "default": "A", "enum": ["A", "B"]},
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3, "minLength": 2},
            "port": {"x-kubernetes-int-or-string": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "empty": {"type": "string", "nullable": true},
            "list": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}}}}}});
    define(&s, schema, json!({})).await;
    let made = s.post(&things(&s, ""), &thing(&s, json!({"size": 2, "unknown": 1, "empty": null}))).await;
    assert_eq!(made.body["spec"], json!({"size": 2, "mode": "A", "empty": null}), "{made:?}");
    assert_eq!(made.warnings, ["299 - \"unknown field \\\"spec.unknown\\\"\""]);
    let strict =
        s.post(&things(&s, "?fieldValidation=Strict"), &thing(&s, json!({"size": 2, "unknown": 1}))).await;
    assert_eq!(strict.status().0, 400);
    for (spec, field, message) in [
        (json!({}), "spec.size", "Required value"),
        (
            json!({"size": 0}),
            "spec.size",
            "Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ),
        (
            json!({"size": 10}),
            "spec.size",
            "Invalid value: 10: spec.size in body should be less than or equal to 9",
        ),
        (
            json!({"size": "x"}),
            "spec.size",
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (
            json!({"size": 1.5}),
            "spec.size",
            "Invalid value: \"number\": spec.size in body must be of type integer: \"number\"",
        ),
        (
            json!({"size": 1, "mode": "C"}),
            "spec.mode",
            "Unsupported value: \"C\": supported values: \"A\", \"B\"",
        ),
        (
            json!({"size": 1, "name": "ABC"}),
            "spec.name",
            "Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'",
        ),
        (json!({"size": 1, "name": "abcd"}), "spec.name", "Too long: may not be more than 3 bytes"),
        (
            json!({"size": 1, "name": "a"}),
            "spec.name",
            "Invalid value: \"a\": spec.name in body should be at least 2 chars long",
        ),
        (
            json!({"size": 1, "port": true}),
            "spec.port",
            "Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
        ),
        (
            json!({"size": 1, "labels": {"a": 1}}),
            "spec.labels.a",
            "Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"",
        ),
        (
            json!({"size": 1, "list": [{"k": "a"}, {"k": "b"}, {"k": "c"}]}),
            "spec.list",
            "Too many: 3: must have at most 2 items",
        ),
        (
            json!({"size": 1, "list": [{"k": "a"}, {"k": "a"}]}),
            "spec.list[1]",
            "Duplicate value: {\"k\":\"a\"}",
        ),
        (json!({"size": 1, "list": [{}]}), "spec.list[0].k", "Required value"),
    ] {
        let mut body = thing(&s, spec.clone());
        body["metadata"]["name"] = json!("u");
        let refused = s.post(&things(&s, ""), &body).await;
        let (code, reason, whole) = refused.status();
        assert_eq!((code, reason), (422, "Invalid"), "{spec}: {whole}");
        assert!(whole.starts_with(&format!("Thing.{} \"u\" is invalid: ", group(&s))), "{whole}");
        let found = causes(&refused);
        assert!(found.contains(&(field.to_owned(), message.to_owned())), "{spec}: {found:#?}");
    }
}

pub(crate) async fn have_rules(s: Subject) {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["min"],
        "x-kubernetes-validations": [
            {"rule": "!has(self.max) || self.min <= self.max", "message": "min must not be above max", "fieldPath": ".min"},
            {"rule": "self.min != 13", "messageExpression": "'not thirteen'", "reason": "FieldValueForbidden"}],
        "properties": {
            "min": {"type": "integer", "default": 1},
            "max": {"type": "integer"},
            "fixed": {"type": "string", "maxLength": 10, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed does not change"}]},
            "names": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 10,
                "x-kubernetes-validations": [{"rule": "self.startsWith('a')"}]}}}}}});
    define(&s, schema, json!({"subresources": {"status": {}}})).await;
    let made =
        s.post(&things(&s, ""), &thing(&s, json!({"min": 1, "max": 2, "fixed": "x", "names": ["ab"]}))).await;
    assert_eq!(made.code, 201, "{made:?}");
    for (spec, reason, field, message) in [
        (json!({"min": 3}), "FieldValueInvalid", "spec.min", "Invalid value: min must not be above max"),
        (json!({"min": 13, "max": 14}), "FieldValueForbidden", "spec", "Forbidden: not thirteen"),
        (json!({"fixed": "y"}), "FieldValueInvalid", "spec.fixed", "Invalid value: fixed does not change"),
        (
            json!({"names": ["ab", "b"]}),
            "FieldValueInvalid",
            "spec.names[1]",
            "Invalid value: failed rule: self.startsWith('a')",
        ),
    ] {
        let refused = s.patch("merge", &things(&s, "/t"), &json!({ "spec": spec })).await;
        let (code, _, whole) = refused.status();
        assert_eq!(code, 422, "{spec}: {whole}");
        let found = refused.body["details"]["causes"].as_array().unwrap().clone();
        let has = |c: &Value| {
            // The type or the value stands between in some versions.
            let said = c["message"].as_str().unwrap_or_default();
            let (start, end) = message.split_once(": ").unwrap();
            c["reason"] == reason && c["field"] == field && said.starts_with(start) && said.ends_with(end)
        };
        assert!(found.iter().any(has), "{spec}: {found:#?}");
    }
    assert_eq!(s.get(&things(&s, "/t")).await.body["spec"]["min"], 1);
    // Defaults are there before the rules look.
    let mut bare = thing(&s, json!({"max": 0}));
    bare["metadata"]["name"] = json!("u");
    assert_eq!(s.post(&things(&s, ""), &bare).await.status().0, 422);
    // The rules hold for an apply as well.
    let applied = json!({"apiVersion": format!("{}/v1", group(&s)), "kind": "Thing", "metadata": {"name": "t"}, "spec": {"min": 3}});
    let refused = s.patch("apply", &things(&s, "/t?fieldManager=m&force=true"), &applied).await;
    assert_eq!(refused.status().0, 422);
}

pub(crate) async fn must_be_sound(s: Subject) {
    let fine = || json!({"type": "object"});
    let with = |rule: &str| {
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": rule}]}}})
    };
    let mut misnamed = definition(&s, fine(), json!({}));
    misnamed["metadata"]["name"] = json!(format!("other.{}", group(&s)));
    let mut unstored = definition(&s, fine(), json!({}));
    unstored["spec"]["versions"][0]["storage"] = json!(false);
    let mut untyped = definition(&s, fine(), json!({}));
    untyped["spec"]["versions"][0].as_object_mut().unwrap().remove("schema");
    let mut scope = definition(&s, fine(), json!({}));
    scope["spec"]["scope"] = json!("Universe");
    let validations = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule";
    for (body, field) in [
        (misnamed, "metadata.name"),
        (unstored, "spec.versions"),
        (untyped, "schema.openAPIV3Schema"),
        (scope, "spec.scope"),
        (definition(&s, with("self.a >"), json!({})), validations),
    ] {
        let refused = s.post(DEFINITIONS, &body).await;
        let (code, _, message) = refused.status();
        assert_eq!(code, 422, "{field}: {message}");
        let fields: Vec<String> = causes(&refused).into_iter().map(|(f, _)| f).collect();
        let short = field.replace("spec.validation.openAPIV3Schema", "");
        assert!(fields.iter().any(|f| f == field || f.ends_with(&short)), "{field}: {fields:?} {message}");
    }
}

pub(crate) async fn have_scale_and_columns(s: Subject) {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "minimum": 1}}},
        "status": {"type": "object", "properties": {"size": {"type": "integer"}, "selector": {"type": "string"}}}}});
    let version = json!({
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Selector", "type": "string", "jsonPath": ".status.selector", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]});
    define(&s, schema, version).await;
    let made = s
        .post(&things(&s, ""), &{
            let mut born = thing(&s, json!({"size": 2}));
            born["status"] = json!({"size": 9});
            born
        })
        .await;
    assert_eq!(made.body.get("status"), None, "nobody is born with a status");
    s.patch("merge", &things(&s, "/t/status"), &json!({"status": {"size": 1, "selector": "a=b"}})).await;
    let scale = s.get(&things(&s, "/t/scale")).await.body;
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]),
        (&json!(2), &json!({"replicas": 1, "selector": "a=b"}))
    );
    let scaled = s.patch("merge", &things(&s, "/t/scale"), &json!({"spec": {"replicas": 4}})).await;
    assert_eq!((scaled.code, &scaled.body["spec"]["replicas"]), (200, &json!(4)), "{scaled:?}");
    let object = s.get(&things(&s, "/t")).await.body;
    assert_eq!((&object["spec"]["size"], &object["metadata"]["generation"]), (&json!(4), &json!(2)));
    let mut stale = scale;
    stale["spec"]["replicas"] = json!(5);
    assert_eq!(s.put(&things(&s, "/t/scale"), &stale).await.status().0, 409);
    let refused = s.patch("merge", &things(&s, "/t/scale"), &json!({"spec": {"replicas": 0}})).await;
    assert_eq!(refused.status().0, 422, "the schema holds for the scale too");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = s.send("GET", &things(&s, ""), "", table, "").await.body;
    let headings: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(headings, ["Name", "Size", "Selector", "Age"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("t"), json!(4), json!("a=b")]);
}
