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

#[test]
fn what_was_read_can_be_written_back() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let meta = json!({"name": "x"});
    let container = json!({"name": "c", "image": "i", "env": [], "resources": {"limits": {"cpu": "1000m"}}});
    let pod = json!({"containers": [container], "volumes": [{"name": "v"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let workload = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}});
    for (group, plural, body) in [
        ("", "pods", json!({"spec": pod})),
        ("", "services", json!({"spec": {"ports": [{"port": 80}]}})),
        ("", "configmaps", json!({"data": {}})),
        ("", "secrets", json!({"stringData": {"a": "b"}})),
        ("", "persistentvolumeclaims", json!({ "spec": claim })),
        ("", "serviceaccounts", json!({"secrets": []})),
        ("", "nodes", json!({"status": {"capacity": {"cpu": 2}}})),
        ("", "endpoints", json!({"subsets": [{"ports": [{"port": 1}]}]})),
        ("apps", "deployments", json!({ "spec": workload })),
        ("apps", "replicasets", json!({ "spec": workload })),
        ("apps", "statefulsets", json!({ "spec": workload })),
        ("coordination.k8s.io", "leases", json!({"spec": {}})),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [], "ports": [{}]}),
        ),
        ("rbac.authorization.k8s.io", "roles", json!({"rules": null})),
        ("rbac.authorization.k8s.io", "rolebindings", json!({"roleRef": {"kind": "Role", "name": "r"}})),
    ] {
        let mut body = body;
        body["metadata"] = meta.clone();
        let mut c = call(&state, group, plural, "");
        let made = state.create(&mut c, body, now).unwrap();
        assert!(c.warnings.is_empty(), "{plural}: {:?}", c.warnings);
        let again = state.update(&mut c, Value::clone(&made), now).unwrap().0;
        assert_eq!(again, made, "{plural}: the same, at the same version");
        // As a client of another language would send it: the version alone tells that it was read.
        assert_eq!(object::resource_version(&again), object::resource_version(&made), "{plural}");
        assert!(made.get("stringData").is_none());
    }
}

#[test]
fn leases_are_replaced_by_who_knows_them() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let lease = |holder: &str| json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder}});
    let mut c = call(&state, "coordination.k8s.io", "leases", "l");
    let (made, created) = state.update(&mut c, lease("a"), now).unwrap();
    assert!(created, "an update makes a lease");
    assert_eq!(state.update(&mut c, lease("b"), now).unwrap_err().code, 422);
    let mut next = lease("b");
    next["metadata"]["resourceVersion"] = json!(object::resource_version(&made));
    assert!(!state.update(&mut c, next.clone(), now).unwrap().1);
    assert_eq!(state.update(&mut c, next, now).unwrap_err().code, 409);
    let mut c = call(&state, "", "configmaps", "m");
    assert_eq!(state.update(&mut c, json!({"metadata": {"name": "m"}}), now).unwrap_err().code, 404);
}

#[test]
fn owners_take_theirs_with_them_and_old_events_go_first() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let make = |state: &mut State, name: &str, owners: &[&Value]| {
        let owners: Vec<Value> = owners
            .iter()
            .map(|o| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": object::name(o), "uid": object::uid(o)}))
            .collect();
        let mut c = call(state, "", "configmaps", "");
        state.create(&mut c, json!({"metadata": {"name": name, "ownerReferences": owners}}), now).unwrap()
    };
    let (one, two) = (make(&mut state, "one", &[]), make(&mut state, "two", &[]));
    let shared = make(&mut state, "shared", &[&one, &two]);
    make(&mut state, "alone", &[&one]);
    make(&mut state, "grandchild", &[&shared]);
    let names = |state: &State| -> Vec<String> {
        state.store.list("configmaps", None, None).map(|((_, name), _)| name.clone()).collect()
    };
    let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
    state.delete(&call(&state, "", "configmaps", "one"), &options, now).unwrap();
    assert_eq!(names(&state), ["grandchild", "shared", "two"]);
    state.delete(&call(&state, "", "configmaps", "two"), &options, now).unwrap();
    assert_eq!(names(&state), Vec::<String>::new());

    for n in 0..EVENTS_MAX + 2 {
        let mut c = call(&state, "", "events", "");
        let about = json!({"kind": "Pod", "namespace": "default"});
        let event = json!({"metadata": {"name": format!("e{n}")}, "involvedObject": about});
        state.create(&mut c, event, now).unwrap();
    }
    assert_eq!(state.store.len("events"), EVENTS_MAX);
    assert!(state.store.get("events", "default", "e1").is_none());
    assert!(state.store.get("events", "default", "e2").is_some());
}

