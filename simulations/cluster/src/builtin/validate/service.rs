//! Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::former::is_reached_from_outside;
use super::super::names::{dns_label, dns_subdomain, qualified_name};
use super::{Check, IP, PROTOCOLS};
use crate::object;

/// What a server gives out where it is not told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

pub(super) fn service(spec: &Value, check: &mut Check<'_>) {
    let text = |field: &str| object::text(spec, &[field]);
    let kind = text("type");
    let ports = object::list(spec, &["ports"]);
    if ports.is_empty() && kind != "ExternalName" && text("clusterIP") != "None" {
        check.required("spec.ports", "");
    }
    check.one_of("spec.type", kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    if kind == "ExternalName" {
        let name = text("externalName").trim_end_matches('.');
        if name.is_empty() {
            check.required("spec.externalName", "");
        } else {
            check.text("spec.externalName", name, dns_subdomain(name));
        }
        if !object::list(spec, &["clusterIPs"]).is_empty() || !matches!(text("clusterIP"), "") {
            check.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
        }
    }
    let mut seen = Seen::default();
    for (i, port) in ports.iter().enumerate() {
        service_port(port, ports.len() > 1, kind, &mut seen, &format!("spec.ports[{i}]"), check);
    }
    check.labels("spec.selector", spec.get("selector"));
    check.one_of("spec.sessionAffinity", text("sessionAffinity"), &["ClientIP", "None"]);
    if let Some(n) = object::int(spec, &["sessionAffinityConfig", "clientIP", "timeoutSeconds"])
        .filter(|n| !(1..=86_400).contains(n))
    {
        let at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        check.invalid(at, &n.into(), "must be greater than 0 and less than 86400");
    }
    let local = &["Cluster", "Local"];
    check.none_or_one_of("spec.internalTrafficPolicy", text("internalTrafficPolicy"), local);
    let external = text("externalTrafficPolicy");
    if is_reached_from_outside(spec) {
        check.none_or_one_of("spec.externalTrafficPolicy", external, local);
    } else if !external.is_empty() {
        let why = "may only be set for externally-accessible services";
        check.invalid("spec.externalTrafficPolicy", &external.into(), why);
    }
    let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"];
    check.none_or_one_of("spec.ipFamilyPolicy", text("ipFamilyPolicy"), &policies);
    for (i, ip) in object::list(spec, &["externalIPs"]).iter().enumerate() {
        if ip.as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
            check.invalid(format!("spec.externalIPs[{i}]"), ip, IP);
        }
    }
    for (field, balanced) in [
        ("allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"),
        ("loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"),
        ("loadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"),
    ] {
        if kind != "LoadBalancer" && spec.get(field).is_some() {
            check.forbidden(format!("spec.{field}"), balanced);
        }
    }
}

#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    ports: BTreeSet<(String, i64)>,
    node_ports: BTreeSet<(String, i64)>,
}

fn service_port(port: &Value, named: bool, kind: &str, seen: &mut Seen, at: &str, check: &mut Check<'_>) {
    let text = |field: &str| object::text(port, &[field]);
    let number = |field: &str| object::int(port, &[field]).unwrap_or(0);
    let path = |field: &str| format!("{at}.{field}");
    let name = text("name");
    if name.is_empty() {
        if named {
            check.required(path("name"), "");
        }
    } else {
        check.text(path("name"), name, dns_label(name));
        if !seen.names.insert(name.to_owned()) {
            check.duplicate(path("name"), &name.into());
        }
    }
    check.port(path("port"), number("port"));
    check.one_of(path("protocol"), text("protocol"), PROTOCOLS);
    check.port_or_name(path("targetPort"), port.get("targetPort"));
    if !text("appProtocol").is_empty() {
        check.text(path("appProtocol"), text("appProtocol"), qualified_name(text("appProtocol")));
    }
    let node_port = number("nodePort");
    if node_port != 0 {
        if kind == "ClusterIP" {
            check.forbidden(path("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        if !NODE_PORTS.contains(&node_port) {
            let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
            check.invalid(path("nodePort"), &node_port.into(), why);
        }
        if !seen.node_ports.insert((text("protocol").to_owned(), node_port)) {
            check.duplicate(path("nodePort"), &node_port.into());
        }
    }
    if !seen.ports.insert((text("protocol").to_owned(), number("port"))) {
        let shown = serde_json::json!({"port": number("port"), "protocol": text("protocol")});
        check.duplicate(at, &shown);
    }
}
