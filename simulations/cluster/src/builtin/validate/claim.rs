//! Claims of volumes.

use serde_json::Value;

use super::super::names::dns_subdomain;
use super::super::quantity::Quantity;
use super::Check;
use crate::object;

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn claim(spec: &Value, at: &str, check: &mut Check<'_>) {
    let modes = object::list(spec, &["accessModes"]);
    let at_modes = format!("{at}.accessModes");
    if modes.is_empty() {
        check.required(at_modes.clone(), "at least 1 access mode is required");
    }
    for mode in modes.iter().filter_map(Value::as_str).filter(|m| !ACCESS_MODES.contains(m)) {
        check.0.push(crate::error::Cause::unsupported(at_modes.clone(), &format!("{mode:?}"), ACCESS_MODES));
    }
    let (alone, others): (Vec<_>, Vec<_>) = modes.iter().partition(|m| *m == "ReadWriteOncePod");
    if !alone.is_empty() && others.iter().any(|m| m.as_str().is_some_and(|m| ACCESS_MODES.contains(&m))) {
        check.forbidden(at_modes, "may not use ReadWriteOncePod with other access modes");
    }
    check.selector(&format!("{at}.selector"), spec.get("selector"));
    let at_size = format!("{at}.resources[storage]");
    match object::at(spec, &["resources", "requests", "storage"]).and_then(Value::as_str) {
        None => check.required(at_size, ""),
        Some(size) => {
            if Quantity::parse(size).is_none_or(|q| q.is_zero() || q.is_negative()) {
                check.invalid(at_size, &size.into(), "must be greater than zero");
            }
        }
    }
    let class = object::text(spec, &["storageClassName"]);
    if !class.is_empty() {
        check.text(format!("{at}.storageClassName"), class, dns_subdomain(class));
    }
    let mode = object::text(spec, &["volumeMode"]);
    check.none_or_one_of(format!("{at}.volumeMode"), mode, &["Block", "Filesystem"]);
}
