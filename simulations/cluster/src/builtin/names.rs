//! What names, keys and values may look like, and what is said of those that do not.
//!
//! Source: kubernetes `apimachinery/pkg/util/validation` (rules and words).

/// Longest label of DNS, label value, and name part of a key.
const LABEL_MAX_BYTES: usize = 63;
/// Longest name of DNS.
const SUBDOMAIN_MAX_BYTES: usize = 253;
/// Longest name of a container's port.
const PORT_NAME_MAX_BYTES: usize = 15;

/// What is wrong with a text; empty if nothing is.
pub(crate) type Faults = Vec<String>;

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn pattern(why: &str, regex: &str, examples: &[&str]) -> String {
    let shown: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{why} (e.g. {}regex used for validation is '{regex}')", shown.join(" or "))
}

fn judge(text: &str, max: usize, fine: bool, otherwise: impl FnOnce() -> String) -> Faults {
    let mut faults = Vec::new();
    if text.len() > max {
        faults.push(too_long(max));
    }
    if !fine {
        faults.push(otherwise());
    }
    faults
}

fn is_lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// Not empty, inner bytes of one kind, first and last of another.
fn framed(text: &str, inner: impl Fn(u8) -> bool, edge: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|b| inner(*b))
        && bytes.first().is_some_and(|b| edge(*b))
        && bytes.last().is_some_and(|b| edge(*b))
}

fn looks_like_label(text: &str) -> bool {
    framed(text, |b| is_lower(b) || b == b'-', is_lower)
}

/// A label of DNS (RFC 1123).
pub(crate) fn dns_label(text: &str) -> Faults {
    judge(text, LABEL_MAX_BYTES, looks_like_label(text), || {
        if text.split('.').all(looks_like_label) {
            return "must not contain dots".to_owned();
        }
        pattern(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
             and end with an alphanumeric character",
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "123-abc"],
        )
    })
}

/// A label of DNS that begins with a letter (RFC 1035).
pub(crate) fn dns_1035_label(text: &str) -> Faults {
    let fine = looks_like_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    judge(text, LABEL_MAX_BYTES, fine, || {
        pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        )
    })
}

/// Labels of DNS joined by dots.
pub(crate) fn dns_subdomain(text: &str) -> Faults {
    judge(text, SUBDOMAIN_MAX_BYTES, text.split('.').all(looks_like_label), || {
        pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
             must start and end with an alphanumeric character",
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        )
    })
}

/// A name that goes into a path: RBAC's.
pub(crate) fn path_segment(text: &str) -> Faults {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// The key of a label (or, in lower case, of an annotation): a name, with a subdomain and `/` before it or without.
pub(crate) fn qualified_name(text: &str) -> Faults {
    let mut faults = Vec::new();
    let (prefix, name) = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => {
            let why = pattern(QUALIFIED_NAME, QUALIFIED_NAME_REGEX, QUALIFIED_NAME_EXAMPLES);
            return vec![format!(
                "a valid label key {why} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            faults.push("prefix part must be non-empty".to_owned());
        } else {
            faults.extend(dns_subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
        }
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX_BYTES {
        faults.push(format!("name part {}", too_long(LABEL_MAX_BYTES)));
    }
    if !is_word(name) {
        let why = pattern(QUALIFIED_NAME, QUALIFIED_NAME_REGEX, QUALIFIED_NAME_EXAMPLES);
        faults.push(format!("name part {why}"));
    }
    faults
}

const QUALIFIED_NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                              alphanumeric character";
const QUALIFIED_NAME_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_NAME_EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];

fn is_word(text: &str) -> bool {
    framed(text, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b), |b| b.is_ascii_alphanumeric())
}

/// The value of a label.
pub(crate) fn label_value(text: &str) -> Faults {
    judge(text, LABEL_MAX_BYTES, text.is_empty() || is_word(text), || {
        pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        )
    })
}

/// The key of a config map or secret.
pub(crate) fn config_key(text: &str) -> Faults {
    let mut faults = judge(
        text,
        SUBDOMAIN_MAX_BYTES,
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
        || {
            pattern(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                "[-._a-zA-Z0-9]+",
                &["key.name", "KEY_NAME", "key-name"],
            )
        },
    );
    faults.extend(backsteps(text));
    faults
}

fn backsteps(text: &str) -> Faults {
    match text {
        "." => vec!["must not be '.'".to_owned()],
        ".." => vec!["must not be '..'".to_owned()],
        _ if text.starts_with("..") => vec!["must not start with '..'".to_owned()],
        _ => Vec::new(),
    }
}

/// The name of an environment variable.
pub(crate) fn env_name(text: &str) -> Faults {
    if text.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .into(),
    ]
}

