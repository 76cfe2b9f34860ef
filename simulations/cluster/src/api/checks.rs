//! From a body to an object that may be stored: identity, types, defaults, refusals.

use serde_json::{Value, json};

use super::{Call, FieldValidation, events};
use crate::builtin::{self, Builtin};
use crate::error::{ApiError, Cause, Result};
use crate::object;
use crate::resources::{Resource, Source};
use crate::schema;
use crate::types;

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
    if resource.collection == "secrets" {
        text_to_data(&mut body);
    }
    Ok(body)
}

/// The value as a type reads and writes it.
fn typed(kind: &Builtin, value: &mut Value) -> Result<Value> {
    let read = match types::message(kind.kind) {
        Some(message) => builtin::spell(value, message),
        None => Ok(()),
    };
    read.and_then(|()| (kind.typed)(value)).map_err(|e| {
        ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {e}",
            kind.kind, kind.version, kind.kind
        ))
    })
}

/// The one form of what a type has read, with the server's defaults.
fn complete(kind: &Builtin, value: &mut Value) {
    if let Some(message) = types::message(kind.kind) {
        builtin::settle(value, message);
    }
    builtin::default(kind.kind, value);
}

/// A secret's text, which is written only, as the data that it becomes.
fn text_to_data(secret: &mut Value) {
    let map = object::map_mut(secret);
    let readable =
        |v: &Value| v.as_object().is_some_and(|m| m.values().all(|v| v.is_string() || v.is_null()));
    if map.get("stringData").is_some_and(|text| !readable(text) && !text.is_null())
        || map.get("data").is_some_and(|data| !(data.is_object() || data.is_null()))
    {
        // What cannot be read is told where types are.
        return;
    }
    let Some(Value::Object(text)) = map.remove("stringData") else { return };
    let data = object::child_mut(secret, "data");
    for (key, value) in text {
        let bytes = value.as_str().unwrap_or_default().as_bytes().to_vec();
        if let Ok(encoded) = serde_json::to_value(k8s_openapi::ByteString(bytes)) {
            data.insert(key, encoded);
        }
    }
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
            let kept = typed(b, &mut body)?;
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

/// Tells of fields that the type does not know, and of those that the body had twice.
fn report_unknown(call: &mut Call, unknown: &[String]) -> Result<()> {
    let doubled = std::mem::take(&mut call.duplicates).into_iter().map(|f| format!("duplicate field {f:?}"));
    let told: Vec<String> = doubled.chain(unknown.iter().map(|f| format!("unknown field {f:?}"))).collect();
    match call.validation {
        _ if told.is_empty() => {}
        FieldValidation::Ignore => {}
        FieldValidation::Warn => call.warnings.extend(told),
        FieldValidation::Strict => {
            return Err(ApiError::bad_request(format!("strict decoding error: {}", told.join(", "))));
        }
    }
    Ok(())
}

/// The object with the server's defaults; as it is, if it cannot be read (which is told elsewhere).
pub(super) fn defaulted(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    match &resource.source {
        Source::Builtin(b) => {
            if let Ok(kept) = typed(b, &mut object) {
                object = kept;
            }
            complete(b, &mut object);
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
            let mut kept = typed(b, &mut object)?;
            let mut unknown = Vec::new();
            builtin::unknown_fields(&object, &kept, "", &mut unknown);
            report_unknown(call, &unknown)?;
            complete(b, &mut kept);
            if let Some(old) = old {
                builtin::drop_former(b.kind, old, &mut kept);
            }
            builtin::validate(b.kind, &kept, &mut causes);
            if old.is_none_or(|old| old.get("spec") != kept.get("spec")) {
                call.warnings.extend(builtin::warnings(b.kind, &kept));
            }
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
    builtin::validate_meta(&object, &mut causes);
    if let Some(old) = old.filter(|old| object::is_deleting(old)) {
        check_finalizers(old, &object, &mut causes);
    }
    if causes.is_empty() {
        Ok(object)
    } else {
        Err(ApiError::invalid(&resource.group, &resource.kind, &call.name, &causes))
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

/// Whether the kind may have an object of this name.
pub(super) fn check_name(call: &Call) -> Result<()> {
    let (group, kind, name) = (&call.resource.group, &call.resource.kind, &call.name);
    let causes: Vec<Cause> = if name.is_empty() {
        let why = "Required value: name or generateName is required";
        vec![Cause::new("FieldValueRequired", "metadata.name", why)]
    } else {
        let faults = builtin::name_faults(group, kind, name).into_iter();
        faults.map(|why| Cause::invalid("metadata.name", format!("{name:?}: {why}"))).collect()
    };
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(group, kind, name, &causes)) }
}
