//! What the server fills in. Source: kubernetes `pkg/apis/*/v1/defaults.go`, where a field is absent or zero.

use serde_json::{Map, Value, json};

use super::quantity::Quantity;
use crate::object;

/// Fills in what Kubernetes would.
pub(crate) fn default(kind: &str, object: &mut Value) {
    match kind {
        "Pod" => {
            let spec = object::child_mut(object, "spec");
            default_pod_spec(spec);
            default_bare_pod(spec);
            let class = qos_class(object.get("spec").unwrap_or(&Value::Null));
            let status = object::child_mut(object, "status");
            put(status, "phase", json!("Pending"));
            put(status, "qosClass", json!(class));
        }
        "Deployment" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "replicas", json!(1));
            put(spec, "revisionHistoryLimit", json!(10));
            put(spec, "progressDeadlineSeconds", json!(600));
            let strategy = sub(spec, "strategy");
            put(strategy, "type", json!("RollingUpdate"));
            if strategy.get("type") == Some(&json!("RollingUpdate")) {
                let rolling = sub(strategy, "rollingUpdate");
                put(rolling, "maxSurge", json!("25%"));
                put(rolling, "maxUnavailable", json!("25%"));
            }
            default_template(spec);
        }
        "ReplicaSet" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "replicas", json!(1));
            default_template(spec);
        }
        "StatefulSet" => default_stateful_set(object::child_mut(object, "spec")),
        "PersistentVolumeClaim" => {
            default_claim(object::child_mut(object, "spec"));
            put(object::child_mut(object, "status"), "phase", json!("Pending"));
        }
        "Service" => default_service(object::child_mut(object, "spec")),
        "Secret" => put(object::map_mut(object), "type", json!("Opaque")),
        "Namespace" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "finalizers", json!(["kubernetes"]));
            put(object::child_mut(object, "status"), "phase", json!("Active"));
            let name = object::name(object).to_owned();
            let labels = sub(object::meta_mut(object), "labels");
            labels.insert("kubernetes.io/metadata.name".into(), json!(name));
        }
        "Node" => {
            let status = object::child_mut(object, "status");
            if let Some(capacity) = status.get("capacity").cloned() {
                put(status, "allocatable", capacity);
            }
        }
        "Endpoints" => {
            for subset in lists(object::map_mut(object), "subsets") {
                for port in lists(object::map_mut(subset), "ports") {
                    put(object::map_mut(port), "protocol", json!("TCP"));
                }
            }
        }
        "EndpointSlice" => {
            for port in lists(object::map_mut(object), "ports") {
                let port = object::map_mut(port);
                put(port, "name", json!(""));
                put(port, "protocol", json!("TCP"));
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let binding = object::map_mut(object);
            put(sub(binding, "roleRef"), "apiGroup", json!(super::RBAC_GROUP));
            for subject in lists(binding, "subjects") {
                let subject = object::map_mut(subject);
                if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
                    put(subject, "apiGroup", json!(super::RBAC_GROUP));
                }
            }
        }
        "CustomResourceDefinition" => {
            let spec = object::child_mut(object, "spec");
            let names = sub(spec, "names");
            let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            put(names, "listKind", json!(format!("{kind}List")));
            put(names, "singular", json!(kind.to_lowercase()));
            put(spec, "conversion", json!({"strategy": "None"}));
        }
        _ => {}
    }
}

/// Sets what is absent, or zero: these fields know no difference.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() || slot == "" {
        *slot = value;
    }
}

/// As [`put`], where a zero is no number to keep either.
fn put_number(map: &mut Map<String, Value>, key: &str, value: Value) {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() || slot == 0 || slot == "" {
        *slot = value;
    }
}

fn sub<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    object::map_mut(map.entry(key).or_insert(Value::Null))
}

fn lists<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn within<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

fn default_stateful_set(spec: &mut Map<String, Value>) {
    put(spec, "replicas", json!(1));
    put(spec, "podManagementPolicy", json!("OrderedReady"));
    put(spec, "revisionHistoryLimit", json!(10));
    let update = sub(spec, "updateStrategy");
    if !update.contains_key("type") {
        sub(update, "rollingUpdate");
    }
    put(update, "type", json!("RollingUpdate"));
    if update.get("type") == Some(&json!("RollingUpdate"))
        && let Some(rolling) = within(update, "rollingUpdate")
    {
        put(rolling, "partition", json!(0));
    }
    let retention = sub(spec, "persistentVolumeClaimRetentionPolicy");
    put(retention, "whenDeleted", json!("Retain"));
    put(retention, "whenScaled", json!("Retain"));
    default_template(spec);
    for claim in lists(spec, "volumeClaimTemplates") {
        default("PersistentVolumeClaim", claim);
        let claim = object::map_mut(claim);
        put(claim, "apiVersion", json!("v1"));
        put(claim, "kind", json!("PersistentVolumeClaim"));
    }
}

