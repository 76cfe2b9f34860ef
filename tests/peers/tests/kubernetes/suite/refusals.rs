//! Manifests that a cluster refuses, with the field that it names: each as a dry run.

use serde_json::{Value, json};

use crate::subject::Subject;

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn container(more: Value) -> Value {
    with(json!({"name": "c", "image": "i"}), more)
}

fn pod(more: Value, spec: Value) -> Value {
    json!({"metadata": {"name": "x"}, "spec": with(json!({"containers": [container(more)]}), spec)})
}

fn deployment(more: Value, spec: Value) -> Value {
    let base = json!({"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container(more)]}}});
    json!({"metadata": {"name": "x"}, "spec": with(base, spec)})
}

fn named(more: Value) -> Value {
    with(json!({"metadata": {"name": "x"}}), more)
}

const NONE: Value = Value::Null;

async fn refused(s: &Subject, path: &str, cases: Vec<(Value, &str)>) {
    for (object, field) in cases {
        let reply = s.post(&format!("{path}?dryRun=All"), &object).await;
        if field.is_empty() {
            assert_eq!(reply.code, 201, "{object}: {}", reply.text);
            continue;
        }
        let (code, reason, message) = reply.status();
        if field == "400" {
            assert_eq!((code, reason), (400, "BadRequest"), "{object}: {message}");
            continue;
        }
        assert_eq!((code, reason), (422, "Invalid"), "{object}: {message}");
        let causes = reply.body["details"]["causes"].as_array().cloned().unwrap_or_default();
        assert!(causes.iter().any(|c| c["field"] == field), "{object}: {field} is not in {message}");
    }
}

pub(crate) async fn pods(s: Subject) {
    let twice = json!([{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]);
    let both = json!({"httpGet": {"port": 80}, "tcpSocket": {"port": 80}});
    let env = json!([{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    let at = "spec.containers[0]";
    let of = |field: &str| format!("{at}.{field}");
    let cases = [
        (pod(NONE, json!({"restartPolicy": "never"})), "spec.restartPolicy".to_owned()),
        (pod(NONE, json!({"volumes": twice})), "spec.volumes[1].name".into()),
        (
            pod(NONE, json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]})),
            "spec.volumes[0].hostPath".into(),
        ),
        (pod(json!({"imagePullPolicy": "Sometimes"}), NONE), of("imagePullPolicy")),
        (pod(json!({"ports": [{"containerPort": 80, "protocol": "tcp"}]}), NONE), of("ports[0].protocol")),
        (
            pod(json!({"ports": [{"containerPort": 80, "name": "a-very-long-port-name"}]}), NONE),
            of("ports[0].name"),
        ),
        (pod(json!({"livenessProbe": {"periodSeconds": 5}}), NONE), of("livenessProbe")),
        (pod(json!({"livenessProbe": both}), NONE), of("livenessProbe.tcpSocket")),
        (pod(json!({"env": [{"value": "x"}]}), NONE), of("env[0].name")),
        (pod(json!({"env": env}), NONE), of("env[0].valueFrom")),
        (
            pod(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}), NONE),
            of("resources.requests"),
        ),
        (pod(json!({"resources": {"limits": {"memory": "1GiB"}}}), NONE), "400".into()),
        (pod(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), NONE), of("volumeMounts[0].name")),
        (
            pod(NONE, json!({"tolerations": [{"key": "a", "effect": "x"}]})),
            "spec.tolerations[0].effect".into(),
        ),
        (pod(NONE, json!({"nodeSelector": {"a b": "c"}})), "spec.nodeSelector".into()),
    ];
    let cases = cases.iter().map(|(object, field)| (object.clone(), field.as_str())).collect();
    refused(&s, &s.core("pods"), cases).await;
}

pub(crate) async fn workloads(s: Subject) {
    let expression = |operator: &str, values: Value| {
        let expression = json!({"key": "a", "operator": operator, "values": values});
        deployment(NONE, json!({"selector": {"matchExpressions": [expression]}}))
    };
    let rolling = |rolling: Value| deployment(NONE, json!({"strategy": {"rollingUpdate": rolling}}));
    let labels = "spec.template.metadata.labels";
    let cases = || {
        vec![
            (deployment(NONE, json!({"selector": {"matchLabels": {"a": "c"}}})), labels),
            (expression("In", json!(["other"])), labels),
            (expression("NotIn", json!(["b"])), labels),
            (expression("DoesNotExist", json!([])), labels),
            (expression("In", json!(["b", "c"])), ""),
            (expression("Exists", json!(["b"])), "spec.selector.matchExpressions[0].values"),
            (
                deployment(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), NONE),
                "spec.template.spec.containers[0].volumeMounts[0].name",
            ),
        ]
    };
    for plural in ["deployments", "replicasets", "statefulsets"] {
        refused(&s, &s.apps(plural), cases()).await;
    }
    let strategies = vec![
        (deployment(NONE, json!({"strategy": {"type": "Rolling"}})), "spec.strategy"),
        (
            deployment(NONE, json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}})),
            "spec.strategy.rollingUpdate",
        ),
        (rolling(json!({"maxUnavailable": "150%"})), "spec.strategy.rollingUpdate.maxUnavailable"),
        (
            rolling(json!({"maxUnavailable": 0, "maxSurge": "0%"})),
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
        (rolling(json!({"maxSurge": "x"})), "spec.strategy.rollingUpdate.maxSurge"),
    ];
    refused(&s, &s.apps("deployments"), strategies).await;
}

