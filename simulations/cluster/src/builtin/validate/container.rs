//! Containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names::{dns_label, dns_subdomain, env_name, header_name, port_name, qualified_name};
use super::super::quantity::Quantity;
use super::Check;
use super::volumes::no_backsteps;
use crate::object;

/// What a container finds in its pod.
pub(super) struct Surroundings<'a> {
    pub(super) volumes: &'a BTreeSet<&'a str>,
}

/// Resources that need no vendor's name before them.
const RESOURCES: &[&str] = &["cpu", "memory", "ephemeral-storage"];
/// Paths of a pod that a variable may take its value from.
const FIELD_PATHS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCE_PATHS: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// `field`: which of the pod's lists it is in.
pub(super) fn container(
    container: &Value,
    field: &str,
    around: &Surroundings<'_>,
    at: &str,
    check: &mut Check<'_>,
) {
    let text = |field: &str| object::text(container, &[field]);
    let path = |field: &str| format!("{at}.{field}");
    match text("name") {
        "" => check.required(path("name"), ""),
        name => check.text(path("name"), name, dns_label(name)),
    }
    if text("image").is_empty() {
        check.required(path("image"), "");
    }
    let policies = ["File", "FallbackToLogsOnError"];
    check.one_of(path("terminationMessagePolicy"), text("terminationMessagePolicy"), &policies);
    check.one_of(path("imagePullPolicy"), text("imagePullPolicy"), &["Always", "IfNotPresent", "Never"]);
    ports(container, &path("ports"), check);
    env(container, &path("env"), check);
    env_from(container, &path("envFrom"), check);
    mounts(container, around, at, check);
    resources(container, &path("resources"), check);
    super::security::security(container.get("securityContext"), &path("securityContext"), check);

    let sidecar = text("restartPolicy") == "Always";
    let has = |field: &str| container.get(field).is_some_and(|v| !v.is_null());
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"];
    if field != "containers" && !(field == "initContainers" && sidecar) {
        for forbidden in ["lifecycle"].iter().chain(&probes).filter(|f| has(f)) {
            let why = if field == "initContainers" {
                "may not be set for init containers without restartPolicy=Always"
            } else {
                "cannot be set for an Ephemeral Container"
            };
            check.forbidden(path(forbidden), why);
        }
        return;
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook_value) = object::at(container, &["lifecycle", hook]) {
            handler(
                hook_value,
                &["exec", "httpGet", "tcpSocket", "sleep"],
                &format!("{at}.lifecycle.{hook}"),
                check,
            );
        }
    }
    for name in probes {
        if let Some(given) = container.get(name) {
            probe(given, name, &path(name), check);
        }
    }
}

fn ports(container: &Value, at: &str, check: &mut Check<'_>) {
    let mut names = BTreeSet::new();
    for (i, port) in object::list(container, &["ports"]).iter().enumerate() {
        let path = |field: &str| format!("{at}[{i}].{field}");
        let name = object::text(port, &["name"]);
        if !name.is_empty() {
            let faults = port_name(name);
            if faults.is_empty() && !names.insert(name) {
                check.duplicate(path("name"), &name.into());
            }
            check.text(path("name"), name, faults);
        }
        match object::int(port, &["containerPort"]).unwrap_or(0) {
            0 => check.required(path("containerPort"), ""),
            number => check.port(path("containerPort"), number),
        }
        if let Some(number) = object::int(port, &["hostPort"]).filter(|n| *n != 0) {
            check.port(path("hostPort"), number);
        }
        check.one_of(path("protocol"), object::text(port, &["protocol"]), super::PROTOCOLS);
    }
}

fn env(container: &Value, at: &str, check: &mut Check<'_>) {
    for (i, variable) in object::list(container, &["env"]).iter().enumerate() {
        let at = format!("{at}[{i}]");
        match object::text(variable, &["name"]) {
            "" => check.required(format!("{at}.name"), ""),
            name => check.text(format!("{at}.name"), name, env_name(name)),
        }
        let Some(source) = variable.get("valueFrom") else { continue };
        let at = format!("{at}.valueFrom");
        let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        let given: Vec<&str> = kinds.into_iter().filter(|k| source.get(k).is_some()).collect();
        for kind in &given {
            env_source(source.get(kind).unwrap_or(&Value::Null), kind, &format!("{at}.{kind}"), check);
        }
        let empty = Value::from("");
        if !object::text(variable, &["value"]).is_empty() {
            if !given.is_empty() {
                check.invalid(at, &empty, "may not be specified when `value` is not empty");
            }
        } else if given.is_empty() {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or \
                       `fileKeyRef`";
            check.invalid(at, &empty, why);
        } else if given.len() > 1 {
            check.invalid(at, &empty, "may not have more than one field specified at a time");
        }
    }
}