#[test]
fn a_chain_of_owners_of_any_length_goes_with_its_first() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let mut owner = json!([]);
    const LINKS: usize = 20_000;
    for i in 0..LINKS {
        let mut c = call(&state, "", "configmaps", "");
        let body = json!({"metadata": {"name": format!("c{i}"), "ownerReferences": owner}});
        let made = state.create(&mut c, body, now).unwrap();
        owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": format!("c{i}"), "uid": object::uid(&made)}]);
    }
    assert_eq!(state.store.len("configmaps"), LINKS);
    let first = call(&state, "", "configmaps", "c0");
    let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
    assert!(state.delete(&first, &options, now).unwrap().1);
    assert_eq!(state.store.len("configmaps"), 0);
}

#[test]
fn a_chain_of_owners_deleted_in_the_foreground_goes_from_its_end() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let mut uids: Vec<String> = Vec::new();
    for i in 0..5000 {
        let mut c = call(&state, "", "configmaps", "");
        let owner = uids
            .last()
            .map(|uid| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid}]));
        let body = json!({"metadata": {"name": format!("c{i}"), "finalizers": ["foregroundDeletion"],
            "ownerReferences": owner.unwrap_or(json!([]))}});
        uids.push(object::uid(&state.create(&mut c, body, now).unwrap()).to_owned());
    }
    // Deleted from the first on, each waits for the next; the last lets all of them go.
    let options = DeleteOptions { propagation: "Foreground".into(), ..DeleteOptions::default() };
    for i in 0..5000 {
        let c = call(&state, "", "configmaps", &format!("c{i}"));
        if state.get(&c).is_ok() {
            state.delete(&c, &options, now).unwrap();
        }
    }
    let last = call(&state, "", "configmaps", "c4999");
    let held = state.get(&last).unwrap().clone();
    let mut freed = Value::clone(&held);
    object::meta_mut(&mut freed).insert("finalizers".into(), json!([]));
    state.update(&mut last.clone(), freed, now).unwrap();
    assert_eq!(state.store.len("configmaps"), 0);
}

#[test]
fn what_etcd_would_not_take_is_refused_and_what_it_would_is_stored() {
    let mut state = state();
    let now = Timestamp::UNIX_EPOCH;
    let pod = |bytes: usize| {
        json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i",
            "args": ["x".repeat(bytes)]}]}})
    };
    let mut c = call(&state, "", "pods", "");
    let refused = state.create(&mut c, pod(3 << 19), now).unwrap_err();
    assert_eq!((refused.code, &*refused.message), (500, "etcdserver: request is too large"));
    assert_eq!(state.store.len("pods"), 0);
    let made = state.create(&mut c, pod(1 << 20), now).unwrap();
    // Nor can it grow beyond that.
    let mut larger = Value::clone(&made);
    larger["metadata"]["annotations"] = json!({"a": "y".repeat(200_000)});
    larger["spec"]["containers"][0]["image"] = json!("i".repeat(1 << 19));
    let mut c = call(&state, "", "pods", "x");
    assert_eq!(state.update(&mut c, larger, now).unwrap_err().code, 500);
    assert_eq!(state.get(&c).unwrap(), &made);
}

