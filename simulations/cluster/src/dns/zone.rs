//! Names of a cluster: services and their pods. Pure.
//!
//! Every service is answered as a headless one: with the addresses of its pods. Source: Kubernetes "DNS-Based
//! Service Discovery" specification 1.1.0 (names and records).

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;

use super::wire::{A, ANY, Record, Reply, SRV};

/// Answers a question within a domain; `name` is without the domain and its dot. `route` is a [`super::Route`].
pub(super) fn answer<'a>(
    name: &str,
    kind: u16,
    domain: &str,
    service: impl Fn(&str, &str) -> Option<Service>,
    pods: impl Fn(&str) -> Vec<&'a Pod>,
    route: impl Fn(Ipv4Addr, &[u16]) -> Option<Ipv4Addr>,
) -> Reply {
    let labels: Vec<&str> = name.split('.').collect();
    let (asked, service_name, namespace) = match labels.as_slice() {
        [service, namespace, "svc"] => (Asked::Service, *service, *namespace),
        [host, service, namespace, "svc"] => (Asked::Host(host), *service, *namespace),
        [port, protocol, service, namespace, "svc"] => {
            match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                (Some(port), Some(protocol)) => (Asked::Port(port, protocol), *service, *namespace),
                _ => return Reply::NoSuchName,
            }
        }
        // The domain and what is between it and a service's name exist, and have no records.
        [] | [""] | ["svc"] | [_, "svc"] => {
            return Reply::Found { answers: Vec::new(), additional: Vec::new() };
        }
        _ => return Reply::NoSuchName,
    };
    let Some(service) = service(namespace, service_name) else { return Reply::NoSuchName };
    let members = members(&service, pods(namespace));
    let suffix = format!("{service_name}.{namespace}.svc.{domain}");
    let address = |m: &Member<'_>| route(m.ip, &tcp_ports(m.pod)).map(Record::A);
    match asked {
        Asked::Service => Reply::Found {
            answers: if wants(kind, A) { members.iter().filter_map(address).collect() } else { Vec::new() },
            additional: Vec::new(),
        },
        Asked::Host(host) => {
            let found: Vec<&Member<'_>> = members.iter().filter(|m| m.host == host).collect();
            if found.is_empty() {
                return Reply::NoSuchName;
            }
            let answers =
                if wants(kind, A) { found.into_iter().filter_map(address).collect() } else { Vec::new() };
            Reply::Found { answers, additional: Vec::new() }
        }
        Asked::Port(name, protocol) => {
            let ports = service.spec.as_ref().and_then(|s| s.ports.as_deref()).unwrap_or_default();
            let matches = |p: &&ServicePort| {
                p.name.as_deref() == Some(name)
                    && p.protocol.as_deref().unwrap_or("TCP").eq_ignore_ascii_case(protocol)
            };
            let Some(port) = ports.iter().find(matches) else { return Reply::NoSuchName };
            if !wants(kind, SRV) {
                return Reply::Found { answers: Vec::new(), additional: Vec::new() };
            }
            let (mut answers, mut additional) = (Vec::new(), Vec::new());
            for member in &members {
                let Some(port) = target_port(port, member.pod) else { continue };
                let Some(ip) = route(member.ip, &[port]) else { continue };
                let target = format!("{}.{suffix}", member.host);
                additional.push((target.clone(), ip));
                answers.push(Record::Srv { port, target });
            }
            Reply::Found { answers, additional }
        }
    }
}

enum Asked<'a> {
    Service,
    Host(&'a str),
    Port(&'a str, &'a str),
}

fn wants(kind: u16, record: u16) -> bool {
    kind == record || kind == ANY
}

struct Member<'a> {
    host: String,
    ip: Ipv4Addr,
    pod: &'a Pod,
}

/// The pods behind a service, in order of address.
fn members<'a>(service: &Service, pods: Vec<&'a Pod>) -> Vec<Member<'a>> {
    let Some(spec) = service.spec.as_ref() else { return Vec::new() };
    let Some(selector) = spec.selector.as_ref().filter(|s| !s.is_empty()) else { return Vec::new() };
    let unready_too = spec.publish_not_ready_addresses == Some(true);
    let mut out: Vec<Member<'a>> = pods
        .into_iter()
        .filter(|pod| selector.iter().all(|(k, v)| pod.labels().get(k) == Some(v)))
        .filter(|pod| unready_too || is_serving(pod))
        .filter_map(|pod| {
            let ip: Ipv4Addr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
            let own = pod.spec.as_ref().filter(|s| s.subdomain.as_deref() == Some(&service.name_any()));
            let host =
                own.and_then(|s| s.hostname.clone()).unwrap_or_else(|| ip.to_string().replace('.', "-"));
            Some(Member { host, ip, pod })
        })
        .collect();
    out.sort_by_key(|m| m.ip);
    out
}