fn default_claim(spec: &mut Map<String, Value>) {
    put(spec, "volumeMode", json!("Filesystem"));
}

fn default_service(spec: &mut Map<String, Value>) {
    put(spec, "type", json!("ClusterIP"));
    put(spec, "sessionAffinity", json!("None"));
    match spec.get("sessionAffinity").and_then(Value::as_str) {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") => {
            let client = sub(sub(spec, "sessionAffinityConfig"), "clientIP");
            put(client, "timeoutSeconds", json!(10800));
        }
        _ => {}
    }
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if matches!(&*kind, "ClusterIP" | "NodePort" | "LoadBalancer") {
        // There is no virtual address: DNS answers with pods, as for any headless service. One without ports must
        // have asked for that.
        if lists(spec, "ports").next().is_some() {
            put(spec, "clusterIP", json!("None"));
        }
        if let Some(ip) = spec.get("clusterIP").cloned() {
            put(spec, "clusterIPs", json!([ip]));
        }
        put(spec, "internalTrafficPolicy", json!("Cluster"));
        put(spec, "ipFamilies", json!(["IPv4"]));
        put(spec, "ipFamilyPolicy", json!("SingleStack"));
    }
    if matches!(&*kind, "NodePort" | "LoadBalancer") {
        put(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        put(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    for port in lists(spec, "ports") {
        let port = object::map_mut(port);
        put(port, "protocol", json!("TCP"));
        if let Some(number) = port.get("port").cloned() {
            put_number(port, "targetPort", number);
        }
    }
}

fn default_template(spec: &mut Map<String, Value>) {
    default_pod_spec(sub(sub(spec, "template"), "spec"));
}

/// What templates have too.
fn default_pod_spec(spec: &mut Map<String, Value>) {
    put(spec, "restartPolicy", json!("Always"));
    put(spec, "terminationGracePeriodSeconds", json!(30));
    put(spec, "dnsPolicy", json!("ClusterFirst"));
    put(spec, "schedulerName", json!("default-scheduler"));
    sub(spec, "securityContext");
    // One is the older name of the other.
    for (one, other) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
        if let Some(name) = spec.get(one).cloned() {
            put(spec, other, name);
        }
    }
    for containers in CONTAINERS {
        for container in lists(spec, containers) {
            default_container(object::map_mut(container));
        }
    }
    for volume in lists(spec, "volumes") {
        default_volume(object::map_mut(volume));
    }
}

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// What a pod has and its template has not.
fn default_bare_pod(spec: &mut Map<String, Value>) {
    put(spec, "enableServiceLinks", json!(true));
    let host_network = spec.get("hostNetwork") == Some(&json!(true));
    for containers in ["containers", "initContainers"] {
        for container in lists(spec, containers) {
            let container = object::map_mut(container);
            let resources = sub(container, "resources");
            if let Some(Value::Object(limits)) = resources.get("limits").cloned() {
                let requests = sub(resources, "requests");
                for (name, limit) in limits {
                    put(requests, &name, limit);
                }
            }
            if host_network {
                for port in lists(container, "ports") {
                    let port = object::map_mut(port);
                    if let Some(number) = port.get("containerPort").cloned() {
                        put_number(port, "hostPort", number);
                    }
                }
            }
        }
    }
}

/// How firmly the pod's processor and memory are promised.
fn qos_class(spec: &Value) -> &'static str {
    let containers =
        || ["containers", "initContainers"].into_iter().flat_map(|list| object::list(spec, &[list]).iter());
    let amount = |container: &Value, field: &str, name: &str| {
        let text = object::text(container, &["resources", field, name]);
        Quantity::parse(text).filter(|q| !q.is_zero()).map(Quantity::amount)
    };
    const NAMES: [&str; 2] = ["cpu", "memory"];
    let any = |field: &str| containers().any(|c| NAMES.iter().any(|n| amount(c, field, n).is_some()));
    if !any("limits") && !any("requests") {
        return "BestEffort";
    }
    let sum = |field: &str, name: &str| -> i128 { containers().filter_map(|c| amount(c, field, name)).sum() };
    let guaranteed = containers().all(|c| NAMES.iter().all(|n| amount(c, "limits", n).is_some()))
        && NAMES.iter().all(|n| sum("limits", n) == sum("requests", n));
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

fn default_container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let pull = if is_latest(image) { "Always" } else { "IfNotPresent" };
    put(container, "imagePullPolicy", json!(pull));
    put(container, "terminationMessagePath", json!("/dev/termination-log"));
    put(container, "terminationMessagePolicy", json!("File"));
    for port in lists(container, "ports") {
        put(object::map_mut(port), "protocol", json!("TCP"));
    }
    for variable in lists(container, "env") {
        let source = object::map_mut(variable).get_mut("valueFrom").and_then(|v| v.get_mut("fieldRef"));
        if let Some(Value::Object(field)) = source {
            put(field, "apiVersion", json!("v1"));
        }
    }
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        let Some(probe) = within(container, probe) else { continue };
        for (key, value) in
            [("periodSeconds", 10), ("timeoutSeconds", 1), ("failureThreshold", 3), ("successThreshold", 1)]
        {
            put_number(probe, key, json!(value));
        }
        default_http_get(probe);
        if let Some(grpc) = within(probe, "grpc") {
            put(grpc, "service", json!(""));
        }
    }
    if let Some(lifecycle) = within(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = within(lifecycle, hook) {
                default_http_get(hook);
            }
        }
    }
}

