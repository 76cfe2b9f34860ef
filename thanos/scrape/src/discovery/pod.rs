//! A pod's targets and `__meta_kubernetes_pod_*` labels, as Prometheus' `discovery/kubernetes/pod.go` makes them.

mod object;

use std::collections::BTreeMap;

pub use object::{Container, ContainerPort, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus};

use crate::target::{LabelMap, TargetGroup};

const META: &str = "__meta_kubernetes_";

/// One target per container and declared port; one for a container without ports; none while the pod has no
/// address. Labels without a value are left out, which relabelling cannot tell from empty ones.
pub fn pod_targets(pod: &Pod) -> Option<TargetGroup> {
    let status = pod.status.as_ref()?;
    let spec = pod.spec.as_ref()?;
    let pod_ip = status.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    let statuses = status.container_statuses.as_deref().unwrap_or_default();
    let init_statuses = status.init_container_statuses.as_deref().unwrap_or_default();
    let main = spec.containers.iter().flatten().map(|c| (c, statuses, "false"));
    let init = spec.init_containers.iter().flatten().map(|c| (c, init_statuses, "true"));
    let targets =
        main.chain(init).flat_map(|(c, s, is_init)| container_targets(pod_ip, c, s, is_init)).collect();
    Some(TargetGroup { labels: pod_labels(pod, pod_ip), targets })
}

fn container_targets(
    pod_ip: &str,
    container: &Container,
    statuses: &[ContainerStatus],
    is_init: &str,
) -> Vec<LabelMap> {
    let id = statuses.iter().find(|s| s.name == container.name).and_then(|s| s.container_id.as_deref());
    let mut base = LabelMap::new();
    set(&mut base, "pod_container_name", &container.name);
    set(&mut base, "pod_container_id", id.unwrap_or_default());
    set(&mut base, "pod_container_image", container.image.as_deref().unwrap_or_default());
    set(&mut base, "pod_container_init", is_init);
    let ports = container.ports.as_deref().unwrap_or_default();
    if ports.is_empty() {
        base.insert("__address__".into(), pod_ip.to_owned());
        return vec![base];
    }
    let target = |port: &ContainerPort| {
        let mut labels = base.clone();
        let number = port.container_port.to_string();
        let host = if pod_ip.contains(':') { format!("[{pod_ip}]") } else { pod_ip.to_owned() };
        labels.insert("__address__".into(), format!("{host}:{number}"));
        set(&mut labels, "pod_container_port_number", &number);
        set(&mut labels, "pod_container_port_name", port.name.as_deref().unwrap_or_default());
        // The API server fills the default in; other servers may not.
        set(&mut labels, "pod_container_port_protocol", port.protocol.as_deref().unwrap_or("TCP"));
        labels
    };
    ports.iter().map(target).collect()
}

fn pod_labels(pod: &Pod, pod_ip: &str) -> LabelMap {
    let mut labels = LabelMap::new();
    let meta = &pod.metadata;
    set(&mut labels, "namespace", meta.namespace.as_deref().unwrap_or_default());
    set(&mut labels, "pod_name", meta.name.as_deref().unwrap_or_default());
    set(&mut labels, "pod_uid", meta.uid.as_deref().unwrap_or_default());
    set(&mut labels, "pod_ip", pod_ip);
    let status = pod.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|c| c.type_ == "Ready").map_or("unknown", |c| &c.status);
    set(&mut labels, "pod_ready", &ready.to_lowercase());
    set(&mut labels, "pod_phase", status.and_then(|s| s.phase.as_deref()).unwrap_or_default());
    set(&mut labels, "pod_host_ip", status.and_then(|s| s.host_ip.as_deref()).unwrap_or_default());
    let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref());
    set(&mut labels, "pod_node_name", node.unwrap_or_default());
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    if let Some(owner) = owners.iter().find(|o| o.controller == Some(true)) {
        set(&mut labels, "pod_controller_kind", &owner.kind);
        set(&mut labels, "pod_controller_name", &owner.name);
    }
    add_map(&mut labels, "label", meta.labels.as_ref());
    add_map(&mut labels, "annotation", meta.annotations.as_ref());
    labels
}

