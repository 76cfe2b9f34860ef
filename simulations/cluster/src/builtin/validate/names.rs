//! Which names the kinds have.

use super::super::names::{Faults, dns_1035_label, dns_label, dns_subdomain, path_segment};

/// What is wrong with the name of an object of a kind.
pub(crate) fn name_faults(group: &str, kind: &str, name: &str) -> Faults {
    match (group, kind) {
        ("", "Namespace") | ("apps", "StatefulSet") => dns_label(name),
        ("", "Service") => dns_1035_label(name),
        (super::super::RBAC_GROUP, _) => path_segment(name),
        _ => dns_subdomain(name),
    }
}
