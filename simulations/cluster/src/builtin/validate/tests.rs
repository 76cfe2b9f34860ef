//! Manifests that people write, and the field that the original names.

use serde_json::json;

use super::super::{KINDS, default, settle, spell};
use super::*;
use crate::types;

/// The fields that are complained about; `<read>` if the body is not of the type.
fn fields(kind: &str, mut object: Value) -> Vec<String> {
    let builtin = KINDS.iter().find(|b| b.kind == kind).unwrap();
    let message = types::message(kind).unwrap();
    let read = spell(&mut object, message).and_then(|()| (builtin.typed)(&object));
    let Ok(mut object) = read else { return vec!["<read>".into()] };
    settle(&mut object, message);
    default(kind, &mut object);
    let mut causes = Vec::new();
    validate(kind, &object, &mut causes);
    validate_meta(&object, &mut causes);
    causes.into_iter().map(|c| c.field).collect()
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn pod(container: Value, spec: Value) -> Value {
    let container = with(json!({"name": "c", "image": "i"}), container);
    json!({"metadata": {"name": "x"}, "spec": with(json!({"containers": [container]}), spec)})
}

fn deployment(container: Value, template: Value, spec: Value) -> Value {
    let pod = pod(container, template);
    let base = json!({"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"]}});
    json!({"metadata": {"name": "x"}, "spec": with(base, spec)})
}

fn judged(cases: Vec<(&str, Value, &[&str])>) {
    for (kind, object, expected) in cases {
        assert_eq!(fields(kind, object.clone()), expected, "{kind} {object}");
    }
}

const NONE: Value = Value::Null;

