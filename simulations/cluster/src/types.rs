//! The types of the built-in kinds as one table (`types.txt`): what the protobuf form, patches and the canonical
//! form of an object have to know of a field.

use std::collections::BTreeMap;
use std::sync::LazyLock;

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

/// A structure.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// As the protobuf form nests them.
    fields: Vec<Field>,
    /// As JSON shows them: the fields of inlined structures are the structure's own.
    shown: BTreeMap<&'static str, Field>,
}

/// One field of a structure.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) number: u64,
    /// `>`: its fields are shown as those of the structure that it is in.
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    pub(crate) shape: Shape,
    /// Absent and zero are two things.
    pub(crate) pointer: bool,
    /// Written though zero.
    pub(crate) always: bool,
    /// Left out, though a structure that may not be absent.
    pub(crate) omit_zero: bool,
    /// How a strategic merge treats the list: by one key.
    pub(crate) merge: ListType,
    /// How server-side apply treats the list.
    pub(crate) apply: ListType,
}

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
    /// By text.
    Map,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Text,
    Integer,
    Boolean,
    Float,
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// JSON within JSON.
    Raw,
    /// `FieldsV1`: JSON too.
    Fields,
    Message(&'static str),
}

impl Message {
    /// The field of this name in JSON.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.shown.get(name)
    }

    /// The field of this number in protobuf.
    pub(crate) fn numbered(&self, number: u64) -> Option<&Field> {
        self.fields.iter().find(|f| f.number == number)
    }

    /// The fields as JSON shows them.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Field> {
        self.shown.values()
    }
}

impl Field {
    /// The structure that its values are.
    pub(crate) fn message(&self) -> Option<&'static Message> {
        match self.of {
            Of::Message(name) => message(name),
            _ => None,
        }
    }
}

/// The structure of this name; for a kind of the core group and most others, its name is the kind.
pub(crate) fn message(name: &str) -> Option<&'static Message> {
    TABLE.get(name)
}

static TABLE: LazyLock<BTreeMap<&'static str, Message>> = LazyLock::new(|| {
    let mut table: BTreeMap<&'static str, Message> = BTreeMap::new();
    for line in include_str!("types.txt").lines().filter(|l| !l.starts_with('#')) {
        if let Some((name, fields)) = line.split_once(':') {
            let fields = fields.split(';').filter_map(|f| field(f.trim())).collect();
            table.insert(name, Message { fields, shown: BTreeMap::new() });
        }
    }
    let names: Vec<&'static str> = table.keys().copied().collect();
    for name in names {
        let mut shown = BTreeMap::new();
        show(&table, name, &mut shown, INLINE_DEPTH_MAX);
        if let Some(message) = table.get_mut(name) {
            message.shown = shown;
        }
    }
    table
});

/// Structures that are inlined within one another; two in practice.
const INLINE_DEPTH_MAX: usize = 8;

fn show(
    table: &BTreeMap<&'static str, Message>,
    name: &str,
    shown: &mut BTreeMap<&'static str, Field>,
    depth: usize,
) {
    let fields = table.get(name).map(|m| m.fields.as_slice()).unwrap_or_default();
    for field in fields {
        match field.of {
            Of::Message(inlined) if field.name == ">" => {
                if let Some(depth) = depth.checked_sub(1) {
                    show(table, inlined, shown, depth);
                }
            }
            _ => {
                shown.insert(field.name, field.clone());
            }
        }
    }
}

/// `NUMBER FIELD TYPE`.
fn field(text: &'static str) -> Option<Field> {
    let mut words = text.split_whitespace();
    let (number, name, mut kind) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let apply = cut(&mut kind, '#');
    let merge = cut(&mut kind, '@');
    let mut flag = |mark: char| {
        let bare = kind.strip_suffix(mark);
        kind = bare.unwrap_or(kind);
        bare.is_some()
    };
    let (omit_zero, always, pointer) = (flag('0'), flag('!'), flag('*'));
    let (shape, of) = match (kind.strip_prefix("[]"), kind.strip_prefix("{}")) {
        (Some(of), _) => (Shape::List, of),
        (_, Some(of)) => (Shape::Map, of),
        _ => (Shape::One, kind),
    };
    let of = match of {
        "str" => Of::Text,
        "int" => Of::Integer,
        "bool" => Of::Boolean,
        "float" => Of::Float,
        "bytes" => Of::Bytes,
        "time" => Of::Time,
        "microtime" => Of::MicroTime,
        "duration" => Of::Duration,
        "quantity" => Of::Quantity,
        "intstr" => Of::IntOrString,
        "raw" => Of::Raw,
        "fields" => Of::Fields,
        message => Of::Message(message),
    };
    Some(Field { number, name, of, shape, pointer, always, omit_zero, merge, apply })
}

/// Takes the part from `mark` on off the end: how a list merges.
fn cut(kind: &mut &'static str, mark: char) -> ListType {
    let Some((before, keys)) = kind.split_once(mark) else { return ListType::Atomic };
    *kind = before;
    if keys.is_empty() {
        return ListType::Set;
    }
    ListType::Map(keys.split(',').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_every_type_is_there() {
        let text = include_str!("types.txt");
        let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
        for line in lines {
            let (name, fields) = line.split_once(':').unwrap();
            let listed = fields.split(';').filter(|f| !f.trim().is_empty()).count();
            let read = message(name).unwrap();
            assert_eq!(read.fields.len(), listed, "{name}");
            for field in &read.fields {
                assert!(
                    !matches!(field.of, Of::Message(_)) || field.message().is_some(),
                    "{name}: {field:?}"
                );
            }
        }
        for kind in crate::builtin::KINDS {
            assert!(message(kind.kind).is_some_and(|m| m.field("metadata").is_some()), "{}", kind.kind);
        }
    }

    #[test]
    fn marks_are_told_apart() {
        let field = |of: &str, name: &str| message(of).unwrap().field(name).unwrap().clone();
        let ports = field("Container", "ports");
        assert_eq!(ports.merge, ListType::Map(vec!["containerPort".into()]));
        assert_eq!(ports.apply, ListType::Map(vec!["containerPort".into(), "protocol".into()]));
        assert_eq!(field("EndpointSlice", "ports").merge, ListType::Atomic);
        assert_eq!(field("ObjectMeta", "finalizers").merge, ListType::Set);
        assert_eq!(field("Volume", "emptyDir").of, Of::Message("EmptyDirVolumeSource"));
        assert!(field("DeploymentSpec", "replicas").pointer && !field("DeploymentSpec", "paused").pointer);
        assert!(field("ObjectMeta", "creationTimestamp").omit_zero && field("Container", "name").always);
    }
}
