//! Defaults and refusals of the built-in kinds.

use serde_json::{Map, Value, json};

use super::records;
use crate::error::Cause;
use crate::object;
use crate::schema;

/// Fills in what Kubernetes would, where somebody here reads it.
pub(crate) fn default(kind: &str, object: &mut Value) {
    match kind {
        "Pod" => {
            default_pod_spec(object::child_mut(object, "spec"));
            let status = object::child_mut(object, "status");
            put(status, "phase", json!("Pending"));
            put(status, "qosClass", json!("BestEffort"));
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
        "StatefulSet" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "replicas", json!(1));
            put(spec, "podManagementPolicy", json!("OrderedReady"));
            put(spec, "revisionHistoryLimit", json!(10));
            let update = sub(spec, "updateStrategy");
            put(update, "type", json!("RollingUpdate"));
            default_template(spec);
            for claim in lists(spec, "volumeClaimTemplates") {
                default("PersistentVolumeClaim", claim);
            }
        }
        "PersistentVolumeClaim" => {
            put(object::child_mut(object, "spec"), "volumeMode", json!("Filesystem"));
            put(object::child_mut(object, "status"), "phase", json!("Pending"));
        }
        "Service" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "type", json!("ClusterIP"));
            put(spec, "sessionAffinity", json!("None"));
            // There is no virtual address: DNS answers with pods, as for any headless service.
            put(spec, "clusterIP", json!("None"));
            put(spec, "clusterIPs", json!(["None"]));
            for port in lists(spec, "ports") {
                let port = object::map_mut(port);
                put(port, "protocol", json!("TCP"));
                if let Some(number) = port.get("port").cloned() {
                    put(port, "targetPort", number);
                }
            }
        }
        "Secret" => {
            let map = object::map_mut(object);
            put(map, "type", json!("Opaque"));
        }
        "Namespace" => {
            let spec = object::child_mut(object, "spec");
            put(spec, "finalizers", json!(["kubernetes"]));
            put(object::child_mut(object, "status"), "phase", json!("Active"));
            let name = object::name(object).to_owned();
            let labels = sub(object::meta_mut(object), "labels");
            put(labels, "kubernetes.io/metadata.name", json!(name));
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

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.entry(key).or_insert(value);
}

fn sub<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    object::map_mut(map.entry(key).or_insert(Value::Null))
}

fn lists<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn default_template(spec: &mut Map<String, Value>) {
    default_pod_spec(sub(sub(spec, "template"), "spec"));
}

fn default_pod_spec(spec: &mut Map<String, Value>) {
    put(spec, "restartPolicy", json!("Always"));
    put(spec, "terminationGracePeriodSeconds", json!(30));
    put(spec, "dnsPolicy", json!("ClusterFirst"));
    put(spec, "schedulerName", json!("default-scheduler"));
    for containers in ["containers", "initContainers"] {
        for container in lists(spec, containers) {
            let container = object::map_mut(container);
            put(container, "imagePullPolicy", json!("IfNotPresent"));
            put(container, "terminationMessagePath", json!("/dev/termination-log"));
            put(container, "terminationMessagePolicy", json!("File"));
            for port in lists(container, "ports") {
                put(object::map_mut(port), "protocol", json!("TCP"));
            }
            for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
                if let Some(Value::Object(probe)) = container.get_mut(probe) {
                    for (key, value) in [
                        ("periodSeconds", 10),
                        ("timeoutSeconds", 1),
                        ("failureThreshold", 3),
                        ("successThreshold", 1),
                    ] {
                        put(probe, key, json!(value));
                    }
                    if let Some(Value::Object(get)) = probe.get_mut("httpGet") {
                        put(get, "path", json!("/"));
                        put(get, "scheme", json!("HTTP"));
                    }
                }
            }
        }
    }
    for volume in lists(spec, "volumes") {
        for source in ["configMap", "secret"] {
            if let Some(Value::Object(source)) = volume.get_mut(source) {
                put(source, "defaultMode", json!(420));
            }
        }
    }
}

