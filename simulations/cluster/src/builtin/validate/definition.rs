//! Definitions of custom resources.

use serde_json::{Value, json};

use crate::error::Cause;
use crate::object;
use crate::schema;

pub(super) fn definition(object: &Value, spec: &Value, causes: &mut Vec<Cause>) {
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
    let reserved = super::super::KINDS.iter().any(|b| b.group == group && !group.is_empty());
    if reserved {
        causes.push(Cause::invalid("spec.group", format!("{group:?} is a built-in group")));
    }
}
