//! Which lists are sets, or maps by a key, and which are atomic: what strategic merge and apply both need.
//!
//! For built-in kinds this is in the table of their types; for custom resources it is `x-kubernetes-list-type` of
//! their schema.

use serde_json::Value;

use crate::types::{Field, ListType, Message, Shape, message};

/// Where in an object's type a walk is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Typing<'a> {
    /// A built-in kind, at this place; `None`: below what the table knows.
    Builtin(Option<Place>),
    /// A custom resource, at this schema.
    Custom(Option<&'a Value>),
}

/// A place in a built-in type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// The whole object.
    Root(&'static Message),
    Field(&'static Field),
    /// One value of a field that is a list or map.
    Item(&'static Field),
}

impl Place {
    fn field(self, name: &str) -> Option<Self> {
        let message = match self {
            Self::Root(message) => message,
            Self::Field(field) if field.shape == Shape::Map => return Some(Self::Item(field)),
            Self::Field(field) if field.shape == Shape::List => return None,
            Self::Field(field) | Self::Item(field) => field.message()?,
        };
        message.field(name).map(Self::Field)
    }
}

impl Typing<'_> {
    /// At the root of a built-in kind.
    pub(crate) fn of_kind(kind: &str) -> Self {
        Self::Builtin(message(kind).map(Place::Root))
    }

    /// The typing of a field below.
    pub(crate) fn field(self, name: &str) -> Self {
        match self {
            Self::Builtin(place) => Self::Builtin(place.and_then(|p| p.field(name))),
            Self::Custom(schema) => {
                let below = schema.and_then(|s| {
                    s.get("properties")
                        .and_then(|p| p.get(name))
                        .or_else(|| s.get("additionalProperties").filter(|v| v.is_object()))
                });
                // metadata is the API's own, also in a custom resource.
                if name == "metadata" && below.is_none_or(|s| s.get("properties").is_none()) {
                    return Self::of_kind("ObjectMeta");
                }
                Self::Custom(below)
            }
        }
    }

    /// The typing of a list's items.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Builtin(Some(Place::Field(field))) if field.shape == Shape::List => {
                Self::Builtin(Some(Place::Item(field)))
            }
            Self::Builtin(_) => Self::Builtin(None),
            Self::Custom(schema) => Self::Custom(schema.and_then(|s| s.get("items"))),
        }
    }

    /// How server-side apply treats this list.
    pub(crate) fn list_type(self) -> ListType {
        match self {
            Self::Builtin(Some(Place::Field(field))) => field.apply.clone(),
            Self::Builtin(_) => ListType::Atomic,
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

    /// How a strategic merge treats this list: by at most one key.
    pub(crate) fn merge_type(self) -> ListType {
        match self {
            Self::Builtin(Some(Place::Field(field))) => field.merge.clone(),
            _ => ListType::Atomic,
        }
    }
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