fn add_map(labels: &mut LabelMap, kind: &str, map: Option<&BTreeMap<String, String>>) {
    for (name, value) in map.into_iter().flatten() {
        let name = sanitize(name);
        set(labels, &format!("pod_{kind}_{name}"), value);
        set(labels, &format!("pod_{kind}present_{name}"), "true");
    }
}

fn set(labels: &mut LabelMap, name: &str, value: &str) {
    if !value.is_empty() {
        labels.insert(format!("{META}{name}"), value.to_owned());
    }
}

fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(yaml: &str) -> Pod {
        thanos_telemetry::cli::parse_yaml(yaml).unwrap()
    }

    #[test]
    fn a_pod_gives_a_target_for_each_port_with_every_label() {
        let group = pod_targets(&pod(r"
metadata:
  name: web-7f9c-x2x
  namespace: default
  uid: u1
  labels: {app: web, app.kubernetes.io/name: web}
  annotations: {prometheus.io/scrape: 'true', empty: ''}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: web-7f9c, uid: r1, controller: true}
spec:
  nodeName: n1
  containers:
  - {name: web, image: app:1, ports: [{containerPort: 8080, name: http}, {containerPort: 9, protocol: UDP}]}
  - {name: idle}
  initContainers:
  - {name: proxy, ports: [{containerPort: 4191, name: admin, protocol: TCP}]}
status:
  podIP: 127.1.0.5
  hostIP: 127.1.0.1
  phase: Running
  conditions: [{type: Ready, status: 'True'}]
  containerStatuses: [{name: web, containerID: 'x://1', image: '', imageID: '', ready: true, restartCount: 0}]
"))
        .unwrap();
        let short = |map: &LabelMap| {
            let pairs = map.iter().map(|(k, v)| format!("{}={v}", k.trim_start_matches(META)));
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            short(&group.labels),
            "namespace=default pod_annotation_prometheus_io_scrape=true pod_annotationpresent_empty=true \
             pod_annotationpresent_prometheus_io_scrape=true pod_controller_kind=ReplicaSet \
             pod_controller_name=web-7f9c pod_host_ip=127.1.0.1 pod_ip=127.1.0.5 pod_label_app=web \
             pod_label_app_kubernetes_io_name=web pod_labelpresent_app=true \
             pod_labelpresent_app_kubernetes_io_name=true pod_name=web-7f9c-x2x pod_node_name=n1 \
             pod_phase=Running pod_ready=true pod_uid=u1"
        );
        assert_eq!(
            group.targets.iter().map(short).collect::<Vec<_>>(),
            [
                "__address__=127.1.0.5:8080 pod_container_id=x://1 pod_container_image=app:1 \
             pod_container_init=false pod_container_name=web pod_container_port_name=http \
             pod_container_port_number=8080 pod_container_port_protocol=TCP",
                "__address__=127.1.0.5:9 pod_container_id=x://1 pod_container_image=app:1 \
             pod_container_init=false pod_container_name=web pod_container_port_number=9 \
             pod_container_port_protocol=UDP",
                "__address__=127.1.0.5 pod_container_init=false pod_container_name=idle",
                "__address__=127.1.0.5:4191 pod_container_init=true pod_container_name=proxy \
             pod_container_port_name=admin pod_container_port_number=4191 pod_container_port_protocol=TCP",
            ]
        );
    }

    #[test]
    fn what_is_null_missing_or_unknown_leaves_a_pod_readable() {
        for (spec, targets) in [
            ("{containers: [{name: a, ports: null, lifecycle: {sleep: [1]}}], initContainers: null}", 1),
            ("{containers: [{}], volumes: not-even-a-list}", 1),
            ("{containers: null}", 0),
            ("{}", 0),
        ] {
            let yaml =
                format!("{{spec: {spec}, status: {{podIP: 127.1.0.5, conditions: null, hostIPs: 7}}}}");
            assert_eq!(pod_targets(&pod(&yaml)).unwrap().targets.len(), targets, "{spec}");
        }
    }

    #[test]
    fn a_pod_without_an_address_has_no_targets() {
        let bare = pod("{metadata: {name: a}, spec: {containers: [{name: a}]}, status: {phase: Pending}}");
        assert_eq!(pod_targets(&bare), None);
    }
}
