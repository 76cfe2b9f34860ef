//! Volumes of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names::{dns_label, dns_subdomain};
use super::super::quantity::Quantity;
use super::Check;
use crate::object;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Judges the volumes; the names of those that may be mounted. Volumes named in `replaced` are not the pod's.
pub(super) fn volumes<'a>(
    spec: &'a Value,
    replaced: &BTreeSet<&str>,
    at: &str,
    check: &mut Check<'_>,
) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let list = object::list(spec, &["volumes"]).iter().enumerate();
    for (i, volume) in list.filter(|(_, v)| !replaced.contains(object::text(v, &["name"]))) {
        let at = format!("{at}[{i}]");
        let before = check.0.len();
        source(volume, &at, check);
        let name = object::text(volume, &["name"]);
        if name.is_empty() {
            check.required(format!("{at}.name"), "");
        } else {
            check.text(format!("{at}.name"), name, dns_label(name));
        }
        if names.contains(name) {
            check.duplicate(format!("{at}.name"), &name.into());
        }
        if check.0.len() == before {
            names.insert(name);
        }
    }
    names
}

fn source(volume: &Value, at: &str, check: &mut Check<'_>) {
    let mut found = false;
    // In the order of the type, not of the text: the first counts.
    for (kind, given) in volume.as_object().into_iter().flatten().filter(|(k, _)| *k != "name") {
        let at = format!("{at}.{kind}");
        if std::mem::replace(&mut found, true) {
            check.forbidden(at, "may not specify more than 1 volume type");
            continue;
        }
        let text = |field: &str| object::text(given, &[field]);
        let mut required = |field: &str| {
            if text(field).is_empty() {
                check.required(format!("{at}.{field}"), "");
            }
        };
        match kind.as_str() {
            "hostPath" => required("path"),
            "secret" => required("secretName"),
            "configMap" => required("name"),
            "persistentVolumeClaim" => required("claimName"),
            "nfs" => ["server", "path"].into_iter().for_each(&mut required),
            "csi" => required("driver"),
            _ => {}
        }
        match kind.as_str() {
            "persistentVolumeClaim" if !text("claimName").is_empty() => {
                let name = text("claimName");
                check.text(format!("{at}.claimName"), name, dns_subdomain(name));
            }
            "hostPath" => {
                no_backsteps(text("path"), &format!("{at}.path"), check);
                if !HOST_PATH_TYPES.contains(&text("type")) {
                    let field = format!("{at}.type");
                    let shown = format!("{:?}", text("type"));
                    check.0.push(crate::error::Cause::unsupported(field, &shown, HOST_PATH_TYPES));
                }
            }
            "emptyDir" => {
                let limit = Quantity::parse(text("sizeLimit"));
                if limit.is_some_and(Quantity::is_negative) {
                    let why = "SizeLimit field must be a valid resource quantity";
                    check.forbidden(format!("{at}.sizeLimit"), why);
                }
            }
            "configMap" | "secret" => {
                mode(given, "defaultMode", &at, check);
                items(given, &at, check);
            }
            "downwardAPI" => mode(given, "defaultMode", &at, check),
            "projected" => {
                mode(given, "defaultMode", &at, check);
                projected(given, &at, check);
            }
            _ => {}
        }
    }
    if !found {
        check.required(at, "must specify a volume type");
    }
}

fn mode(given: &Value, field: &str, at: &str, check: &mut Check<'_>) {
    if let Some(n) = object::int(given, &[field]).filter(|n| !(0..=0o777).contains(n)) {
        check.invalid(format!("{at}.{field}"), &n.into(), MODE);
    }
}

fn items(given: &Value, at: &str, check: &mut Check<'_>) {
    for (i, item) in object::list(given, &["items"]).iter().enumerate() {
        let at = format!("{at}.items[{i}]");
        for field in ["key", "path"] {
            if object::text(item, &[field]).is_empty() {
                check.required(format!("{at}.{field}"), "");
            }
        }
        let path = object::text(item, &["path"]);
        if path.starts_with('/') {
            check.invalid(format!("{at}.path"), &path.into(), "must be a relative path");
        }
        no_backsteps(path, &format!("{at}.path"), check);
        mode(item, "mode", &at, check);
    }
}

fn projected(given: &Value, at: &str, check: &mut Check<'_>) {
    for (i, source) in object::list(given, &["sources"]).iter().enumerate() {
        let at = format!("{at}.sources[{i}]");
        let mut found = false;
        for (kind, part) in source.as_object().into_iter().flatten() {
            let at = format!("{at}.{kind}");
            if std::mem::replace(&mut found, true) {
                check.forbidden(at, "may not specify more than 1 volume type per source");
                continue;
            }
            match kind.as_str() {
                "secret" | "configMap" => {
                    if object::text(part, &["name"]).is_empty() {
                        check.required(format!("{at}.name"), "");
                    }
                    items(part, &at, check);
                }
                "serviceAccountToken" => {
                    let path = object::text(part, &["path"]);
                    if path.is_empty() {
                        check.required(format!("{at}.path"), "");
                    }
                    no_backsteps(path, &format!("{at}.path"), check);
                    if object::int(part, &["expirationSeconds"]).is_some_and(|n| n < 600) {
                        let n = part.get("expirationSeconds").unwrap_or(&Value::Null);
                        let why = "may not specify a duration less than 10 minutes";
                        check.invalid(format!("{at}.expirationSeconds"), n, why);
                    }
                }
                _ => {}
            }
        }
        if !found {
            check.required(at, "must specify a volume type");
        }
    }
}

/// A path stays below where it begins.
pub(super) fn no_backsteps(path: &str, at: &str, check: &mut Check<'_>) {
    if path.split('/').any(|part| part == "..") {
        check.invalid(at, &path.into(), "must not contain '..'");
    }
}