#[test]
fn containers() {
    let c = |container: Value| pod(container, NONE);
    let at = "spec.containers[0]";
    let cases = [
        (json!({}), ""),
        (json!({"name": ""}), ".name"),
        (json!({"name": "A"}), ".name"),
        (json!({"image": ""}), ".image"),
        (json!({"imagePullPolicy": "Sometimes"}), ".imagePullPolicy"),
        (json!({"terminationMessagePolicy": "x"}), ".terminationMessagePolicy"),
        (json!({"ports": [{"containerPort": 80, "protocol": "tcp"}]}), ".ports[0].protocol"),
        (json!({"ports": [{"containerPort": 80, "name": "a-very-long-port-name"}]}), ".ports[0].name"),
        (json!({"ports": [{"containerPort": 0}]}), ".ports[0].containerPort"),
        (json!({"ports": [{"containerPort": 80, "hostPort": 70000}]}), ".ports[0].hostPort"),
        (
            json!({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]}),
            ".ports[1].name",
        ),
        (
            json!({"ports": [{"containerPort": 80, "hostPort": 1}, {"containerPort": 81, "hostPort": 1}]}),
            ".ports[1].hostPort",
        ),
        (json!({"env": [{"value": "x"}]}), ".env[0].name"),
        (json!({"env": [{"name": "A=B"}]}), ".env[0].name"),
        (json!({"env": [{"name": "A", "valueFrom": {}}]}), ".env[0].valueFrom"),
        (
            json!({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            ".env[0].valueFrom",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nam"}}}]}),
            ".env[0].valueFrom.fieldRef.fieldPath",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]}),
            "",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]}),
            ".env[0].valueFrom.resourceFieldRef.resource",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}),
            ".env[0].valueFrom.secretKeyRef.key",
        ),
        (json!({"envFrom": [{}]}), ".envFrom"),
        (json!({"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}}]}), ".envFrom"),
        (json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), ".volumeMounts[0].name"),
        (json!({"volumeDevices": [{"name": "v", "devicePath": "/v"}]}), ".volumeDevices[0].name"),
        (json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}), ".resources.requests"),
        (json!({"resources": {"requests": {"cpu": "1000m"}, "limits": {"cpu": 1}}}), ""),
        (json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1024Mi"}}}), ""),
        (json!({"resources": {"requests": {"cpu": "-1"}}}), ".resources.requests[cpu]"),
        (json!({"resources": {"requests": {"storage": "1"}}}), ".resources.requests[storage]"),
        (json!({"resources": {"requests": {"example.com/gpu": "1"}}}), ".resources.limits"),
        (json!({"resources": {"limits": {"example.com/gpu": "1"}}}), ""),
        (
            json!({"resources": {"limits": {"example.com/gpu": "500m"}, "requests": {"example.com/gpu": "500m"}}}),
            "2",
        ),
        (json!({"livenessProbe": {"periodSeconds": 5}}), ".livenessProbe"),
        (
            json!({"livenessProbe": {"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}}),
            ".livenessProbe.tcpSocket",
        ),
        (
            json!({"livenessProbe": {"httpGet": {"port": 80}, "successThreshold": 2}}),
            ".livenessProbe.successThreshold",
        ),
        (json!({"readinessProbe": {"httpGet": {"port": 80}, "successThreshold": 2}}), ""),
        (json!({"readinessProbe": {"httpGet": {"port": 0}}}), ".readinessProbe.httpGet.port"),
        (
            json!({"readinessProbe": {"httpGet": {"port": 80, "scheme": "http"}}}),
            ".readinessProbe.httpGet.scheme",
        ),
        (json!({"readinessProbe": {"tcpSocket": {"port": "80"}}}), ".readinessProbe.tcpSocket.port"),
        (json!({"startupProbe": {"exec": {}}}), ".startupProbe.exec.command"),
        (json!({"startupProbe": {"grpc": {"port": 80}, "periodSeconds": -1}}), ".startupProbe.periodSeconds"),
        (json!({"lifecycle": {"preStop": {}}}), ".lifecycle.preStop"),
        (json!({"resources": {"limits": {"memory": "1GiB"}}}), "<read>"),
    ];
    for (container, expected) in cases {
        let expected: Vec<String> = match expected {
            "" => Vec::new(),
            "<read>" => vec!["<read>".into()],
            "2" => vec![
                format!("{at}.resources.limits[example.com/gpu]"),
                format!("{at}.resources.requests[example.com/gpu]"),
            ],
            field => vec![format!("{at}{field}")],
        };
        assert_eq!(fields("Pod", c(container.clone())), expected, "{container}");
    }
}

#[test]
fn pods_and_templates() {
    let twice = json!([{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]);
    judged(vec![
        ("Pod", pod(NONE, json!({"restartPolicy": "never"})), &["spec.restartPolicy"]),
        ("Pod", pod(NONE, json!({"dnsPolicy": "x"})), &["spec.dnsPolicy"]),
        ("Pod", pod(NONE, json!({"containers": []})), &["spec.containers"]),
        ("Pod", pod(NONE, json!({"volumes": twice})), &["spec.volumes[1].name"]),
        ("Pod", pod(NONE, json!({"volumes": [{"name": "v"}]})), &[]),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]})),
            &["spec.volumes[0].hostPath"],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "secret": {}}]})),
            &["spec.volumes[0].secret.secretName"],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 512}}]})),
            &["spec.volumes[0].configMap.defaultMode"],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "a.b-c"}}]})),
            &[],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "../x"}}]})),
            &["spec.volumes[0].persistentVolumeClaim.claimName"],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "A"}}]})),
            &["spec.volumes[0].persistentVolumeClaim.claimName"],
        ),
        (
            "Pod",
            pod(NONE, json!({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]})),
            &["spec.volumes[0].hostPath.path"],
        ),
        ("Pod", pod(NONE, json!({"nodeSelector": {"a b": "c"}})), &["spec.nodeSelector"]),
        (
            "Pod",
            pod(NONE, json!({"terminationGracePeriodSeconds": -1})),
            &["spec.terminationGracePeriodSeconds"],
        ),
        ("Pod", pod(NONE, json!({"serviceAccountName": "A"})), &["spec.serviceAccountName"]),
        (
            "Pod",
            pod(NONE, json!({"tolerations": [{"operator": "Equal"}]})),
            &["spec.tolerations[0].operator"],
        ),
        (
            "Pod",
            pod(NONE, json!({"tolerations": [{"key": "a", "effect": "x"}]})),
            &["spec.tolerations[0].effect"],
        ),
        ("Pod", pod(NONE, json!({"tolerations": [{"operator": "Exists"}]})), &[]),
        (
            "Pod",
            pod(
                NONE,
                json!({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "x"}]}),
            ),
            &[
                "spec.topologySpreadConstraints[0].maxSkew",
                "spec.topologySpreadConstraints[0].whenUnsatisfiable",
            ],
        ),
        (
            "Pod",
            pod(NONE, json!({"initContainers": [{"name": "c", "image": "i"}]})),
            &["spec.initContainers[0].name"],
        ),
        (
            "Pod",
            pod(
                NONE,
                json!({"initContainers": [{"name": "d", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1}}}]}),
            ),
            &["spec.initContainers[0].livenessProbe"],
        ),
        (
            "Pod",
            pod(
                NONE,
                json!({"initContainers": [{"name": "d", "image": "i", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}]}),
            ),
            &[],
        ),
        (
            "Deployment",
            deployment(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), NONE, NONE),
            &["spec.template.spec.containers[0].volumeMounts[0].name"],
        ),
        (
            "Deployment",
            deployment(NONE, json!({"restartPolicy": "Never"}), NONE),
            &["spec.template.spec.restartPolicy"],
        ),
        (
            "Deployment",
            deployment(NONE, json!({"activeDeadlineSeconds": 5}), NONE),
            &["spec.template.spec.activeDeadlineSeconds"],
        ),
    ]);
}

