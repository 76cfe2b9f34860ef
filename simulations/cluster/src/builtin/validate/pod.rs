//! Pods and templates of pods.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names::{dns_label, dns_subdomain};
use super::container::{self, Surroundings};
use super::{Check, IP, NUMBER_MAX, placement, security, volumes};
use crate::object;

pub(super) fn pod(spec: &Value, at: &str, check: &mut Check<'_>) {
    pod_with(spec, &BTreeSet::new(), at, check);
}

/// A pod that has more volumes than its specification says: those of a StatefulSet's claims.
pub(super) fn pod_with(spec: &Value, more: &BTreeSet<&str>, at: &str, check: &mut Check<'_>) {
    let mut names = volumes::volumes(spec, more, &format!("{at}.volumes"), check);
    names.extend(more);
    containers(spec, &names, at, check);
    let text = |field: &str| object::text(spec, &[field]);
    let path = |field: &str| format!("{at}.{field}");
    check.one_of(path("restartPolicy"), text("restartPolicy"), &["Always", "OnFailure", "Never"]);
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    check.one_of(path("dnsPolicy"), text("dnsPolicy"), &dns);
    check.none_or_one_of(
        path("preemptionPolicy"),
        text("preemptionPolicy"),
        &["PreemptLowerPriority", "Never"],
    );
    check.labels(&path("nodeSelector"), spec.get("nodeSelector"));
    check.not_negative(
        path("terminationGracePeriodSeconds"),
        object::int(spec, &["terminationGracePeriodSeconds"]),
    );
    for field in ["hostname", "subdomain"] {
        if !text(field).is_empty() {
            check.text(path(field), text(field), dns_label(text(field)));
        }
    }
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        if !text(field).is_empty() {
            check.text(path(field), text(field), dns_subdomain(text(field)));
        }
    }
    if let Some(n) = object::int(spec, &["activeDeadlineSeconds"]).filter(|n| !(1..=NUMBER_MAX).contains(n)) {
        let why = format!("must be between 1 and {NUMBER_MAX}, inclusive");
        check.invalid(path("activeDeadlineSeconds"), &n.into(), why);
    }
    for (i, secret) in object::list(spec, &["imagePullSecrets"]).iter().enumerate() {
        if object::text(secret, &["name"]).is_empty() {
            check.required(format!("{at}.imagePullSecrets[{i}].name"), "");
        }
    }
    placement::placement(spec, at, check);
    security::security(spec.get("securityContext"), &path("securityContext"), check);
    dns_config(spec, at, check);
    for (i, alias) in object::list(spec, &["hostAliases"]).iter().enumerate() {
        let ip = object::text(alias, &["ip"]);
        if ip.parse::<std::net::IpAddr>().is_err() {
            check.invalid(format!("{at}.hostAliases[{i}].ip"), &ip.into(), IP);
        }
    }
}

/// A template: labels and annotations of the pods, and their specification.
pub(super) fn template(template: &Value, more: &BTreeSet<&str>, at: &str, check: &mut Check<'_>) {
    let meta = template.get("metadata").unwrap_or(&Value::Null);
    check.labels(&format!("{at}.labels"), meta.get("labels"));
    super::meta::annotations(meta, &format!("{at}.annotations"), check);
    let spec = template.get("spec").unwrap_or(&Value::Null);
    pod_with(spec, more, &format!("{at}.spec"), check);
    host_ports_match(spec, false, &format!("{at}.spec"), check);
    if !object::list(spec, &["ephemeralContainers"]).is_empty() {
        let why = "ephemeral containers not allowed in pod template";
        check.forbidden(format!("{at}.spec.ephemeralContainers"), why);
    }
    let policy = object::text(spec, &["restartPolicy"]);
    if policy != "Always" {
        let field = format!("{at}.spec.restartPolicy");
        check.0.push(crate::error::Cause::unsupported(field, &format!("{policy:?}"), &["Always"]));
    }
}

fn containers(spec: &Value, volumes: &BTreeSet<&str>, at: &str, check: &mut Check<'_>) {
    let around = Surroundings { volumes };
    let list = |field: &str| object::list(spec, &[field]);
    if list("containers").is_empty() {
        check.required(format!("{at}.containers"), "");
    }
    let mut names = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        for (i, given) in list(field).iter().enumerate() {
            let at = format!("{at}.{field}[{i}]");
            container::container(given, field, &around, &at, check);
            let name = object::text(given, &["name"]);
            if !names.insert(name) && !name.is_empty() {
                check.duplicate(format!("{at}.name"), &name.into());
            }
            if field != "containers" {
                // They run one by one.
                host_ports.clear();
            }
            for (j, port) in object::list(given, &["ports"]).iter().enumerate() {
                let Some(number) = object::int(port, &["hostPort"]).filter(|n| *n != 0) else { continue };
                let (protocol, ip) = (object::text(port, &["protocol"]), object::text(port, &["hostIP"]));
                let shown = format!("{protocol}/{ip}/{number}");
                if !host_ports.insert(shown.clone()) {
                    check.duplicate(format!("{at}.ports[{j}].hostPort"), &shown.into());
                }
            }
        }
    }
}

/// On the host's network a port is the host's; a template may leave it out.
pub(super) fn host_ports_match(spec: &Value, bare: bool, at: &str, check: &mut Check<'_>) {
    if spec.get("hostNetwork") != Some(&Value::Bool(true)) {
        return;
    }
    for (i, container) in object::list(spec, &["containers"]).iter().enumerate() {
        for (j, port) in object::list(container, &["ports"]).iter().enumerate() {
            let number = |field: &str| object::int(port, &[field]).unwrap_or(0);
            let (host, own) = (number("hostPort"), number("containerPort"));
            if (bare || host != 0) && host != own {
                let why = "must match `containerPort` when `hostNetwork` is true";
                check.invalid(format!("{at}.containers[{i}].ports[{j}].hostPort"), &host.into(), why);
            }
        }
    }
}

fn dns_config(spec: &Value, at: &str, check: &mut Check<'_>) {
    let servers = object::list(spec, &["dnsConfig", "nameservers"]);
    let at = format!("{at}.dnsConfig");
    if object::text(spec, &["dnsPolicy"]) == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        check.required(format!("{at}.nameservers"), why);
    }
    for (i, server) in servers.iter().enumerate() {
        if server.as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
            check.invalid(format!("{at}.nameservers[{i}]"), server, IP);
        }
    }
}