pub(crate) async fn services(s: Subject) {
    let service = |spec: Value| named(json!({ "spec": spec }));
    let cases = vec![
        (service(json!({"ports": [{"port": 80}, {"port": 81}]})), "spec.ports[0].name"),
        (service(json!({"selector": {"a": "b"}})), "spec.ports"),
        (service(json!({"selector": {"a": "b"}, "clusterIP": "None"})), ""),
        (service(json!({"ports": [{"port": 80}], "type": "Loadbalancer"})), "spec.type"),
        (service(json!({"ports": [{"port": 80, "protocol": "tcp"}]})), "spec.ports[0].protocol"),
        (
            with(service(json!({"ports": [{"port": 80}]})), json!({"metadata": {"name": "a.b"}})),
            "metadata.name",
        ),
    ];
    refused(&s, &s.core("services"), cases).await;
}

pub(crate) async fn small_kinds(s: Subject) {
    let meta = |meta: Value| json!({"metadata": with(json!({"name": "x"}), meta)});
    let maps = vec![
        (meta(json!({"labels": {"a b": "c"}})), "metadata.labels"),
        (meta(json!({"labels": {"a": "b c"}})), "metadata.labels"),
        (meta(json!({"annotations": {"a": "x".repeat(300_000)}})), "metadata.annotations"),
        (meta(json!({"annotations": {"a": "x".repeat(200_000)}})), ""),
    ];
    refused(&s, &s.core("configmaps"), maps).await;
    // The whole object is too large: the cause has no field.
    let large = named(json!({"data": {"a": "x".repeat(1_100_000)}}));
    let large = s.post(&s.core("configmaps?dryRun=All"), &large).await;
    assert!(large.status().2.contains("may not be more than 1048576 bytes"), "{}", large.text);
    let claim = |spec: Value| named(json!({ "spec": spec }));
    let claims = vec![
        (claim(json!({"accessModes": ["ReadWriteOnce"]})), "spec.resources[storage]"),
        (claim(json!({"resources": {"requests": {"storage": "1Gi"}}})), "spec.accessModes"),
    ];
    refused(&s, &s.core("persistentvolumeclaims"), claims).await;
    refused(&s, &s.core("secrets"), vec![(named(json!({"type": "kubernetes.io/tls"})), "data[tls.crt]")])
        .await;
    let group = "/apis/rbac.authorization.k8s.io/v1";
    let bindings = format!("{group}/namespaces/{}/rolebindings", s.namespace);
    refused(&s, &bindings, vec![(named(json!({"subjects": []})), "roleRef.name")]).await;
    let roles = format!("{group}/namespaces/{}/roles", s.namespace);
    let rule = json!({"rules": [{"apiGroups": [""], "resources": ["pods"]}]});
    refused(&s, &roles, vec![(named(rule), "rules[0].verbs")]).await;
    let namespace = json!({"metadata": {"name": "a.b"}});
    refused(&s, "/api/v1/namespaces", vec![(namespace, "metadata.name")]).await;
}

pub(crate) async fn what_may_not_change(s: Subject) {
    let made = s.post(&s.core("secrets"), &named(json!({"stringData": {"a": "b"}}))).await;
    assert_eq!(made.code, 201, "{made:?}");
    let typed = s.patch("merge", &s.core("secrets/x"), &json!({"type": "other"})).await;
    assert_eq!(typed.status().0, 422);
    let made = s.post(&s.apps("deployments"), &deployment(NONE, json!({"replicas": 0}))).await;
    assert_eq!(made.code, 201, "{made:?}");
    let selector = json!({"spec": {"selector": {"matchLabels": {"z": "z"}},
        "template": {"metadata": {"labels": {"z": "z"}}}}});
    let refused = s.patch("merge", &s.apps("deployments/x"), &selector).await;
    assert!(refused.status().2.contains("field is immutable"), "{refused:?}");
}