fn env_source(source: &Value, kind: &str, at: &str, check: &mut Check<'_>) {
    let text = |field: &str| object::text(source, &[field]);
    match kind {
        "fieldRef" => {
            let path = text("fieldPath");
            let subscripted =
                path.split_once("['").and_then(|(map, key)| Some((map, key.strip_suffix("']")?)));
            match subscripted {
                Some(("metadata.labels", key)) => check.text(at, key, qualified_name(key)),
                Some(("metadata.annotations", key)) => {
                    check.text(at, key, qualified_name(&key.to_lowercase()))
                }
                Some((map, _)) => check.invalid(at, &map.into(), "does not support subscript"),
                None => check.one_of(format!("{at}.fieldPath"), path, FIELD_PATHS),
            }
        }
        "resourceFieldRef" => {
            let huge = ["limits.hugepages-", "requests.hugepages-"];
            if !huge.iter().any(|p| text("resource").starts_with(p)) {
                check.one_of(format!("{at}.resource"), text("resource"), RESOURCE_PATHS);
            }
        }
        "configMapKeyRef" | "secretKeyRef" => {
            if text("name").is_empty() {
                check.required(format!("{at}.name"), "");
            }
            match text("key") {
                "" => check.required(format!("{at}.key"), ""),
                key => check.text(format!("{at}.key"), key, super::super::names::config_key(key)),
            }
        }
        _ => {}
    }
}

fn env_from(container: &Value, at: &str, check: &mut Check<'_>) {
    for (i, source) in object::list(container, &["envFrom"]).iter().enumerate() {
        let prefix = object::text(source, &["prefix"]);
        if !prefix.is_empty() {
            check.text(format!("{at}[{i}].prefix"), prefix, env_name(prefix));
        }
        let mut given = 0;
        for kind in ["configMapRef", "secretRef"] {
            let Some(reference) = source.get(kind) else { continue };
            given += 1;
            match object::text(reference, &["name"]) {
                "" => check.required(format!("{at}[{i}].{kind}.name"), ""),
                name => check.text(format!("{at}[{i}].{kind}.name"), name, dns_subdomain(name)),
            }
        }
        let empty = Value::from("");
        match given {
            0 => check.invalid(at, &empty, "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => check.invalid(at, &empty, "may not have more than one field specified at a time"),
        }
    }
}

fn mounts(container: &Value, around: &Surroundings<'_>, at: &str, check: &mut Check<'_>) {
    let mut taken = BTreeSet::new();
    let mut mounted = BTreeSet::new();
    for (i, mount) in object::list(container, &["volumeMounts"]).iter().enumerate() {
        let path = |field: &str| format!("{at}.volumeMounts[{i}].{field}");
        let text = |field: &str| object::text(mount, &[field]);
        if text("name").is_empty() {
            check.required(path("name"), "");
        }
        if !around.volumes.contains(text("name")) {
            check.not_found(path("name"), text("name"));
        }
        mounted.insert(text("name"));
        if text("mountPath").is_empty() {
            check.required(path("mountPath"), "");
        }
        if !taken.insert(text("mountPath")) {
            check.invalid(path("mountPath"), &text("mountPath").into(), "must be unique");
        }
        for field in ["subPath", "subPathExpr"] {
            if text(field).starts_with('/') {
                check.invalid(path(field), &text(field).into(), "must be a relative path");
            }
            no_backsteps(text(field), &path(field), check);
        }
        if !text("subPath").is_empty() && !text("subPathExpr").is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            check.invalid(path("subPathExpr"), &text("subPathExpr").into(), why);
        }
        let ways = ["Bidirectional", "HostToContainer", "None"];
        check.none_or_one_of(path("mountPropagation"), text("mountPropagation"), &ways);
    }
    for (i, device) in object::list(container, &["volumeDevices"]).iter().enumerate() {
        let path = |field: &str| format!("{at}.volumeDevices[{i}].{field}");
        let text = |field: &str| object::text(device, &[field]);
        if text("name").is_empty() {
            check.required(path("name"), "");
        } else if !around.volumes.contains(text("name")) {
            check.not_found(path("name"), text("name"));
        } else if mounted.contains(text("name")) {
            check.invalid(path("name"), &text("name").into(), "must not already exist in volumeMounts");
        }
        if text("devicePath").is_empty() {
            check.required(path("devicePath"), "");
        } else if !taken.insert(text("devicePath")) {
            check.invalid(path("devicePath"), &text("devicePath").into(), "must be unique");
        }
    }
}

