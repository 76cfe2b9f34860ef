use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::{Kind, parse, render};

fn policy(name: &str, query: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": mode, "query": query,
        },
    })
}

fn hpa(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    })
}

/// Stands in for `check`: a query of "bad" is a problem, one of "odd" a note.
fn judge(document: &Value) -> Judged {
    let said = |word: &str| -> Vec<Problem> {
        let has = document["spec"]["query"].as_str().is_some_and(|q| q.contains(word));
        has.then(|| Problem::new("spec.query", format!("is {word}"), "mend it")).into_iter().collect()
    };
    Judged { problems: said("bad"), notes: said("odd") }
}

fn request(operation: &str, object: Value, old_object: Value) -> AdmissionRequest {
    AdmissionRequest {
        uid: "u".into(),
        kind: Kind { group: GROUP.into(), kind: "ScalingPolicy".into() },
        namespace: "shop".into(),
        operation: operation.into(),
        object,
        old_object,
        ..AdmissionRequest::default()
    }
}

fn known(policies: &[Value], hpas: &[Value]) -> Known {
    let mut known = Known::default();
    known.all_policies(policies);
    known.all_hpas(hpas);
    known
}

fn fields(verdict: &Verdict) -> Vec<&str> {
    verdict.problems.iter().map(|p| p.field.as_str()).collect()
}

#[test]
fn all_problems_are_told_at_once_each_with_its_cure() {
    let known = known(&[policy("first", "good", "Active")], &[hpa("web"), hpa("keda-hpa-shop-web")]);
    let verdict = review(&request("CREATE", policy("second", "bad", "Active"), Value::Null), &known, judge);
    let message = verdict.message();
    for expected in [
        "ScalingPolicy \"second\" has 4 problems",
        "spec.query: is bad; mend it",
        "already scaled by the active policy first, and two write over each other; keep one, or write mode: Shadow",
        "by the HorizontalPodAutoscaler web, and two write over each other; delete the HPA web, or",
        "pause the ScaledObject shop-web (annotation autoscaling.keda.sh/paused",
    ] {
        assert!(message.contains(expected), "{message}");
    }
    assert!(verdict.warnings.is_empty());
}

#[test]
fn an_hpa_that_comes_after_an_active_policy_is_refused() {
    let on = |mut hpa: Value, target: &str| {
        hpa["spec"]["scaleTargetRef"]["name"] = json!(target);
        hpa
    };
    let asked = |operation: &str, object: Value, old_object: Value| AdmissionRequest {
        kind: Kind { group: "autoscaling".into(), kind: "HorizontalPodAutoscaler".into() },
        ..request(operation, object, old_object)
    };
    let active = known(&[policy("first", "good", "Active")], &[]);
    let refused = review(&asked("CREATE", hpa("web"), Value::Null), &active, judge);
    assert_eq!(
        refused.message(),
        "HorizontalPodAutoscaler \"web\" has 1 problem\nspec.scaleTargetRef: Deployment web is already scaled by the \
         active policy first, and two write over each other; write mode: Shadow in first first, or delete it"
    );
    let moved = review(&asked("UPDATE", hpa("web"), on(hpa("web"), "api")), &active, judge);
    assert_eq!(fields(&moved), ["spec.scaleTargetRef"]);
    let shadow = known(&[policy("first", "good", "Shadow")], &[]);
    let status = AdmissionRequest {
        sub_resource: Some("status".into()),
        ..asked("UPDATE", hpa("web"), on(hpa("web"), "api"))
    };
    let mut ending = hpa("web");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    for (request, known, why) in [
        (asked("CREATE", hpa("web"), Value::Null), &shadow, "a policy that only shows"),
        (asked("CREATE", on(hpa("api"), "api"), Value::Null), &active, "another target"),
        (asked("UPDATE", hpa("web"), hpa("web")), &active, "it was there before"),
        (asked("UPDATE", ending, on(hpa("web"), "api")), &active, "it goes"),
        (asked("DELETE", Value::Null, hpa("web")), &active, "it goes"),
        (asked("CREATE", hpa("web"), Value::Null), &Known::default(), "nothing is known"),
        (status, &active, "a status"),
        (asked("CREATE", json!({"spec": 1}), Value::Null), &active, "nothing to read"),
    ] {
        let verdict = review(&request, known, judge);
        assert!(verdict.problems.is_empty() && verdict.warnings.is_empty(), "{why}: {verdict:?}");
    }
}

