//! Which lists are sets, or maps by a key, and which are atomic: what strategic merge and apply both need.
//!
//! For built-in kinds this is a table by field name (the names are unambiguous but for `ports`); for custom
//! resources it is `x-kubernetes-list-type` of their schema.

use serde_json::Value;

/// How a list merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// A set of scalars.
    Set,
    /// Items are told apart by these keys.
    Map(Vec<String>),
}

/// Where in an object's type a walk is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Typing<'a> {
    /// A built-in kind, at a field of this name.
    Builtin(&'a str),
    /// A custom resource, at this schema.
    Custom(Option<&'a Value>),
}

impl<'a> Typing<'a> {
    /// The typing of a field below.
    pub(crate) fn field<'b>(self, name: &'b str) -> Typing<'b>
    where
        'a: 'b,
    {
        match self {
            Self::Builtin(_) => Typing::Builtin(name),
            Self::Custom(schema) => {
                // metadata is the API's own, also in a custom resource.
                if name == "metadata" {
                    return Typing::Builtin(name);
                }
                Typing::Custom(schema.and_then(|s| {
                    s.get("properties")
                        .and_then(|p| p.get(name))
                        .or_else(|| s.get("additionalProperties").filter(|v| v.is_object()))
                }))
            }
        }
    }

    /// The typing of a list's items.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Builtin(_) => Self::Builtin(""),
            Self::Custom(schema) => Self::Custom(schema.and_then(|s| s.get("items"))),
        }
    }

    /// How this list merges.
    pub(crate) fn list_type(self, items: &[Value]) -> ListType {
        match self {
            Self::Builtin(field) => builtin_list_type(field, items),
            Self::Custom(schema) => {
                let text = |key: &str| schema.and_then(|s| s.get(key)).and_then(Value::as_str);
                match text("x-kubernetes-list-type") {
                    Some("set") => ListType::Set,
                    Some("map") => {
                        let keys: Vec<String> = schema
                            .and_then(|s| s.get("x-kubernetes-list-map-keys"))
                            .and_then(Value::as_array)
                            .into_iter()
                            .flatten()
                            .filter_map(|k| k.as_str().map(str::to_owned))
                            .collect();
                        if keys.is_empty() { ListType::Atomic } else { ListType::Map(keys) }
                    }
                    _ => ListType::Atomic,
                }
            }
        }
    }
}

fn builtin_list_type(field: &str, items: &[Value]) -> ListType {
    let keys: &[&str] = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "containerStatuses" => &["name"],
        "volumeMounts" => &["mountPath"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "podIPs" | "hostIPs" | "hostAliases" => &["ip"],
        "ports" if items.iter().any(|p| p.get("containerPort").is_some()) => &["containerPort", "protocol"],
        "ports" if items.iter().any(|p| p.get("port").is_some()) => &["port", "protocol"],
        "finalizers" => return ListType::Set,
        _ => return ListType::Atomic,
    };
    ListType::Map(keys.iter().map(|k| (*k).to_owned()).collect())
}

/// The values of an item's keys; `protocol` defaults to TCP, as in the types that have it.
pub(crate) fn key_of(item: &Value, keys: &[String]) -> Option<Vec<(String, Value)>> {
    keys.iter()
        .map(|key| {
            let value = item.get(key).cloned().or_else(|| (key == "protocol").then(|| Value::from("TCP")))?;
            Some((key.clone(), value))
        })
        .collect()
}