#[test]
fn names_are_drawn_by_what_is_stored_alone() {
    let names = |between: &dyn Fn(&mut State)| -> Vec<(String, String)> {
        let mut state = state();
        let pod = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        (0..3)
            .map(|_| {
                between(&mut state);
                let mut c = call(&state, "", "pods", "");
                let made = state.create(&mut c, pod.clone(), Timestamp::UNIX_EPOCH).unwrap();
                (object::name(&made).to_owned(), object::uid(&made).to_owned())
            })
            .collect()
    };
    let plain = names(&|_| {});
    let refused = names(&|state| {
        let mut c = call(state, "", "pods", "");
        let body = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": []}});
        state.create(&mut c, body, Timestamp::UNIX_EPOCH).unwrap_err();
    });
    let tried = names(&|state| {
        let mut c = Call { dry_run: true, ..call(state, "", "pods", "") };
        let body = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        state.create(&mut c, body, Timestamp::UNIX_EPOCH).unwrap();
    });
    assert_eq!((&refused, &tried), (&plain, &plain));
    let distinct: std::collections::BTreeSet<_> = plain.iter().flat_map(|(name, uid)| [name, uid]).collect();
    assert_eq!(distinct.len(), 6);
    // A name that somebody else took is passed over.
    let mut state = state();
    let pod = |meta: Value| json!({"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut c = call(&state, "", "pods", "");
    state.create(&mut c, pod(json!({"name": plain[0].0})), Timestamp::UNIX_EPOCH).unwrap();
    let next = state.create(&mut c, pod(json!({"generateName": "web-"})), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(object::name(&next), plain[1].0);
}

#[test]
fn a_service_changes_its_type_by_a_patch_of_that_alone() {
    let now = Timestamp::UNIX_EPOCH;
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        let mut state = state();
        let mut c = call(&state, "", "services", "");
        let body = json!({"metadata": {"name": "s"}, "spec": {"externalName": "a.example", "ports": [{"port": 80}]}});
        state.create(&mut c, body, now).unwrap();
        for to in [
            "NodePort",
            "ClusterIP",
            "LoadBalancer",
            "NodePort",
            "LoadBalancer",
            "ClusterIP",
            "ExternalName",
            "LoadBalancer",
            "ExternalName",
            "NodePort",
        ] {
            let mut c = call(&state, "", "services", "s");
            let patched = state.patch(&mut c, kind, json!({"spec": {"type": to}}), now);
            let (service, _) = patched.unwrap_or_else(|e| panic!("{to}: {e}"));
            let outside = matches!(to, "NodePort" | "LoadBalancer");
            assert_eq!(object::text(&service, &["spec", "type"]), to);
            assert_eq!(service["spec"].get("externalTrafficPolicy").is_some(), outside, "{to}");
            assert_eq!(service["spec"].get("clusterIP").is_some(), to != "ExternalName", "{to}");
        }
    }
}

#[test]
fn a_long_list_is_merged_and_owned_in_about_the_time_that_it_takes_to_read_it() {
    let now = Timestamp::UNIX_EPOCH;
    let pod = |n: usize| {
        let env: Vec<Value> = (0..n).map(|i| json!({"name": format!("V{i}"), "value": "x"})).collect();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "c", "image": "i", "env": env}]}})
    };
    let config = |n: usize| {
        let rules: Vec<Value> =
            (0..n).map(|i| json!({"name": format!("p{i}"), "port": 1 + i % 65_000, "protocol": if i < 65_000 { "TCP" } else { "UDP" }})).collect();
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"selector": {"a": "b"}, "ports": rules}})
    };
    const MANY: usize = 5000;
    let mut state = state();
    let began = std::time::Instant::now();
    let mut c = call(&state, "", "services", "s");
    state.patch(&mut c, PatchKind::Apply, config(MANY), now).unwrap();
    state.patch(&mut c, PatchKind::Apply, config(MANY / 2), now).unwrap();
    state
        .patch(
            &mut c,
            PatchKind::Strategic,
            json!({"spec": {"ports": config(MANY / 2)["spec"]["ports"]}}),
            now,
        )
        .unwrap();
    let mut c = call(&state, "", "pods", "");
    let made = state.create(&mut c, pod(MANY), now).unwrap();
    let mut c = call(&state, "", "pods", "x");
    state.update(&mut c, Value::clone(&made), now).unwrap();
    // Where each item looks through all others, this is minutes.
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
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
        "env",
        "volumes",
        "resources",
        "limits",
        "requests",
        "livenessProbe",
        "httpGet",
        "strategy",
        "rollingUpdate",
        "affinity",
        "data",
        "stringData",
        "rules",
        "roleRef",
        "subjects",
        "matchExpressions",
        "values",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "", "a", "default", "delete", "replace", "add", "copy", "/spec", "Always", "25%", "-1", "1.5Gi",
            "1e400"
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
    fn no_document_panics(body in documents(), plural in 0usize..11, kind in 0usize..4, sub in 0usize..3) {
        let mut state = state();
        let now = Timestamp::UNIX_EPOCH;
        let (group, plural) = [("", "pods"), ("apps", "deployments"), ("apps", "statefulsets"), ("", "services"),
            ("events.k8s.io", "events"), ("apiextensions.k8s.io", "customresourcedefinitions"), ("", "secrets"),
            ("", "persistentvolumeclaims"), ("", "nodes"), ("discovery.k8s.io", "endpointslices"),
            ("rbac.authorization.k8s.io", "rolebindings")][plural];
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
