//! What is taken, and told all the same.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::object;

/// Variables and ports that a container has twice: the later hides the earlier.
pub(crate) fn warnings(kind: &str, object: &Value) -> Vec<String> {
    let (spec, at) = match kind {
        "Pod" => (object.get("spec"), "spec"),
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            (object::at(object, &["spec", "template", "spec"]), "spec.template.spec")
        }
        _ => return Vec::new(),
    };
    let spec = spec.unwrap_or(&Value::Null);
    let mut out = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in object::list(spec, &[list]).iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (j, variable) in object::list(container, &["env"]).iter().enumerate() {
                let name = object::text(variable, &["name"]);
                // X=$(X)… goes by the earlier one.
                let refers = object::text(variable, &["value"]).contains(&format!("$({name})"));
                if !seen.insert(name) && !refers {
                    out.push(format!(
                        "{at}.{list}[{i}].env[{j}]: hides previous definition of {name:?}, which may be dropped when \
                         using apply"
                    ));
                }
            }
            let mut ports = HashMap::new();
            for (j, port) in object::list(container, &["ports"]).iter().enumerate() {
                let fields = ["containerPort", "protocol", "hostIP", "hostPort"].map(|f| port.get(f));
                let first = *ports.entry(fields).or_insert(j);
                if first != j {
                    let at = format!("{at}.{list}[{i}].ports");
                    out.push(format!("{at}[{j}]: duplicate port definition with {at}[{first}]"));
                }
            }
        }
    }
    out
}