#[test]
fn placement_and_security() {
    let affinity = |affinity: Value| pod(NONE, json!({ "affinity": affinity }));
    let (required, preferred) =
        ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution");
    let node = format!("spec.affinity.nodeAffinity.{required}.nodeSelectorTerms");
    let anti = format!("spec.affinity.podAntiAffinity.{preferred}[0]");
    let expression = |e: Value| {
        affinity(json!({"nodeAffinity": {required: {"nodeSelectorTerms": [{"matchExpressions": [e]}]}}}))
    };
    let (empty, operator, weight) =
        (node.clone(), format!("{node}[0].matchExpressions[0].operator"), format!("{anti}.weight"));
    let key = format!("{anti}.podAffinityTerm.topologyKey");
    judged(vec![
        ("Pod", affinity(json!({"nodeAffinity": {required: {"nodeSelectorTerms": []}}})), &[&empty]),
        ("Pod", expression(json!({"key": "a", "operator": "Is"})), &[&operator]),
        ("Pod", expression(json!({"key": "a", "operator": "Gt", "values": ["1"]})), &[]),
        (
            "Pod",
            affinity(
                json!({"podAntiAffinity": {preferred: [{"weight": 101, "podAffinityTerm": {"topologyKey": "zone"}}]}}),
            ),
            &[&weight],
        ),
        (
            "Pod",
            affinity(
                json!({"podAntiAffinity": {preferred: [{"weight": 1, "podAffinityTerm": {"topologyKey": "a b"}}]}}),
            ),
            &[&key],
        ),
        (
            "Pod",
            pod(NONE, json!({"securityContext": {"runAsUser": -1}})),
            &["spec.securityContext.runAsUser"],
        ),
        (
            "Pod",
            pod(NONE, json!({"securityContext": {"seccompProfile": {"type": "x"}}})),
            &["spec.securityContext.seccompProfile.type"],
        ),
        (
            "Pod",
            pod(json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}}), NONE),
            &["spec.containers[0].securityContext"],
        ),
    ]);
}

