//! Label matchers with Prometheus' meaning: anchored regular expressions in which `.` matches a line break.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::Labels;

/// A compiled regular expression may use this much memory; a query cannot ask for more.
const REGEX_SIZE_LIMIT_BYTES: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A matcher that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("bad regular expression {pattern:?} for label {name:?}: {source}")]
pub struct MatcherError {
    name: String,
    pattern: String,
    source: Box<regex::Error>,
}

/// One label matcher. An absent label matches like an empty one.
#[derive(Clone)]
pub struct Matcher {
    /// Label name.
    pub name: Arc<str>,
    /// Comparison.
    pub op: MatchOp,
    /// Text or pattern, as the user wrote it.
    pub value: Arc<str>,
    regex: Option<Regex>,
}

impl Matcher {
    /// Compiles the pattern where there is one.
    ///
    /// # Errors
    /// The pattern does not compile, or compiles to more than 1 MiB.
    pub fn new(
        name: impl Into<Arc<str>>,
        op: MatchOp,
        value: impl Into<Arc<str>>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&value).map_err(|e| MatcherError {
                name: name.to_string(),
                pattern: value.to_string(),
                source: Box::new(e),
            })?),
        };
        Ok(Self { name, op, value, regex })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Whether a label value passes.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => *self.value == *value,
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(re)) => re.is_match(value),
            (MatchOp::NotRegex, Some(re)) => !re.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Whether a whole label set passes.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name))
    }

    /// Whether it passes where the label is absent; an index cannot start from such a matcher.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

/// `^(?s:…)$`, as Prometheus compiles a matcher (`model/labels/regexp.go`). RE2's classes (`\d`, `\w`, `\s`,
/// `\b`) are ASCII, so each occurrence outside a class literal is switched to ASCII.
pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?s:{})$", ascii_classes(pattern)))
        .size_limit(REGEX_SIZE_LIMIT_BYTES)
        .dfa_size_limit(REGEX_SIZE_LIMIT_BYTES)
        .nest_limit(100)
        .build()
}

/// Rewrites Perl classes to their ASCII bodies. `(?-u:\W)` would match single bytes and is refused by a
/// `str` regex, so the classes are written out instead.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(k @ ('d' | 'D' | 'w' | 'W' | 's' | 'S')) => {
                    let negated = k.is_ascii_uppercase();
                    let body = match k.to_ascii_lowercase() {
                        'd' => "0-9",
                        'w' => "0-9A-Za-z_",
                        _ => r"\t\n\f\r ",
                    };
                    match (in_class, negated) {
                        (true, false) => out.push_str(body),
                        (_, true) => out.extend(["[^", body, "]"]),
                        (false, false) => out.extend(["[", body, "]"]),
                    }
                }
                Some(b @ ('b' | 'B')) if !in_class => {
                    out.extend([r"(?-u:\", if b == 'b' { "b" } else { "B" }, ")"]);
                }
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                // `[]…]` and `[^]…]`: a bracket in first place is a literal.
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str(r"\]");
                }
            }
            '[' if chars.peek() != Some(&':') => out.push_str(r"\["),
            '[' => {
                // A named class, `[:alpha:]`: copied whole so that its `]` does not end the class.
                out.push('[');
                for k in chars.by_ref() {
                    out.push(k);
                    if k == ']' {
                        break;
                    }
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operations that RE2 does not have.
            '&' | '~' if in_class && chars.peek() == Some(&c) => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}
impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_prometheus_does() {
        use MatchOp::*;
        for (op, pattern, value, want) in [
            (Equal, "", "", true),
            (NotEqual, "a", "", true),
            (Regex, "a.c", "a\nc", true),
            (Regex, "b", "abc", false),
            (Regex, "a|b", "ab", false),
            (Regex, r"\d+", "42", true),
            (Regex, r"\d+", "٤٢", false),
            (Regex, r"[\d]", "4", true),
            (Regex, r"[[]", "[", true),
            (Regex, r"[]a]", "]", true),
            (Regex, r"[[:alpha:]]+", "ab", true),
            (Regex, r"\W", "é", true),
            (NotRegex, "a.*", "abc", false),
            (NotRegex, "a.*", "", true),
            (Regex, ".*", "", true),
        ] {
            let m = Matcher::new("l", op, pattern).expect(pattern);
            assert_eq!(m.matches(value), want, "{m} on {value:?}");
        }
    }

    #[test]
    fn a_bad_or_huge_pattern_is_an_error_that_names_the_label() {
        assert!(Matcher::new("job", MatchOp::Regex, "(").unwrap_err().to_string().contains("\"job\""));
        assert!(Matcher::new("job", MatchOp::Regex, "(a{1000}){1000}").is_err());
    }
}