fn is_serving(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The ports that a pod says it listens on.
fn tcp_ports(pod: &Pod) -> Vec<u16> {
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    let ports = containers.flat_map(|c| c.ports.iter().flatten());
    let tcp = ports.filter(|p| p.protocol.as_deref().is_none_or(|p| p.eq_ignore_ascii_case("TCP")));
    tcp.filter_map(|p| u16::try_from(p.container_port).ok()).collect()
}

/// The port on the pod: a number, or the pod's own port of that name.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(n)) => *n,
        Some(IntOrString::String(name)) => pod
            .spec
            .iter()
            .flat_map(|s| &s.containers)
            .flat_map(|c| c.ports.iter().flatten())
            .find(|p| p.name.as_deref() == Some(name))
            .map(|p| p.container_port)?,
    };
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_resolve_to_serving_pods() {
        let service = |unready: bool| -> Service {
            serde_json::from_value(json!({"metadata": {"name": "db", "namespace": "x"}, "spec": {"selector": {"app": "db"},
                "publishNotReadyAddresses": unready, "ports": [{"name": "grpc", "port": 1, "targetPort": "g"}, {"name": "n", "port": 7}]}}))
            .unwrap()
        };
        let pod = |name: &str, ip: &str, ready: &str, app: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app": app}},
                "spec": {"hostname": name, "subdomain": if name == "db-1" { "other" } else { "db" },
                    "containers": [{"name": "c", "ports": [{"name": "g", "containerPort": 10901}]}]},
                "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap()
        };
        let pods = [
            pod("db-1", "127.9.1.2", "True", "db"),
            pod("db-0", "127.9.1.1", "True", "db"),
            pod("db-2", "127.9.1.3", "False", "db"),
            pod("web", "127.9.1.4", "True", "web"),
        ];
        let ask = |name: &str, kind: u16, unready: bool, gateway: bool| {
            let find = |ns: &str, name: &str| (ns == "x" && name == "db").then(|| service(unready));
            // 127.9.1.1 is behind a gateway, and 127.9.1.2 reached from nowhere.
            let route = |ip: Ipv4Addr, ports: &[u16]| match ip.octets() {
                [127, 9, 1, 1] if gateway => (ports == [10901]).then(|| Ipv4Addr::new(127, 10, 1, 1)),
                [127, 9, 1, 2] if gateway => None,
                _ => Some(ip),
            };
            match answer(name, kind, "east.local", find, |_| pods.iter().collect(), route) {
                Reply::Found { answers, additional } if kind == SRV && gateway => {
                    assert_eq!(answers.len(), additional.len());
                    additional.iter().map(|(name, ip)| format!("{name} {ip}")).collect::<Vec<_>>().join(", ")
                }
                Reply::Found { answers, .. } => answers
                    .iter()
                    .map(|r| match r {
                        Record::A(ip) => ip.to_string(),
                        Record::Srv { port, target } => format!("{port} {target}"),
                    })
                    .collect::<Vec<_>>()
                    .join(", "),
                Reply::NoSuchName => "no such name".into(),
            }
        };
        let srv = "10901 db-0.db.x.svc.east.local, 10901 127-9-1-2.db.x.svc.east.local";
        for (name, kind, unready, expected) in [
            ("db.x.svc", A, false, "127.9.1.1, 127.9.1.2"),
            ("db.x.svc", A, true, "127.9.1.1, 127.9.1.2, 127.9.1.3"),
            ("db.x.svc", 28, false, ""),
            ("db-0.db.x.svc", A, false, "127.9.1.1"),
            ("db-2.db.x.svc", A, false, "no such name"),
            ("_grpc._tcp.db.x.svc", SRV, false, srv),
            ("_grpc._tcp.db.x.svc", A, false, ""),
            ("_n._tcp.db.x.svc", SRV, false, "7 db-0.db.x.svc.east.local, 7 127-9-1-2.db.x.svc.east.local"),
            ("_grpc._udp.db.x.svc", SRV, false, "no such name"),
            ("grpc.tcp.db.x.svc", SRV, false, "no such name"),
            ("db.y.svc", A, false, "no such name"),
            ("svc", A, false, ""),
            ("a.b.c.d.e.f", A, false, "no such name"),
        ] {
            assert_eq!(ask(name, kind, unready, false), expected, "{name} {kind}");
        }
        for (name, kind, unready, expected) in [
            ("db.x.svc", A, true, "127.10.1.1, 127.9.1.3"),
            ("db-0.db.x.svc", A, false, "127.10.1.1"),
            ("_grpc._tcp.db.x.svc", SRV, false, "db-0.db.x.svc.east.local 127.10.1.1"),
            ("_n._tcp.db.x.svc", SRV, false, ""),
        ] {
            assert_eq!(ask(name, kind, unready, true), expected, "{name} {kind} through a gateway");
        }
    }
}