fn default_http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = within(handler, "httpGet") {
        put(get, "path", json!("/"));
        put(get, "scheme", json!("HTTP"));
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|k| k == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = within(volume, source) {
            put(source, "defaultMode", json!(420));
        }
    }
    if let Some(path) = within(volume, "hostPath") {
        path.entry("type").or_insert(json!(""));
    }
    if let Some(image) = within(volume, "image") {
        let reference = image.get("reference").and_then(Value::as_str).unwrap_or_default();
        let pull = if is_latest(reference) { "Always" } else { "IfNotPresent" };
        put(image, "pullPolicy", json!(pull));
    }
    if let Some(downward) = within(volume, "downwardAPI") {
        lists(downward, "items").for_each(default_downward_file);
    }
    if let Some(projected) = within(volume, "projected") {
        for source in lists(projected, "sources") {
            let source = object::map_mut(source);
            if let Some(downward) = within(source, "downwardAPI") {
                lists(downward, "items").for_each(default_downward_file);
            }
            if let Some(token) = within(source, "serviceAccountToken") {
                put(token, "expirationSeconds", json!(3600));
            }
        }
    }
    if let Some(ephemeral) = within(volume, "ephemeral")
        && let Some(template) = within(ephemeral, "volumeClaimTemplate")
    {
        default_claim(sub(template, "spec"));
    }
}

fn default_downward_file(file: &mut Value) {
    if let Some(field) = within(object::map_mut(file), "fieldRef") {
        put(field, "apiVersion", json!("v1"));
    }
}

/// Whether an image has the tag `latest`, or none and no digest either.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, ""), |(name, digest)| (name, digest));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_tag_are_the_latest() {
        for (image, expected) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("host:5000/nginx", true),
            ("host:5000/a/nginx:1.2", false),
            ("nginx@sha256:00", false),
            ("nginx:latest@sha256:00", true),
            ("nginx:1", false),
        ] {
            assert_eq!(is_latest(image), expected, "{image}");
        }
    }

    #[test]
    fn zero_is_as_good_as_absent_where_the_types_say_so() {
        let mut pod = json!({"spec": {"hostNetwork": true, "serviceAccount": "s", "containers": [{"name": "c", "image": "i:1",
            "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}],
            "livenessProbe": {"periodSeconds": 0, "httpGet": {"port": 80}}}],
            "volumes": [{"name": "v"}, {"name": "h", "hostPath": {"path": "/"}}]}});
        default("Pod", &mut pod);
        let spec = &pod["spec"];
        let container = &spec["containers"][0];
        assert_eq!(container["livenessProbe"]["periodSeconds"], 10);
        assert_eq!(container["livenessProbe"]["httpGet"], json!({"port": 80, "path": "/", "scheme": "HTTP"}));
        assert_eq!(container["ports"][0], json!({"containerPort": 80, "hostPort": 80, "protocol": "TCP"}));
        assert_eq!(container["resources"]["requests"], json!({"cpu": "1"}));
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(spec["volumes"][0], json!({"name": "v", "emptyDir": {}}));
        assert_eq!(spec["volumes"][1]["hostPath"], json!({"path": "/", "type": ""}));
        assert_eq!((&spec["serviceAccountName"], &spec["enableServiceLinks"]), (&json!("s"), &json!(true)));
        let mut service =
            json!({"spec": {"ports": [{"port": 80, "targetPort": 0}], "sessionAffinity": "ClientIP"}});
        default("Service", &mut service);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], 80);
        assert_eq!(service["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
    }
}
