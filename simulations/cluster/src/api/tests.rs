//! The verbs against whatever a client may send.

use proptest::prelude::*;

use super::*;

fn state() -> State {
    State::new(7, 1000, Timestamp::UNIX_EPOCH)
}

fn call(state: &State, group: &str, plural: &str, name: &str) -> Call {
    let resource = state.registry.get(group, "v1", plural).unwrap().clone();
    Call {
        namespace: if resource.namespaced { "default".into() } else { String::new() },
        resource,
        name: name.into(),
        subresource: Subresource::None,
        manager: "test".into(),
        dry_run: false,
        force: false,
        validation: FieldValidation::Warn,
        warnings: Vec::new(),
        duplicates: Vec::new(),
    }
}

#[test]
fn refused_writes_change_nothing() {
    let mut state = state();
    let before = state.store.revision();
    for (group, plural, body, code) in [
        ("", "pods", json!({"metadata": {"name": "a"}, "spec": {"containers": []}}), 422),
        ("", "pods", json!({"metadata": {"name": "a"}, "spec": {"containers": "x"}}), 400),
        (
            "",
            "pods",
            json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}}),
            422,
        ),
        ("apps", "deployments", json!({"metadata": {"name": "a"}, "spec": {"template": {}}}), 422),
        (
            "apps",
            "deployments",
            json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
            422,
        ),
        ("", "configmaps", json!({"metadata": {"name": "a", "annotations": [1]}}), 400),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"metadata": {"name": "a"}, "spec": {}}),
            422,
        ),
    ] {
        let mut call = call(&state, group, plural, "");
        let error = state.create(&mut call, body.clone(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.code, code, "{body}: {error}");
    }
    assert_eq!(state.store.revision(), before);
}

#[test]
fn pods_on_a_node_have_their_grace_and_others_none() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let body = json!({"metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "c", "image": "i"}]}});
    let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
    let mut c = call(&state, "", "pods", "p");
    state.create(&mut c, body.clone(), now).unwrap();
    assert!(state.delete(&c, &options, now).unwrap().1, "nothing runs yet");
    state.create(&mut c, body, now).unwrap();
    state.bind(&mut c, &json!({"target": {"name": "n"}}), now).unwrap();
    let (pod, gone) = state.delete(&c, &options, now).unwrap();
    assert!(!gone);
    assert_eq!(object::text(&pod, &["metadata", "deletionTimestamp"]), "1970-01-01T00:00:05Z");
    let force = DeleteOptions { grace_seconds: Some(0), ..options };
    assert!(state.delete(&c, &force, now).unwrap().1);
}

/// Documents that look like objects in places.
fn documents() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "name",
        "labels",
        "finalizers",
        "ownerReferences",
        "containers",
        "ports",
        "template",
        "selector",
        "matchLabels",
        "replicas",
        "managedFields",
        "fieldsV1",
        "f:spec",
        "k:{}",
        "deletionTimestamp",
        "uid",
        "resourceVersion",
        "$patch",
        "$retainKeys",
        "op",
        "path",
        "from",
        "value",
        "versions",
        "names",
        "a",
        "apiVersion",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "", "a", "default", "delete", "replace", "add", "copy", "/spec", "Always", "25%", "-1"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_panics(body in documents(), plural in 0usize..6, kind in 0usize..4, sub in 0usize..3) {
        let mut state = state();
        let now = Timestamp::UNIX_EPOCH;
        let (group, plural) = [("", "pods"), ("apps", "deployments"), ("apps", "statefulsets"), ("", "services"),
            ("events.k8s.io", "events"), ("apiextensions.k8s.io", "customresourcedefinitions")][plural];
        let mut c = call(&state, group, plural, "");
        let _ = state.create(&mut c, body.clone(), now);
        let mut seeded = call(&state, "apps", "deployments", "");
        state.create(&mut seeded, json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}), now).unwrap();
        let mut c = call(&state, "apps", "deployments", "d");
        c.subresource = [Subresource::None, Subresource::Status, Subresource::Scale][sub];
        let kind = [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic, PatchKind::Apply][kind];
        if c.subresource == Subresource::Scale {
            let _ = state.patch_scale(&mut c, kind, body.clone(), now);
        } else {
            let _ = state.patch(&mut c, kind, body.clone(), now);
        }
        c.subresource = Subresource::None;
        let _ = state.update(&mut c, body.clone(), now);
        if let Ok(options) = DeleteOptions::from_body(&body) {
            let _ = state.delete(&c, &options, now);
        }
        for resource in state.registry.iter() {
            for (_, object) in state.store.list(&resource.collection, None, None) {
                crate::table::table(resource, &[object], "", now);
            }
        }
    }
}