/// The name of a container's port.
pub(crate) fn port_name(text: &str) -> Faults {
    let mut faults = Vec::new();
    if text.len() > PORT_NAME_MAX_BYTES {
        faults.push(too_long(PORT_NAME_MAX_BYTES));
    }
    if !text.bytes().all(|b| is_lower(b) || b == b'-') {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        faults.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_owned());
    }
    faults
}

/// The number of a port.
pub(crate) fn port_number(port: i64) -> Faults {
    if (1..=65535).contains(&port) {
        Vec::new()
    } else {
        vec!["must be between 1 and 65535, inclusive".into()]
    }
}

/// `25%`.
pub(crate) fn percent(text: &str) -> Faults {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let why = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![pattern(why, "[0-9]+%", &["1%", "93%"])]
}

/// The name of a field of an HTTP head.
pub(crate) fn header_name(text: &str) -> Faults {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    let why = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(why, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        let long = "a".repeat(64);
        type Judge = fn(&str) -> Faults;
        let cases: &[(&str, Judge, &[&str], &[&str])] = &[
            ("label", dns_label, &["a", "0-a", "a-b-c"], &["", "A", "a.b", "-a", "a-", "a_b", &long, "ä"]),
            ("1035", dns_1035_label, &["a", "a-0"], &["", "0a", "a.b", "A", "a-"]),
            ("subdomain", dns_subdomain, &["a", "a.b-c.0"], &["", ".", "a..b", "a.", "A.b", "a_b"]),
            ("segment", path_segment, &["a:b", "system:node", "A"], &[".", "..", "a/b", "a%b"]),
            (
                "key",
                qualified_name,
                &["a", "A_b.c", "example.com/a", "0"],
                &["", "a b", "/a", "a/", "a/b/c", "Example.com/a", "-a", &long],
            ),
            ("value", label_value, &["", "a", "A_b.c", "0"], &["a b", "-a", "a.", &long, "a/b"]),
            ("config key", config_key, &["a", "A.b_c-d", ".a"], &["", "a b", ".", "..", "..a", "a/b"]),
            ("variable", env_name, &["A", "a b", "0", "my.name"], &["", "A=B", "ä", "a\n"]),
            (
                "port",
                port_name,
                &["http", "h2-c", "0a"],
                &["", "a-very-long-port-name", "80", "A", "-a", "a--b"],
            ),
            ("percent", percent, &["0%", "150%"], &["", "%", "1", "-1%", "1.5%"]),
            ("header", header_name, &["X-A"], &["", "a b", "a:"]),
        ];
        for (what, judge, good, bad) in cases {
            for text in *good {
                assert_eq!(judge(text), Faults::new(), "{what} {text:?}");
            }
            for text in *bad {
                assert_ne!(judge(text), Faults::new(), "{what} {text:?}");
            }
        }
        assert_eq!(port_number(0).len() + port_number(65536).len(), 2);
        assert_eq!(port_number(65535), Faults::new());
    }

    #[test]
    fn words_are_the_originals() {
        assert_eq!(
            qualified_name("a b"),
            [
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
              alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
              '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ]
        );
        assert_eq!(
            label_value("a b"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
              start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
              for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
    }
}
