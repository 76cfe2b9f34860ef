//! A YAML document as a tree of positions, for errors that are found after parsing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Containers with the positions of what they hold; scalars hold nothing.
#[derive(Debug)]
pub(super) enum Node {
    Scalar,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

pub(super) fn collect(node: &Spanned<Node>, path: &str, into: &mut BTreeMap<String, u64>) {
    into.entry(path.to_owned()).or_insert_with(|| node.referenced.line());
    match &node.value {
        Node::Scalar => {}
        Node::List(items) => {
            for (i, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{i}]"), into);
            }
        }
        Node::Map(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.value.clone() } else { format!("{path}.{}", key.value) };
                into.insert(path.clone(), key.referenced.line());
                collect(value, &path, into);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::yaml_lines;

    #[test]
    fn every_path_has_the_line_of_its_key_or_item() {
        let lines = yaml_lines("a: 1\nb:\n- {c: x}\n- c:\n    deep: [1, 2]\n\nlast: null\n");
        let wanted = [
            ("a", 1),
            ("b", 2),
            ("b[0].c", 3),
            ("b[1].c", 4),
            ("b[1].c.deep", 5),
            ("b[1].c.deep[1]", 5),
            ("last", 7),
        ];
        for (path, line) in wanted {
            assert_eq!(lines.get(path), Some(&line), "{path}: {lines:?}");
        }
        assert!(yaml_lines("a: [").is_empty());
    }
}
