//! Label matchers with Prometheus' meaning: anchored regular expressions in which `.` matches a line break.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::Labels;
use crate::re2::{self, Re2Error};

/// A compiled regular expression may use this much memory; a query cannot ask for more. Texts to choose from are kept
/// as such and do not count.
const REGEX_SIZE_LIMIT_BYTES: usize = 8 << 20;
/// What matching may use beside.
const DFA_SIZE_LIMIT_BYTES: usize = 2 << 20;

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

/// A regular expression that is none, or too large.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// RE2 refuses it.
    #[error(transparent)]
    Syntax(#[from] Re2Error),
    /// It is too large, or nested too deep.
    #[error("{}", brief(.0))]
    Compile(Box<regex::Error>),
}

/// Without the pattern, which may be long and is not the one that was given.
fn brief(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("it takes more than {limit} bytes of memory; make it shorter")
        }
        other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    }
}

/// A matcher that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("bad regular expression {pattern:?} for label {name:?}: {source}")]
pub struct MatcherError {
    name: String,
    pattern: String,
    source: PatternError,
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
    pattern: Option<Pattern>,
}

impl Matcher {
    /// Compiles the pattern where there is one.
    ///
    /// # Errors
    /// The pattern does not compile, or compiles to more than 8 MiB.
    pub fn new(
        name: impl Into<Arc<str>>,
        op: MatchOp,
        value: impl Into<Arc<str>>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::new(&value).map_err(|source| {
                MatcherError { name: name.to_string(), pattern: re2::shown(&value), source }
            })?),
        };
        Ok(Self { name, op, value, pattern })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), pattern: None }
    }

    /// Whether a label value passes.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => *self.value == *value,
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.is_match(value),
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

/// `^(?s:…)$`, as Prometheus compiles a matcher (`model/labels/regexp.go`), by RE2's rules ([`crate::re2`]).
///
/// # Errors
/// RE2 would refuse it, or it compiles to more than 8 MiB.
pub fn anchored(pattern: &str) -> Result<Regex, PatternError> {
    compile(&re2::translate(pattern)?.pattern)
}

fn compile(translated: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(&format!("^(?s:{translated})$"))
        .size_limit(REGEX_SIZE_LIMIT_BYTES)
        .dfa_size_limit(DFA_SIZE_LIMIT_BYTES)
        .nest_limit(100)
        .build()
        .map_err(|e| PatternError::Compile(Box::new(e)))
}

/// What `=~` looks for.
#[derive(Clone)]
enum Pattern {
    /// One of these, sorted: what a dashboard makes of several values chosen. Of any number, and faster.
    Texts(Arc<[Box<str>]>),
    Regex(Regex),
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, PatternError> {
        let translated = re2::translate(pattern)?;
        let Some(texts) = translated.texts else { return compile(&translated.pattern).map(Self::Regex) };
        let mut texts: Vec<Box<str>> = texts.into_iter().map(String::into_boxed_str).collect();
        texts.sort_unstable();
        texts.dedup();
        Ok(Self::Texts(texts.into()))
    }

    fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Texts(texts) => texts.binary_search_by(|text| (**text).cmp(value)).is_ok(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
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
            (Regex, "a|b|", "", true),
            (Regex, r"(?:10\.0\.0\.1:9100|b)", "10.0.0.1:9100", true),
            (Regex, r"(?:10\.0\.0\.1:9100|b)", "10x0.0.1:9100", false),
            (NotRegex, "(a|b)", "b", false),
            (Regex, "(a|b)c", "bc", true),
            (Regex, "a(|b)", "ab", true),
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
        let huge = format!("({}){{900}}", "[^a]é".repeat(1000));
        let message = Matcher::new("job", MatchOp::Regex, huge).unwrap_err().to_string();
        assert!(message.contains("more than") && message.len() < 400, "{message}");
    }

    #[test]
    fn any_number_of_texts_may_be_chosen_from() {
        let all: Vec<String> =
            (0..100_000).map(|i| format!("10\\.{}\\.{}\\.7:9100", i / 250, i % 250)).collect();
        for pattern in [all.join("|"), format!("({})", all.join("|"))] {
            let m = Matcher::new("instance", MatchOp::Regex, pattern).unwrap();
            assert!(m.matches("10.399.249.7:9100") && !m.matches("10x399.249.7:9100") && !m.matches(""));
        }
    }
}