/// Brings what may be written in two ways into the one that types read: `cpu: 1` is a quantity too.
pub(crate) fn normalise(value: &mut Value) {
    quantities_to_text(value);
}

fn quantities_to_text(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                if matches!(&**key, "limits" | "requests" | "capacity" | "allocatable")
                    && let Value::Object(quantities) = below
                {
                    for quantity in quantities.values_mut().filter(|q| q.is_number()) {
                        *quantity = Value::String(quantity.to_string());
                    }
                } else {
                    quantities_to_text(below);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities_to_text),
        _ => {}
    }
}

/// Notes what is wrong with an object of a built-in kind.
pub(crate) fn validate(kind: &str, object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    match kind {
        "Pod" => validate_pod_spec(spec, "spec", causes),
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            if let Some(n) = object::int(spec, &["replicas"]).filter(|n| *n < 0) {
                causes.push(Cause::invalid(
                    "spec.replicas",
                    format!("{n}: must be greater than or equal to 0"),
                ));
            }
            validate_selector(spec, causes);
            if let Some(pod) = object::at(spec, &["template", "spec"]) {
                validate_pod_spec(pod, "spec.template.spec", causes);
            }
            let policy = object::text(spec, &["template", "spec", "restartPolicy"]);
            if policy != "Always" {
                let field = "spec.template.spec.restartPolicy";
                causes.push(Cause::unsupported(field, &format!("{policy:?}"), &["Always"]));
            }
            if kind == "Deployment" {
                validate_rollout(spec, causes);
            }
        }
        "Service" => {
            for (i, port) in object::list(spec, &["ports"]).iter().enumerate() {
                if !is_port(port.get("port")) {
                    causes.push(Cause::invalid(
                        format!("spec.ports[{i}].port"),
                        "must be between 1 and 65535, inclusive",
                    ));
                }
            }
        }
        "CustomResourceDefinition" => validate_definition(object, spec, causes),
        "ConfigMap" | "Secret" => records::validate_settings(object, causes),
        "Lease" => records::validate_lease(spec, causes),
        _ => {}
    }
}

fn is_port(value: Option<&Value>) -> bool {
    value.and_then(Value::as_i64).is_some_and(|n| (1..=65535).contains(&n))
}

fn validate_selector(spec: &Value, causes: &mut Vec<Cause>) {
    let selector = object::at(spec, &["selector", "matchLabels"]).and_then(Value::as_object);
    let expressions = object::list(spec, &["selector", "matchExpressions"]);
    if selector.is_none_or(Map::is_empty) && expressions.is_empty() {
        causes.push(Cause::required("spec.selector"));
        return;
    }
    let labels = object::at(spec, &["template", "metadata", "labels"]);
    let matches = selector.into_iter().flatten().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v));
    if !matches {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ));
    }
}

fn validate_rollout(spec: &Value, causes: &mut Vec<Cause>) {
    let rolling = object::at(spec, &["strategy", "rollingUpdate"]);
    let zero = |key: &str| {
        rolling
            .and_then(|r| r.get(key))
            .is_some_and(|v| *v == json!(0) || *v == json!("0") || *v == json!("0%"))
    };
    if zero("maxSurge") && zero("maxUnavailable") {
        causes.push(Cause::invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0 when `maxSurge` is 0",
        ));
    }
}

