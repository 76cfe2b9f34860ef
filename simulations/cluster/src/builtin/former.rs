//! What an object's former type needed and its new one does not use. Source: kubernetes
//! `pkg/registry/core/service/strategy.go`, which wipes such fields where the same update leaves them as they were.

use serde_json::{Map, Value};

use crate::object;

/// Clears what the server filled in for the type that the object had, unless this update set it.
pub(crate) fn drop_former(kind: &str, old: &Value, new: &mut Value) {
    if kind != "Service" {
        return;
    }
    let Some(old) = old.get("spec") else { return };
    let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let drops = |used: fn(&Value) -> bool, new: &Value| used(old) && !used(new);
    let now = Value::Object(spec.clone());
    if drops(has_address, &now) {
        clear_same(old, spec, &["clusterIP", "clusterIPs"]);
        clear_same(old, spec, &["ipFamilyPolicy"]);
        clear_same(old, spec, &["ipFamilies"]);
    }
    if drops(has_node_ports, &now) && node_ports(old) == node_ports(&now) {
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            object::map_mut(port).remove("nodePort");
        }
    }
    if drops(is_balanced, &now) {
        clear_same(old, spec, &["allocateLoadBalancerNodePorts"]);
        clear_same(old, spec, &["loadBalancerClass"]);
    }
    if drops(is_reached_from_outside, &now) {
        clear_same(old, spec, &["externalTrafficPolicy"]);
    }
    if drops(is_checked, &now) {
        clear_same(old, spec, &["healthCheckNodePort"]);
    }
}

/// Removes these fields where all are as they were.
fn clear_same(old: &Value, spec: &mut Map<String, Value>, fields: &[&str]) {
    if fields.iter().all(|f| old.get(*f) == spec.get(*f)) {
        spec.retain(|key, _| !fields.contains(&key.as_str()));
    }
}

fn kind(spec: &Value) -> &str {
    object::text(spec, &["type"])
}

fn has_address(spec: &Value) -> bool {
    matches!(kind(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn is_balanced(spec: &Value) -> bool {
    kind(spec) == "LoadBalancer"
}

fn has_node_ports(spec: &Value) -> bool {
    kind(spec) == "NodePort"
        || is_balanced(spec) && spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false))
}

/// Whether something outside of the cluster can reach it.
pub(super) fn is_reached_from_outside(spec: &Value) -> bool {
    matches!(kind(spec), "NodePort" | "LoadBalancer")
        || kind(spec) == "ClusterIP" && !object::list(spec, &["externalIPs"]).is_empty()
}

fn is_checked(spec: &Value) -> bool {
    is_balanced(spec) && object::text(spec, &["externalTrafficPolicy"]) == "Local"
}

fn node_ports(spec: &Value) -> std::collections::BTreeSet<i64> {
    let ports = object::list(spec, &["ports"]).iter();
    ports.filter_map(|p| object::int(p, &["nodePort"])).filter(|n| *n != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The spec after a change of type that carries all of the live object along, as a merge patch does.
    fn changed(from: &str, to: &str, also: Value) -> Value {
        let mut old = json!({"spec": {"type": from, "externalName": "a.example", "selector": {"app": "x"},
            "ports": [{"port": 80}]}});
        if matches!(from, "NodePort" | "LoadBalancer") {
            old["spec"]["ports"][0]["nodePort"] = json!(30080);
        }
        super::super::default("Service", &mut old);
        let mut new = old.clone();
        new["spec"]["type"] = json!(to);
        for (key, value) in also.as_object().unwrap() {
            new["spec"][key] = value.clone();
        }
        super::super::default("Service", &mut new);
        drop_former("Service", &old, &mut new);
        new
    }

    #[test]
    fn a_service_of_any_type_becomes_one_of_any_other() {
        let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
        for (from, to) in types.into_iter().flat_map(|from| types.map(|to| (from, to))) {
            let new = changed(from, to, json!({}));
            let mut causes = Vec::new();
            super::super::validate("Service", &new, &mut causes);
            assert!(causes.is_empty(), "{from} to {to}: {causes:?} of {new}");
        }
        let new = changed("LoadBalancer", "ExternalName", json!({}));
        for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "externalTrafficPolicy"] {
            assert_eq!(new["spec"].get(gone), None, "{gone}");
        }
        assert_eq!(new["spec"]["ports"][0].get("nodePort"), None);
        assert_eq!(new["spec"]["selector"], json!({"app": "x"}), "what was not filled in stays");
    }

    #[test]
    fn what_the_same_update_sets_is_kept_to_be_judged() {
        for (from, to, also) in [
            ("NodePort", "ClusterIP", json!({"externalTrafficPolicy": "Local"})),
            ("NodePort", "ClusterIP", json!({"ports": [{"port": 80, "nodePort": 30081}]})),
            ("LoadBalancer", "NodePort", json!({"allocateLoadBalancerNodePorts": false})),
            ("ClusterIP", "ExternalName", json!({"clusterIP": "10.0.0.1"})),
        ] {
            let new = changed(from, to, also.clone());
            let mut causes = Vec::new();
            super::super::validate("Service", &new, &mut causes);
            assert!(!causes.is_empty(), "{from} to {to} with {also}: {new}");
        }
    }
}