#[test]
fn each_request_has_its_verdict() {
    let active = |name: &str| policy(name, "good", "Active");
    let with = |mut object: Value, path: &str, value: Value| {
        *object.pointer_mut(path).expect("a parent") = value;
        object
    };
    let deleting = with(
        policy("first", "bad", "Active"),
        "/metadata",
        json!({"name": "first", "deletionTimestamp": "x"}),
    );
    let alone = || known(&[active("first")], &[]);
    let target = ["spec.scaleTargetRef"];
    let none: [&str; 0] = [];
    for (what, request, known, expected) in [
        (
            "another target",
            request("CREATE", with(active("b"), "/spec/scaleTargetRef/name", json!("api")), Value::Null),
            alone(),
            &none[..],
        ),
        ("a second on the target", request("CREATE", active("b"), Value::Null), alone(), &target[..]),
        ("the same in Shadow", request("CREATE", policy("b", "good", "Shadow"), Value::Null), alone(), &none),
        (
            "itself again",
            request("UPDATE", with(active("first"), "/spec/query", json!("better")), active("first")),
            alone(),
            &none,
        ),
        ("an HPA there", request("CREATE", active("b"), Value::Null), known(&[], &[hpa("web")]), &target),
        (
            "becomes Active beside one",
            request("UPDATE", active("b"), policy("b", "good", "Shadow")),
            alone(),
            &target,
        ),
        (
            "becomes wrong",
            request("UPDATE", policy("first", "bad", "Active"), active("first")),
            alone(),
            &["spec.query"],
        ),
        (
            "was wrong, other field",
            request(
                "UPDATE",
                with(policy("first", "bad", "Active"), "/spec/mode", json!("Paused")),
                policy("first", "bad", "Active"),
            ),
            alone(),
            &none,
        ),
        (
            "was wrong, metadata",
            request(
                "UPDATE",
                with(policy("first", "bad", "Active"), "/metadata/name", json!("first")),
                policy("first", "bad", "Active"),
            ),
            alone(),
            &none,
        ),
        ("is being deleted", request("UPDATE", deleting, policy("first", "good", "Active")), alone(), &none),
        ("deleted", request("DELETE", Value::Null, policy("first", "bad", "Active")), alone(), &none),
        (
            "status",
            AdmissionRequest {
                sub_resource: Some("status".into()),
                ..request("UPDATE", policy("first", "bad", "Active"), active("first"))
            },
            alone(),
            &none,
        ),
        (
            "another kind",
            AdmissionRequest {
                kind: Kind::default(),
                ..request("CREATE", policy("b", "bad", "Active"), Value::Null)
            },
            alone(),
            &none,
        ),
    ] {
        assert_eq!(fields(&review(&request, &known, judge)), expected, "{what}");
    }
}

#[test]
fn what_is_not_known_refuses_nothing_and_is_said() {
    let verdict =
        review(&request("CREATE", policy("b", "odd", "Active"), Value::Null), &Known::default(), judge);
    assert!(verdict.problems.is_empty());
    assert_eq!(verdict.warnings.len(), 2, "{:?}", verdict.warnings);
    assert!(verdict.warnings[0].contains("spec.query: is odd; mend it"));
    assert!(verdict.warnings[1].contains("not known here yet"));
    // The document itself is judged all the same.
    let verdict =
        review(&request("CREATE", policy("b", "bad", "Active"), Value::Null), &Known::default(), judge);
    assert_eq!(fields(&verdict), ["spec.query"]);
}

#[test]
fn two_policies_of_one_ring_are_refused() {
    let ring = |name: &str, target: &str, key: &str| {
        let mut object = policy(name, "good", "Active");
        object["spec"]["scaleTargetRef"]["name"] = target.into();
        object["spec"]["ring"] = json!({"configMap": "ring", "key": key});
        object
    };
    let known = known(&[ring("a", "a", "x.json")], &[]);
    let of = |object| review(&request("CREATE", object, Value::Null), &known, judge);
    assert_eq!(fields(&of(ring("b", "b", "x.json"))), ["spec.ring.configMap"]);
    assert!(of(ring("b", "b", "y.json")).problems.is_empty());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("Active")),
        Just(json!("Deployment")),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = prop_oneof![
            Just("spec".to_owned()),
            Just("metadata".to_owned()),
            Just("scaleTargetRef".to_owned()),
            Just("name".to_owned()),
            Just("kind".to_owned()),
            Just("ring".to_owned()),
            "\\PC{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever an API server could send, there is an answer, and it is one that the API server can read.
    #[test]
    fn no_request_panics(object in json_value(), old in json_value(), other in json_value(), update in any::<bool>()) {
        let known = known(std::slice::from_ref(&other), std::slice::from_ref(&other));
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "kind": {"group": GROUP, "version": "v1alpha1", "kind": "ScalingPolicy"},
                "operation": if update { "UPDATE" } else { "CREATE" }, "object": object, "oldObject": old,
            },
        });
        let request = parse(body.to_string().as_bytes()).unwrap();
        let verdict = review(&request, &known, judge);
        let answer = render(&request.uid, &verdict);
        prop_assert_eq!(&answer["response"]["uid"], "u");
        prop_assert_eq!(&answer["response"]["allowed"], verdict.problems.is_empty());
    }

    /// An update that leaves the spec as it is is never refused, whatever is wrong with it.
    #[test]
    fn an_unchanged_spec_is_admitted(object in json_value(), metadata in json_value()) {
        let mut changed = object.clone();
        if let Some(fields) = changed.as_object_mut() {
            fields.insert("metadata".into(), metadata);
        }
        let everywhere = known(std::slice::from_ref(&object), &[hpa("web")]);
        let always = |_: &Value| Judged { problems: vec![Problem::new("x", "y", "z")], notes: Vec::new() };
        let verdict = review(&request("UPDATE", changed, object), &everywhere, always);
        prop_assert!(verdict.problems.is_empty());
    }
}
