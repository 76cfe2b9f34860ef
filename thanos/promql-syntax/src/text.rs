//! Writes parts of queries.

use std::fmt;
use std::time::Duration;

use thanos_model::{METRIC_NAME, MatchOp, Matcher, TimestampMs, format_duration};

use crate::ast::{At, Extend, Selector};

/// A text in double quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A label's name, in quotes where a bare word would not do.
struct LabelName<'a>(&'a str);

impl fmt::Display for LabelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_word(self.0, false) { f.write_str(self.0) } else { write!(f, "{}", Quoted(self.0)) }
    }
}

fn is_word(name: &str, colons: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':';
    !name.is_empty() && name.chars().all(letter) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Matchers in braces.
pub(crate) struct Braces<'a>(pub(crate) &'a [Matcher]);

impl fmt::Display for Braces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, m) in self.0.iter().enumerate() {
            let op = match m.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{}{op}{}", LabelName(&m.name), Quoted(&m.value))?;
        }
        f.write_str("}")
    }
}

/// Matchers as people write them: the name in front where it can stand there.
pub(crate) struct Series<'a>(pub(crate) &'a [Matcher]);

impl fmt::Display for Series<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((name, rest)) = self.0.split_first() else { return write!(f, "{}", Braces(self.0)) };
        let bare = &*name.name == METRIC_NAME && name.op == MatchOp::Equal && is_word(&name.value, true);
        // A second matcher on the name may stand in braces only if the first does.
        if !bare || is_keyword(&name.value) || rest.iter().any(|m| &*m.name == METRIC_NAME) {
            return write!(f, "{}", Braces(self.0));
        }
        f.write_str(&name.value)?;
        if rest.is_empty() { Ok(()) } else { write!(f, "{}", Braces(rest)) }
    }
}

/// Words that are no metric's name where an expression begins, or not in every server.
fn is_keyword(word: &str) -> bool {
    const WORDS: [&str; 34] = [
        "and",
        "or",
        "unless",
        "atan2",
        "bool",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "offset",
        "anchored",
        "smoothed",
        "start",
        "end",
        "fill",
        "fill_left",
        "fill_right",
        "inf",
        "nan",
        "sum",
        "avg",
        "min",
        "max",
        "count",
        "group",
        "stddev",
        "stdvar",
        "quantile",
        "topk",
        "bottomk",
        "count_values",
        "limitk",
    ];
    WORDS.iter().any(|w| word.eq_ignore_ascii_case(w)) || word.eq_ignore_ascii_case("limit_ratio")
}

/// A time in seconds, to the millisecond.
pub(crate) struct Seconds(pub(crate) TimestampMs);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", ms / 1000, ms % 1000)
    }
}

/// ` offset 5m`; nothing for none.
pub(crate) struct Offset(pub(crate) i64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            ms => write!(f, " offset {}{}", if ms < 0 { "-" } else { "" }, duration(ms)),
        }
    }
}

fn duration(ms: i64) -> String {
    format_duration(Duration::from_millis(ms.unsigned_abs()))
}

/// Reads back as the same selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Braces(&self.matchers))?;
        if let Some(range) = self.range_ms {
            write!(f, "[{}]", duration(range))?;
        }
        match self.at {
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(t)) => write!(f, " @ {}", Seconds(t))?,
            None => {}
        }
        write!(f, "{}", Offset(self.offset_ms))?;
        f.write_str(match self.extend {
            Extend::No => "",
            Extend::Anchored => " anchored",
            Extend::Smoothed => " smoothed",
        })
    }
}

impl Selector {
    /// `timestamp(…)` of this selector's newest samples: what a caller asks to learn their age.
    pub fn timestamp_query(&self) -> String {
        format!("timestamp({})", Self { range_ms: None, extend: Extend::No, ..self.clone() })
    }
}
