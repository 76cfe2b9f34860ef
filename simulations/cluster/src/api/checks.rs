//! From a body to an object that may be stored: identity, types, defaults, refusals.

use serde_json::{Value, json};

use super::{Call, FieldValidation, events};
use crate::builtin;
use crate::error::{ApiError, Cause, Result};
use crate::object;
use crate::resources::{Resource, Source};
use crate::schema;

/// The body as an object of the addressed resource, in its stored form.
pub(super) fn incoming(call: &Call, mut body: Value) -> Result<Value> {
    let resource = &call.resource;
    if !body.is_object() {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    }
    let wanted = resource.api_version();
    for (field, expected) in [("apiVersion", wanted.as_str()), ("kind", resource.kind.as_str())] {
        match body.get(field) {
            None | Some(Value::Null) if matches!(resource.source, Source::Custom(_)) => {
                return Err(ApiError::bad_request(format!(
                    "the object provided is unrecognized (must be of type {}): {field} is missing",
                    resource.kind
                )));
            }
            None | Some(Value::Null) => {
                object::map_mut(&mut body).insert(field.to_owned(), json!(expected));
            }
            Some(Value::String(given)) if given == expected => {}
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "{field} in the body is {other}, the URL expects {expected:?}"
                )));
            }
        }
    }
    if body.get("metadata").is_some_and(|m| !m.is_object()) {
        return Err(ApiError::bad_request("metadata must be an object"));
    }
    let namespace = object::namespace(&body);
    if resource.namespaced && !namespace.is_empty() && namespace != call.namespace {
        return Err(ApiError::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({namespace} != {})",
            call.namespace
        )));
    }
    if !resource.namespaced && !namespace.is_empty() {
        object::meta_mut(&mut body).remove("namespace");
    }
    if resource.group == "events.k8s.io" {
        return Ok(events::to_core(body));
    }
    object::map_mut(&mut body).insert("apiVersion".into(), json!(resource.storage_api_version()));
    Ok(body)
}

/// An applied configuration: checked for unknown fields alone, since those of others are not in it.
pub(super) fn applied(call: &mut Call, body: Value) -> Result<Value> {
    if object::text(&body, &["kind"]).is_empty() || object::text(&body, &["apiVersion"]).is_empty() {
        return Err(ApiError::bad_request("an applied configuration must have apiVersion and kind"));
    }
    let mut body = incoming(call, body)?;
    let given = object::name(&body);
    if !given.is_empty() && given != call.name {
        return Err(ApiError::bad_request(format!(
            "metadata.name {given:?} does not match the URL ({:?})",
            call.name
        )));
    }
    let name = call.name.clone();
    object::meta_mut(&mut body).insert("name".into(), json!(name));
    match &call.resource.clone().source {
        Source::Builtin(b) => {
            builtin::normalise(&mut body);
            let kept = (b.typed)(&body)
                .map_err(|e| ApiError::bad_request(format!("{} cannot be read: {e}", b.kind)))?;
            let mut unknown = Vec::new();
            builtin::unknown_fields(&body, &kept, "", &mut unknown);
            report_unknown(call, &unknown)?;
            Ok(intersect(body, &kept))
        }
        Source::Custom(custom) => {
            let mut unknown = Vec::new();
            schema::prune(&mut body, &custom.schema, "", &mut unknown);
            report_unknown(call, &unknown)?;
            Ok(body)
        }
    }
}

/// `given` without what `kept` lacks: typing may also add empty required fields, which nobody applied.
fn intersect(given: Value, kept: &Value) -> Value {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => Value::Object(
            given.into_iter().filter_map(|(k, v)| kept.get(&k).map(|kept| (k, intersect(v, kept)))).collect(),
        ),
        (Value::Array(given), Value::Array(kept)) if given.len() == kept.len() => {
            Value::Array(given.into_iter().zip(kept).map(|(v, k)| intersect(v, k)).collect())
        }
        (given, _) => given,
    }
}

fn report_unknown(call: &mut Call, unknown: &[String]) -> Result<()> {
    match call.validation {
        _ if unknown.is_empty() => {}
        FieldValidation::Ignore => {}
        FieldValidation::Warn => call.warnings.extend(unknown.iter().map(|f| format!("unknown field {f:?}"))),
        FieldValidation::Strict => {
            let listed: Vec<String> = unknown.iter().map(|f| format!("unknown field {f:?}")).collect();
            return Err(ApiError::bad_request(format!("strict decoding error: {}", listed.join(", "))));
        }
    }
    Ok(())
}

