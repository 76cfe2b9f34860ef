//! RE2's syntax, as Go has it (`regexp/syntax`, Perl flags), written for the regex crate.
//!
//! ```text
//!  /u/{id}   ─►  /u/\{id\}          a brace that opens no repetition
//!  \<  \Qa+\E  \101  \z             ─►  <  a\+  A  \z
//!  [--/]  [[]  [\d&&x]              ─►  [\x{2D}-\x{2F}]  [\x{5B}]  [0-9\x{26}\x{26}\x{78}]
//!  a**  \u00e9  (?x)  x{1001}       ─►  errors, as they are there
//! ```
//!
//! The two dialects are close enough that most of the differences change what matches without a word. So nothing is
//! handed on as it stands: each element is read by RE2's rules and written in a form that has one meaning.
//!
//! Invariants: what RE2 refuses is refused; what is written has a length of at most a small multiple of what was read.
//! Known differences: names of scripts and categories are taken in any case, and repetitions right behind a group of
//! flags (`a(?i)*`) are refused.

mod class;

use std::str::Chars;

/// Most that counted repetitions may multiply to (`repeatIsValid`).
const REPEAT_MAX: u32 = 1000;

/// Most of a pattern that an error repeats, in bytes.
const SHOWN_MAX: usize = 200;

/// Why RE2 does not take a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Re2Error {
    /// `[b-a]`, `[[:foo:]]`, `\p{Foo}`
    #[error("invalid character class range: `{}`", shown(.0))]
    ClassRange(String),
    /// `\8`, `\u00e9`
    #[error("invalid escape sequence: `{}`", shown(.0))]
    Escape(String),
    /// `[a`
    #[error("missing closing ]: `{}`", shown(.0))]
    MissingBracket(String),
    /// `(a`
    #[error("missing closing )")]
    MissingParen,
    /// `a)`
    #[error("unexpected )")]
    UnexpectedParen,
    /// `(?x)`
    #[error("invalid or unsupported Perl syntax: `{}`", shown(.0))]
    Flags(String),
    /// `(?P<1!>a)`
    #[error("invalid named capture: `{}`", shown(.0))]
    Name(String),
    /// `*a`
    #[error("missing argument to repetition operator: `{0}`")]
    MissingArgument(String),
    /// `a**`
    #[error("invalid nested repetition operator: `{0}`")]
    NestedRepeat(String),
    /// `x{1001}`
    #[error("invalid repeat count: `{0}`")]
    RepeatSize(String),
    /// `a\`
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
}

/// A text's beginning, for errors.
pub(crate) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_MAX);
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", text.get(..end).unwrap_or_default())
}

/// A pattern, understood.
#[derive(Debug)]
pub(crate) struct Translated {
    /// In the regex crate's syntax.
    pub(crate) pattern: String,
    /// If it is nothing but texts to choose from (`a|b`, `(a|b)`): these.
    pub(crate) texts: Option<Vec<String>>,
}

/// Reads `pattern` by RE2's rules.
///
/// # Errors
/// RE2 would refuse it.
pub(crate) fn translate(pattern: &str) -> Result<Translated, Re2Error> {
    let mut reader = Reader {
        rest: pattern.chars(),
        out: String::with_capacity(pattern.len() + pattern.len() / 4),
        last: Last::Nothing,
        groups: Vec::new(),
        weight: 0,
        names: Vec::new(),
        texts: Some(vec![String::new()]),
        closed: false,
    };
    reader.read()?;
    Ok(Translated { pattern: reader.out, texts: reader.texts })
}

/// What stands before the next element.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing that could be repeated.
    Nothing,
    /// Something, with what its counted repetitions multiply to.
    Atom(u32),
    /// A repetition.
    Repeated,
}

struct Reader<'p> {
    rest: Chars<'p>,
    out: String,
    last: Last,
    /// For each open group, the weight of what stands before it in the group around it.
    groups: Vec<u32>,
    /// The highest weight in the innermost group.
    weight: u32,
    names: Vec<&'p str>,
    texts: Option<Vec<String>>,
    /// The group that is the whole pattern was closed.
    closed: bool,
}

impl<'p> Reader<'p> {
    fn read(&mut self) -> Result<(), Re2Error> {
        loop {
            let at = self.rest.as_str();
            let Some(c) = self.rest.next() else { break };
            match c {
                '(' => self.open(at)?,
                ')' => {
                    let around = self.groups.pop().ok_or(Re2Error::UnexpectedParen)?;
                    self.out.push(')');
                    self.last = Last::Atom(self.weight.max(1));
                    self.weight = self.weight.max(around);
                    self.closed = true;
                }
                '|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                    self.alternative();
                }
                '*' => self.repeat(at, "*", None)?,
                '+' => self.repeat(at, "+", None)?,
                '?' => self.repeat(at, "?", None)?,
                '{' => match counted(at) {
                    Some((text, bounds)) => self.repeat(at, text, Some(bounds))?,
                    None => self.literal('{'),
                },
                '^' => self.element("^"),
                '$' => self.element("$"),
                '.' => self.element("."),
                '[' => {
                    let (class, rest) = class::class(at)?;
                    self.rest = rest.chars();
                    self.element(&class);
                }
                '\\' => self.escape(at)?,
                c => self.literal(c),
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err(Re2Error::MissingParen) }
    }

    /// Anything that is no text.
    fn element(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Atom(1);
        self.texts = None;
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.last = Last::Atom(1);
        if self.closed {
            self.texts = None;
        } else if let Some(text) = self.texts.as_mut().and_then(|texts| texts.last_mut()) {
            text.push(c);
        }
    }