fn resources(container: &Value, at: &str, check: &mut Check<'_>) {
    let amounts = |field: &'static str| {
        object::at(container, &["resources", field]).and_then(Value::as_object).into_iter().flatten()
    };
    for field in ["limits", "requests"] {
        for (name, amount) in amounts(field) {
            let at = format!("{at}.{field}[{name}]");
            resource_name(name, &at, check);
            let negative = |text: &str| Quantity::parse(text).is_some_and(Quantity::is_negative);
            if amount.as_str().is_some_and(negative) {
                check.invalid(at.clone(), amount, "must be greater than or equal to 0");
            }
            let whole = |text: &str| Quantity::parse(text).is_none_or(Quantity::is_whole);
            if (name.contains('/') || name.starts_with("hugepages-")) && !amount.as_str().is_none_or(whole) {
                check.invalid(at, amount, "must be an integer");
            }
        }
    }
    for (name, request) in amounts("requests") {
        let at = format!("{at}.requests");
        // Of others and of huge pages there is no more than there is.
        let commits_over = !name.contains('/') && !name.starts_with("hugepages-");
        let limit = object::at(container, &["resources", "limits", name]).and_then(Value::as_str);
        let amount = |text: &str| Quantity::parse(text).map(Quantity::amount);
        let Some(limit) = limit else {
            if !commits_over {
                let why = "Limit must be set for non overcommitable resources";
                check.required(at.replace("requests", "limits"), why);
            }
            continue;
        };
        let (wanted, most) = (request.as_str().and_then(amount), amount(limit));
        if !commits_over && wanted != most {
            check.invalid(at, request, format!("must be equal to {name} limit of {limit}"));
        } else if wanted > most {
            check.invalid(at, request, format!("must be less than or equal to {name} limit of {limit}"));
        }
    }
}

fn resource_name(name: &str, at: &str, check: &mut Check<'_>) {
    let faults = qualified_name(name);
    let fine = faults.is_empty();
    check.text(at, name, faults);
    if fine && !name.contains('/') && !RESOURCES.contains(&name) && !name.starts_with("hugepages-") {
        let why = if name == "storage" {
            "must be a standard resource for containers"
        } else {
            "must be a standard resource type or fully qualified"
        };
        check.invalid(at, &name.into(), why);
    }
}

fn probe(probe: &Value, name: &str, at: &str, check: &mut Check<'_>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], at, check);
    let number = |field: &str| object::int(probe, &[field]);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        check.not_negative(format!("{at}.{field}"), number(field));
    }
    if let Some(n) = number("successThreshold").filter(|n| *n != 1 && name != "readinessProbe") {
        check.invalid(format!("{at}.successThreshold"), &n.into(), "must be 1");
    }
    if let Some(n) = number("terminationGracePeriodSeconds") {
        let at = format!("{at}.terminationGracePeriodSeconds");
        if name == "readinessProbe" {
            check.invalid(at.clone(), &n.into(), "must not be set for readinessProbes");
        }
        if n <= 0 {
            check.invalid(at, &n.into(), "must be greater than 0");
        }
    }
}

/// What a probe or hook does: one thing.
fn handler(given: &Value, kinds: &[&str], at: &str, check: &mut Check<'_>) {
    let mut found = false;
    for kind in kinds {
        let Some(action) = given.get(kind) else { continue };
        let at = format!("{at}.{kind}");
        if std::mem::replace(&mut found, true) {
            check.forbidden(at, "may not specify more than 1 handler type");
            continue;
        }
        match *kind {
            "exec" if object::list(action, &["command"]).is_empty() => {
                check.required(format!("{at}.command"), "")
            }
            "httpGet" => {
                if object::text(action, &["path"]).is_empty() {
                    check.required(format!("{at}.path"), "");
                }
                check.port_or_name(format!("{at}.port"), action.get("port"));
                check.one_of(format!("{at}.scheme"), object::text(action, &["scheme"]), &["HTTP", "HTTPS"]);
                for header in object::list(action, &["httpHeaders"]) {
                    let name = object::text(header, &["name"]);
                    check.text(format!("{at}.httpHeaders"), name, header_name(name));
                }
            }
            "tcpSocket" => check.port_or_name(format!("{at}.port"), action.get("port")),
            "grpc" => check.port(format!("{at}.port"), object::int(action, &["port"]).unwrap_or(0)),
            _ => {}
        }
    }
    if !found {
        check.required(at, "must specify a handler type");
    }
}