/// The object with the server's defaults; as it is, if it cannot be read (which is told elsewhere).
pub(super) fn defaulted(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    match &resource.source {
        Source::Builtin(b) => {
            builtin::normalise(&mut object);
            object = (b.typed)(&object).unwrap_or(object);
            builtin::default(b.kind, &mut object);
        }
        Source::Custom(custom) => schema::default(&mut object, &custom.schema),
    }
    object
}

/// Types, defaults and checks; the object as it will be stored.
pub(super) fn judge(call: &mut Call, mut object: Value, old: Option<&Value>) -> Result<Value> {
    let resource = call.resource.clone();
    let mut causes = Vec::new();
    let object = match &resource.source {
        Source::Builtin(b) => {
            builtin::normalise(&mut object);
            let mut kept = (b.typed)(&object).map_err(|e| {
                ApiError::bad_request(format!(
                    "{} in version {:?} cannot be handled as a {}: {e}",
                    b.kind, b.version, b.kind
                ))
            })?;
            let mut unknown = Vec::new();
            builtin::unknown_fields(&object, &kept, "", &mut unknown);
            report_unknown(call, &unknown)?;
            builtin::default(b.kind, &mut kept);
            builtin::validate(b.kind, &kept, &mut causes);
            if b.kind == "Event" && old.is_none() {
                builtin::validate_event(&kept, !b.group.is_empty(), &mut causes);
            }
            if let Some(old) = old {
                builtin::validate_update(b.kind, old, &kept, &mut causes);
            }
            kept
        }
        Source::Custom(custom) => {
            builtin::typed_metadata(&mut object)
                .map_err(|e| ApiError::bad_request(format!("metadata cannot be read: {e}")))?;
            let mut unknown = Vec::new();
            schema::prune(&mut object, &custom.schema, "", &mut unknown);
            report_unknown(call, &unknown)?;
            schema::default(&mut object, &custom.schema);
            schema::validate(&object, &custom.schema, "", &mut causes);
            if causes.is_empty() {
                custom.rules.check(&object, old, &mut causes);
            } else if !custom.rules.is_empty() {
                causes.push(Cause::invalid(
                    "<nil>",
                    "null: some validation rules were not checked because the object was invalid; correct the \
                     existing errors to complete validation",
                ));
            }
            object
        }
    };
    check_labels(&object, &mut causes);
    if let Some(old) = old.filter(|old| object::is_deleting(old)) {
        check_finalizers(old, &object, &mut causes);
    }
    if causes.is_empty() {
        Ok(object)
    } else {
        Err(ApiError::invalid(&resource.group, &resource.kind, &call.name, &causes))
    }
}

fn check_labels(object: &Value, causes: &mut Vec<Cause>) {
    let labels = object::at(object, &["metadata", "labels"]).and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let edge = |c: char| c.is_ascii_alphanumeric();
        let fine = value.len() <= 63
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && (value.is_empty() || value.starts_with(edge) && value.ends_with(edge));
        if !fine {
            let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                       and must start and end with an alphanumeric character";
            causes.push(Cause::invalid("metadata.labels", format!("{value:?}: {why} (label {key:?})")));
        }
    }
}

/// What ends takes no new finalizers.
fn check_finalizers(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let fresh: Vec<String> = object::finalizers(new)
        .iter()
        .filter(|f| !object::finalizers(old).contains(f))
        .map(Value::to_string)
        .collect();
    if !fresh.is_empty() {
        causes.push(Cause::forbidden(
            "metadata.finalizers",
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                fresh.join(", ")
            ),
        ));
    }
}

/// A DNS subdomain; RBAC names may hold colons.
pub(super) fn check_name(call: &Call) -> Result<()> {
    let name = &call.name;
    let kind = (&call.resource.group, &call.resource.kind);
    let rbac = call.resource.group == "rbac.authorization.k8s.io";
    let allowed = |b: u8| {
        b.is_ascii_lowercase()
            || b.is_ascii_digit()
            || b"-.".contains(&b)
            || rbac && b > b' ' && b != b'/' && b != b'%'
    };
    let edges = |c: char| rbac || c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.is_empty() {
        let cause = Cause::new(
            "FieldValueRequired",
            "metadata.name",
            "Required value: name or generateName is required",
        );
        return Err(ApiError::invalid(kind.0, kind.1, name, &[cause]));
    }
    if name.len() > 253 || !name.bytes().all(allowed) || !name.starts_with(edges) || !name.ends_with(edges) {
        let cause = Cause::invalid(
            "metadata.name",
            format!(
                "{name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
            ),
        );
        return Err(ApiError::invalid(kind.0, kind.1, name, &[cause]));
    }
    Ok(())
}
