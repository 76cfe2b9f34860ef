//! What a built-in kind refuses, with the field and the words of the original.
//!
//! Source: kubernetes `pkg/apis/*/validation` (rules and words). Left out: what only other kinds of nodes, clouds and
//! storage need (Windows, volume plugins, dual stack), and what no client of this cluster writes.

mod claim;
mod container;
mod definition;
mod meta;
mod names;
mod placement;
mod pod;
mod rbac;
mod security;
mod service;
mod settings;
mod update;
mod volumes;
mod warnings;
mod workload;

use serde_json::Value;

use super::names::Faults;
use super::records;
use crate::error::Cause;
use crate::object;

pub(crate) use names::name_faults;
pub(crate) use update::validate_update;
pub(crate) use warnings::warnings;

/// The most that a number of 32 bits is: of seconds, of users.
const NUMBER_MAX: i64 = i32::MAX as i64;
/// Protocols of ports.
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
/// What is said of what is no address.
const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// Notes what is wrong with an object of a built-in kind.
pub(crate) fn validate(kind: &str, object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let check = &mut Check(causes);
    match kind {
        "Pod" => {
            pod::pod(spec, "spec", check);
            pod::host_ports_match(spec, true, "spec", check);
        }
        "Deployment" => workload::deployment(spec, check),
        "ReplicaSet" => workload::replica_set(spec, check),
        "StatefulSet" => workload::stateful_set(spec, check),
        "Service" => service::service(spec, check),
        "PersistentVolumeClaim" => claim::claim(spec, "spec", check),
        "CustomResourceDefinition" => definition::definition(object, spec, check.0),
        "ConfigMap" => settings::config_map(object, check),
        "Secret" => settings::secret(object, check),
        "Lease" => records::validate_lease(spec, check.0),
        "Role" => rbac::rules(object, true, check),
        "ClusterRole" => rbac::rules(object, false, check),
        "RoleBinding" => rbac::binding(object, &["Role", "ClusterRole"], check),
        "ClusterRoleBinding" => rbac::binding(object, &["ClusterRole"], check),
        _ => {}
    }
}

/// Notes what is wrong with any object's metadata.
pub(crate) fn validate_meta(object: &Value, causes: &mut Vec<Cause>) {
    let meta = object.get("metadata").unwrap_or(&Value::Null);
    meta::meta(meta, "metadata", &mut Check(causes));
}

/// Where faults are noted.
struct Check<'a>(&'a mut Vec<Cause>);

impl Check<'_> {
    fn required(&mut self, at: impl Into<String>, why: &str) {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        self.0.push(Cause::new("FieldValueRequired", at, format!("Required value{why}")));
    }

    /// `value` as it is shown: JSON.
    fn invalid(&mut self, at: impl Into<String>, value: &Value, why: impl std::fmt::Display) {
        self.0.push(Cause::invalid(at, format!("{value}: {why}")));
    }

    /// A text with its faults.
    fn text(&mut self, at: impl Into<String>, text: &str, faults: Faults) {
        let at = at.into();
        for why in faults {
            self.0.push(Cause::invalid(at.clone(), format!("{text:?}: {why}")));
        }
    }

    fn forbidden(&mut self, at: impl Into<String>, why: &str) {
        self.0.push(Cause::forbidden(at, why));
    }

    fn duplicate(&mut self, at: impl Into<String>, value: &Value) {
        self.0.push(Cause::new("FieldValueDuplicate", at, format!("Duplicate value: {value}")));
    }

    fn not_found(&mut self, at: impl Into<String>, text: &str) {
        self.0.push(Cause::new("FieldValueNotFound", at, format!("Not found: {text:?}")));
    }

    fn too_long(&mut self, at: impl Into<String>, max: usize) {
        self.0.push(Cause::new(
            "FieldValueTooLong",
            at,
            format!("Too long: may not be more than {max} bytes"),
        ));
    }

    fn one_of(&mut self, at: impl Into<String>, text: &str, allowed: &[&str]) {
        if text.is_empty() {
            self.required(at, "");
        } else if !allowed.contains(&text) {
            self.0.push(Cause::unsupported(at, &format!("{text:?}"), allowed));
        }
    }

    /// As [`Check::one_of`], for what may be absent.
    fn none_or_one_of(&mut self, at: impl Into<String>, text: &str, allowed: &[&str]) {
        if !text.is_empty() {
            self.one_of(at, text, allowed);
        }
    }

    /// A number below zero.
    fn not_negative(&mut self, at: impl Into<String>, number: Option<i64>) {
        if let Some(n) = number.filter(|n| *n < 0) {
            self.0.push(Cause::invalid(at, format!("{n}: must be greater than or equal to 0")));
        }
    }

    fn port(&mut self, at: impl Into<String>, port: i64) {
        let at = at.into();
        for why in super::names::port_number(port) {
            self.0.push(Cause::invalid(at.clone(), format!("{port}: {why}")));
        }
    }

    /// A port by number or by name.
    fn port_or_name(&mut self, at: impl Into<String>, port: Option<&Value>) {
        match port {
            Some(Value::String(name)) => self.text(at, name, super::names::port_name(name)),
            other => self.port(at, other.and_then(Value::as_i64).unwrap_or(0)),
        }
    }

    /// Labels: of an object, or that something selects by.
    fn labels(&mut self, at: &str, labels: Option<&Value>) {
        for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
            self.text(at, key, super::names::qualified_name(key));
            let value = value.as_str().unwrap_or_default();
            self.text(at, value, super::names::label_value(value));
        }
    }

    /// A `LabelSelector`.
    fn selector(&mut self, at: &str, selector: Option<&Value>) {
        let Some(selector) = selector else { return };
        self.labels(&format!("{at}.matchLabels"), selector.get("matchLabels"));
        for (i, expression) in object::list(selector, &["matchExpressions"]).iter().enumerate() {
            let at = format!("{at}.matchExpressions[{i}]");
            let values = object::list(expression, &["values"]);
            match object::text(expression, &["operator"]) {
                "In" | "NotIn" if values.is_empty() => {
                    self.required(
                        format!("{at}.values"),
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    );
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    self.forbidden(format!("{at}.values"), why);
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => {
                    self.invalid(format!("{at}.operator"), &other.into(), "not a valid selector operator");
                }
            }
            let key = object::text(expression, &["key"]);
            self.text(format!("{at}.key"), key, super::names::qualified_name(key));
            for (j, value) in values.iter().enumerate() {
                let value = value.as_str().unwrap_or_default();
                self.text(format!("{at}.values[{j}]"), value, super::names::label_value(value));
            }
        }
    }
}

/// Whether a `LabelSelector` selects these labels.
fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|l| l.get(key));
    let wanted = object::at(selector, &["matchLabels"]).and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(key, value)| label(key) == Some(value))
        && object::list(selector, &["matchExpressions"]).iter().all(|expression| {
            let found = label(object::text(expression, &["key"]));
            let listed = found.is_some_and(|v| object::list(expression, &["values"]).contains(v));
            match object::text(expression, &["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests;