fn validate_pod_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = object::list(spec, &["containers"]);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers")));
    }
    let volumes: Vec<&str> =
        object::list(spec, &["volumes"]).iter().map(|v| object::text(v, &["name"])).collect();
    let mut names = std::collections::BTreeSet::new();
    for (field, list) in
        [("containers", containers), ("initContainers", object::list(spec, &["initContainers"]))]
    {
        for (i, container) in list.iter().enumerate() {
            let at = format!("{path}.{field}[{i}]");
            let name = object::text(container, &["name"]);
            if object::text(container, &["image"]).is_empty() {
                causes.push(Cause::required(format!("{at}.image")));
            }
            if !is_label(name) {
                causes.push(Cause::invalid(format!("{at}.name"), format!("{name:?}: must be a DNS label")));
            } else if !names.insert(name) {
                causes.push(Cause::new(
                    "FieldValueDuplicate",
                    format!("{at}.name"),
                    format!("Duplicate value: {name:?}"),
                ));
            }
            for (j, port) in object::list(container, &["ports"]).iter().enumerate() {
                if !is_port(port.get("containerPort")) {
                    let field = format!("{at}.ports[{j}].containerPort");
                    causes.push(Cause::invalid(field, "must be between 1 and 65535, inclusive"));
                }
            }
            for (j, mount) in object::list(container, &["volumeMounts"]).iter().enumerate() {
                let volume = object::text(mount, &["name"]);
                // A StatefulSet's claims become volumes of its pods only.
                if path == "spec" && !volumes.contains(&volume) {
                    let field = format!("{at}.volumeMounts[{j}].name");
                    causes.push(Cause::new("FieldValueNotFound", field, format!("Not found: {volume:?}")));
                }
            }
        }
    }
}

fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn validate_definition(object: &Value, spec: &Value, causes: &mut Vec<Cause>) {
    let (group, plural) = (object::text(spec, &["group"]), object::text(spec, &["names", "plural"]));
    let wanted = format!("{plural}.{group}");
    if object::name(object) != wanted || group.is_empty() || plural.is_empty() {
        causes.push(Cause::invalid(
            "metadata.name",
            format!("must be spec.names.plural+\".\"+spec.group: {wanted:?}"),
        ));
    }
    if object::text(spec, &["names", "kind"]).is_empty() {
        causes.push(Cause::required("spec.names.kind"));
    }
    if !matches!(object::text(spec, &["scope"]), "Namespaced" | "Cluster") {
        causes.push(Cause::invalid("spec.scope", "must be Namespaced or Cluster"));
    }
    let versions = object::list(spec, &["versions"]);
    let stored = versions.iter().filter(|v| v.get("storage") == Some(&json!(true))).count();
    if stored != 1 {
        causes
            .push(Cause::invalid("spec.versions", "must have exactly one version marked as storage version"));
    }
    for (i, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{i}].schema.openAPIV3Schema");
        match object::at(version, &["schema", "openAPIV3Schema"]) {
            Some(schema) => schema::rules::judge(schema, &at, causes),
            None => causes.push(Cause::required(at)),
        }
    }
    let reserved = super::KINDS.iter().any(|b| b.group == group && !group.is_empty());
    if reserved {
        causes.push(Cause::invalid("spec.group", format!("{group:?} is a built-in group")));
    }
}

/// Notes fields that may not change once the object is there.
pub(crate) fn validate_update(kind: &str, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let mut immutable = |path: &[&str]| {
        if object::at(old, path) != object::at(new, path) {
            causes.push(Cause::invalid(path.join("."), "field is immutable"));
        }
    };
    match kind {
        "ConfigMap" | "Secret" => records::validate_settings_update(old, new, causes),
        "Deployment" | "ReplicaSet" => immutable(&["spec", "selector"]),
        "StatefulSet" => {
            for field in ["selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"] {
                immutable(&["spec", field]);
            }
        }
        "Pod" => {
            let frozen = |pod: &Value| {
                let mut spec = pod.get("spec").cloned().unwrap_or_default();
                for container in
                    spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten()
                {
                    object::map_mut(container).remove("image");
                }
                let map = object::map_mut(&mut spec);
                for field in ["tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds"] {
                    map.remove(field);
                }
                spec
            };
            if frozen(old) != frozen(new) {
                causes.push(Cause::forbidden(
                    "spec",
                    "pod updates may not change fields other than `spec.containers[*].image`, \
                     `spec.activeDeadlineSeconds`, `spec.tolerations` and `spec.terminationGracePeriodSeconds`",
                ));
            }
        }
        _ => {}
    }
}