    fn alternative(&mut self) {
        if self.closed {
            self.texts = None;
        } else if let Some(texts) = &mut self.texts {
            texts.push(String::new());
        }
    }

    /// A group, or flags.
    fn open(&mut self, at: &'p str) -> Result<(), Re2Error> {
        let is_first = self.out.is_empty() && !self.closed;
        if let Some(named) = at.strip_prefix("(?P<").or_else(|| at.strip_prefix("(?<")) {
            let (name, rest) = named.split_once('>').ok_or_else(|| Re2Error::Name(at.to_owned()))?;
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(Re2Error::Name(format!("(?P<{name}>")));
            }
            self.rest = rest.chars();
            // A name may stand twice there, and begin with a digit; here the group is then only counted.
            if self.names.contains(&name) || name.starts_with(|c: char| c.is_ascii_digit()) {
                self.out.push('(');
            } else {
                self.names.push(name);
                self.out.extend(["(?P<", name, ">"]);
            }
        } else if let Some(flags) = at.strip_prefix("(?") {
            let invalid = |end: usize| Re2Error::Flags(format!("(?{}", flags.get(..end).unwrap_or(flags)));
            let end = flags.find([':', ')']).ok_or_else(|| invalid(flags.len()))?;
            let (flags, rest) = flags.split_at(end);
            let (on, off) = flags.split_once('-').unwrap_or((flags, "x"));
            let is_known = |flags: &str| flags.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U'));
            let is_negated = flags.contains('-');
            if !is_known(on) || is_negated && (off.is_empty() || !is_known(off)) {
                return Err(invalid(end + 1));
            }
            let is_group = rest.starts_with(':');
            self.rest = rest.get(1..).unwrap_or_default().chars();
            if !flags.is_empty() {
                self.texts = None;
            }
            if !is_group {
                // Flags stand for the rest of the group around them.
                if !flags.is_empty() {
                    self.out.extend(["(?", flags, ")"]);
                    self.last = Last::Nothing;
                }
                return Ok(());
            }
            self.out.extend(["(?", flags, ":"]);
        } else {
            self.out.push('(');
        }
        if !is_first {
            self.texts = None;
        }
        self.groups.push(self.weight);
        self.weight = 0;
        self.last = Last::Nothing;
        Ok(())
    }

    /// `text` is the operator that `at` begins with.
    fn repeat(
        &mut self,
        at: &'p str,
        text: &str,
        bounds: Option<(u32, Option<u32>)>,
    ) -> Result<(), Re2Error> {
        let after = at.get(text.len()..).unwrap_or_default();
        let (lazy, after) = after.strip_prefix('?').map_or(("", after), |after| ("?", after));
        let operator = || format!("{text}{lazy}");
        let inner = match self.last {
            Last::Nothing => return Err(Re2Error::MissingArgument(operator())),
            Last::Repeated => return Err(Re2Error::NestedRepeat(operator())),
            Last::Atom(inner) => inner,
        };
        let mut weight = inner;
        if let Some((min, max)) = bounds {
            if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                return Err(Re2Error::RepeatSize(operator()));
            }
            weight = match max {
                Some(0) => 1,
                Some(max) => max.saturating_mul(inner),
                None => min.max(1).saturating_mul(inner),
            };
            if weight > REPEAT_MAX {
                return Err(Re2Error::RepeatSize(operator()));
            }
        }
        self.weight = self.weight.max(weight);
        self.out.extend([text, lazy]);
        self.rest = after.chars();
        self.last = Last::Repeated;
        self.texts = None;
        Ok(())
    }

    /// An element that begins with a backslash.
    fn escape(&mut self, at: &'p str) -> Result<(), Re2Error> {
        let after = at.get(2..).unwrap_or_default();
        match at.as_bytes().get(1) {
            Some(b'A') => self.element(r"\A"),
            Some(b'z') => self.element(r"\z"),
            // Words are ASCII's. In a group, as `{` would otherwise be read as part of it.
            Some(b'b') => self.element(r"(?-u:\b)"),
            Some(b'B') => self.element(r"(?-u:\B)"),
            Some(b'Q') => {
                let (text, rest) = after.split_once(r"\E").unwrap_or((after, ""));
                text.chars().for_each(|c| self.literal(c));
                self.rest = rest.chars();
                return Ok(());
            }
            Some(b'p' | b'P') => {
                let (class, rest) = class::unicode(at)?;
                self.element(&class);
                self.rest = rest.chars();
                return Ok(());
            }
            Some(c) => {
                if let Some(class) = class::perl(char::from(*c)) {
                    self.element(&class.bracketed());
                } else {
                    let (c, rest) = class::escape(at)?;
                    self.literal(c);
                    self.rest = rest.chars();
                    return Ok(());
                }
            }
            None => return Err(Re2Error::TrailingBackslash),
        }
        self.rest = after.chars();
        Ok(())
    }
}

/// `{n}`, `{n,}` or `{n,m}` at the beginning of `at`, and its bounds; anything else is a text.
fn counted(at: &str) -> Option<(&str, (u32, Option<u32>))> {
    let inside = at.get(1..at.find('}')?)?;
    // As there: no sign, no blank, no leading zero; what is too large is refused later.
    let number = |text: &str| {
        let is_number = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        is_number.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let bounds = match inside.split_once(',') {
        None => number(inside).map(|n| (n, Some(n)))?,
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((at.get(..inside.len() + 2)?, bounds))
}

/// A character that means itself.
fn push_literal(out: &mut String, c: char) {
    if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests;