#[test]
fn selectors_and_strategies() {
    let d = |spec: Value| deployment(NONE, NONE, spec);
    let expressions = |e: Value| d(json!({"selector": {"matchExpressions": [e]}}));
    let labels: &[&str] = &["spec.template.metadata.labels"];
    let rolling = "spec.strategy.rollingUpdate";
    let (unavailable, surge) = (format!("{rolling}.maxUnavailable"), format!("{rolling}.maxSurge"));
    judged(vec![
        ("Deployment", d(json!({})), &[]),
        ("Deployment", d(json!({"replicas": -1})), &["spec.replicas"]),
        ("Deployment", d(json!({"selector": null})), &["spec.selector"]),
        ("Deployment", d(json!({"selector": {}})), &["spec.selector"]),
        ("Deployment", d(json!({"selector": {"matchLabels": {"a": "c"}}})), labels),
        ("Deployment", expressions(json!({"key": "a", "operator": "In", "values": ["other"]})), labels),
        ("Deployment", expressions(json!({"key": "a", "operator": "NotIn", "values": ["b"]})), labels),
        ("Deployment", expressions(json!({"key": "z", "operator": "Exists"})), labels),
        ("Deployment", expressions(json!({"key": "a", "operator": "DoesNotExist"})), labels),
        ("Deployment", expressions(json!({"key": "a", "operator": "In", "values": ["x", "b"]})), &[]),
        ("Deployment", expressions(json!({"key": "z", "operator": "NotIn", "values": ["x"]})), &[]),
        (
            "Deployment",
            expressions(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            &["spec.selector.matchExpressions[0].values"],
        ),
        ("ReplicaSet", expressions(json!({"key": "a", "operator": "In", "values": ["other"]})), labels),
        ("StatefulSet", expressions(json!({"key": "a", "operator": "In", "values": ["other"]})), labels),
        ("Deployment", d(json!({"strategy": {"type": "Rolling"}})), &["spec.strategy"]),
        (
            "Deployment",
            d(json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}})),
            &[rolling],
        ),
        (
            "Deployment",
            d(json!({"strategy": {"rollingUpdate": {"maxUnavailable": "150%"}}})),
            &[&unavailable],
        ),
        ("Deployment", d(json!({"strategy": {"rollingUpdate": {"maxSurge": "150%"}}})), &[]),
        ("Deployment", d(json!({"strategy": {"rollingUpdate": {"maxSurge": "x"}}})), &[&surge]),
        ("Deployment", d(json!({"strategy": {"rollingUpdate": {"maxSurge": -1}}})), &[&surge]),
        (
            "Deployment",
            d(json!({"strategy": {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}}})),
            &[&unavailable],
        ),
        ("Deployment", d(json!({"minReadySeconds": 700})), &["spec.progressDeadlineSeconds"]),
        ("StatefulSet", d(json!({"podManagementPolicy": "x"})), &["spec.podManagementPolicy"]),
        ("StatefulSet", d(json!({"updateStrategy": {"type": "x"}})), &["spec.updateStrategy"]),
        ("StatefulSet", d(json!({"serviceName": "a.b"})), &["spec.serviceName"]),
        (
            "StatefulSet",
            d(json!({"volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["x"]}}]})),
            &[
                "spec.volumeClaimTemplates[0].spec.accessModes",
                "spec.volumeClaimTemplates[0].spec.resources[storage]",
            ],
        ),
    ]);
    let mounted = deployment(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        NONE,
        json!({"volumeClaimTemplates": [{"metadata": {"name": "v"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}),
    );
    assert_eq!(fields("StatefulSet", mounted), Vec::<String>::new());
}

#[test]
fn services() {
    let s = |spec: Value| json!({"metadata": {"name": "x"}, "spec": spec});
    judged(vec![
        ("Service", s(json!({"ports": [{"port": 80}]})), &[]),
        (
            "Service",
            s(json!({"ports": [{"port": 80}, {"port": 81}]})),
            &["spec.ports[0].name", "spec.ports[1].name"],
        ),
        (
            "Service",
            s(json!({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]})),
            &["spec.ports[1].name"],
        ),
        (
            "Service",
            s(json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]})),
            &["spec.ports[1]"],
        ),
        (
            "Service",
            s(json!({"ports": [{"port": 53, "name": "a"}, {"port": 53, "name": "b", "protocol": "UDP"}]})),
            &[],
        ),
        ("Service", s(json!({"selector": {"a": "b"}})), &["spec.ports"]),
        ("Service", s(json!({"selector": {"a": "b"}, "clusterIP": "None"})), &[]),
        ("Service", s(json!({"ports": [{"port": 80}], "type": "Loadbalancer"})), &["spec.type"]),
        ("Service", s(json!({"ports": [{"port": 0}]})), &["spec.ports[0].port", "spec.ports[0].targetPort"]),
        ("Service", s(json!({"ports": [{"port": 80, "targetPort": "http"}]})), &[]),
        ("Service", s(json!({"ports": [{"port": 80, "targetPort": 70000}]})), &["spec.ports[0].targetPort"]),
        ("Service", s(json!({"ports": [{"port": 80, "protocol": "tcp"}]})), &["spec.ports[0].protocol"]),
        ("Service", s(json!({"ports": [{"port": 80, "nodePort": 30000}]})), &["spec.ports[0].nodePort"]),
        ("Service", s(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]})), &[]),
        ("Service", s(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 32767}]})), &[]),
        (
            "Service",
            s(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 29999}]})),
            &["spec.ports[0].nodePort"],
        ),
        (
            "Service",
            s(json!({"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 32768}]})),
            &["spec.ports[0].nodePort"],
        ),
        ("Service", s(json!({"type": "ExternalName"})), &["spec.externalName"]),
        ("Service", s(json!({"type": "ExternalName", "externalName": "example.com."})), &[]),
        ("Service", s(json!({"ports": [{"port": 80}], "sessionAffinity": "x"})), &["spec.sessionAffinity"]),
        ("Service", s(json!({"ports": [{"port": 80}], "selector": {"a b": "c"}})), &["spec.selector"]),
    ]);
}

#[test]
fn small_kinds() {
    let meta = |meta: Value| json!({"metadata": with(json!({"name": "x"}), meta)});
    let object = |body: Value| with(json!({"metadata": {"name": "x"}}), body);
    let large = "x".repeat((1 << 20) + 1);
    let rule = |rule: Value| object(json!({"rules": [rule]}));
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"});
    judged(vec![
        ("ConfigMap", meta(json!({"labels": {"a b": "c"}})), &["metadata.labels"]),
        ("ConfigMap", meta(json!({"labels": {"a": "b c"}})), &["metadata.labels"]),
        ("ConfigMap", meta(json!({"annotations": {"a b": "c"}})), &["metadata.annotations"]),
        ("ConfigMap", meta(json!({"annotations": {"Example.com/a": "c d"}})), &[]),
        ("ConfigMap", meta(json!({"annotations": {"a": "x".repeat(256 << 10)}})), &["metadata.annotations"]),
        ("ConfigMap", meta(json!({"annotations": {"a": "x".repeat((256 << 10) - 1)}})), &[]),
        ("ConfigMap", meta(json!({"finalizers": ["a b"]})), &["metadata.finalizers"]),
        (
            "ConfigMap",
            meta(json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ""}]})),
            &["metadata.ownerReferences.uid"],
        ),
        ("ConfigMap", object(json!({"data": {"a": large}})), &[""]),
        ("ConfigMap", object(json!({"data": {"a": "x"}, "binaryData": {"a": "eA=="}})), &["data[a]"]),
        ("ConfigMap", object(json!({"data": {"..a": ""}})), &["data[..a]"]),
        ("Secret", object(json!({"data": {"a b": ""}})), &["data[a b]"]),
        ("Secret", object(json!({"type": "kubernetes.io/tls"})), &["data[tls.crt]", "data[tls.key]"]),
        (
            "Secret",
            object(json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "eA=="}})),
            &["data[.dockerconfigjson]"],
        ),
        (
            "Secret",
            object(json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}})),
            &[],
        ),
        ("Secret", object(json!({"type": "kubernetes.io/basic-auth", "data": {"password": ""}})), &[]),
        (
            "PersistentVolumeClaim",
            object(json!({"spec": {"accessModes": ["ReadWriteOnce"]}})),
            &["spec.resources[storage]"],
        ),
        (
            "PersistentVolumeClaim",
            object(
                json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0"}}}}),
            ),
            &["spec.resources[storage]"],
        ),
        (
            "PersistentVolumeClaim",
            object(json!({"spec": {"resources": {"requests": {"storage": "1Gi"}}}})),
            &["spec.accessModes"],
        ),
        ("Role", rule(json!({"apiGroups": [""], "resources": ["pods"]})), &["rules[0].verbs"]),
        ("Role", rule(json!({"verbs": ["get"], "resources": ["pods"]})), &["rules[0].apiGroups"]),
        ("Role", rule(json!({"verbs": ["get"], "nonResourceURLs": ["/x"]})), &["rules[0].nonResourceURLs"]),
        ("ClusterRole", rule(json!({"verbs": ["get"], "nonResourceURLs": ["/x"]})), &[]),
        ("RoleBinding", object(json!({"subjects": []})), &["roleRef.kind", "roleRef.name"]),
        ("RoleBinding", object(json!({"roleRef": role})), &[]),
        ("ClusterRoleBinding", object(json!({"roleRef": role})), &["roleRef.kind"]),
        (
            "RoleBinding",
            object(json!({"roleRef": role, "subjects": [{"kind": "user", "name": "a"}]})),
            &["subjects[0].kind"],
        ),
        ("RoleBinding", object(json!({"roleRef": role, "subjects": [{"kind": "User", "name": "a"}]})), &[]),
    ]);
}

#[test]
fn names_go_by_kind() {
    for (group, kind, name, fine) in [
        ("", "Namespace", "a.b", false),
        ("", "Service", "a.b", false),
        ("", "Service", "0a", false),
        ("", "ConfigMap", "a.b", true),
        ("", "ConfigMap", "A", false),
        ("apps", "StatefulSet", "a.b", false),
        ("apps", "Deployment", "a.b", true),
        ("rbac.authorization.k8s.io", "Role", "system:A", true),
        ("rbac.authorization.k8s.io", "Role", "a/b", false),
    ] {
        assert_eq!(name_faults(group, kind, name).is_empty(), fine, "{kind} {name}");
    }
}

#[test]
fn what_hides_another_is_told() {
    let env =
        json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}]);
    let ports = json!([{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 80}]);
    let object = deployment(json!({"env": env, "ports": ports}), NONE, NONE);
    let at = "spec.template.spec.containers[0]";
    assert_eq!(
        warnings("Deployment", &object),
        [
            format!("{at}.env[1]: hides previous definition of \"A\", which may be dropped when using apply"),
            format!("{at}.ports[2]: duplicate port definition with {at}.ports[0]"),
        ]
    );
    assert_eq!(warnings("ConfigMap", &object), Vec::<String>::new());
}
