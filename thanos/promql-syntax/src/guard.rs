//! Refuses, before promql-parser sees the text, what would make it panic, overflow the stack or silently
//! read something else: too long, too deep, brackets that do not pair, and durations that do not fit.

use crate::error::SyntaxError;
use crate::token::{Token, TokenKind, ungrouped};

/// Longest query in bytes.
pub const MAX_QUERY_BYTES: usize = 64 << 10;
/// Deepest nesting of brackets.
pub const MAX_NESTING: usize = 64;
/// Most operators around one operand: a chain of them nests as deep as it is long, and brackets add what is inside.
pub const MAX_OPERATORS: usize = 200;
/// Most operators in all, since each has an operand that may have to be fetched.
pub const MAX_OPERATORS_IN_ALL: usize = 1000;
/// Longest duration: 1,000 years, as no timestamp overflows with it.
pub(crate) const MAX_DURATION_S: f64 = 1000.0 * 365.0 * 86_400.0;

/// What `@`, `[` and `offset` add to the depth is bounded by the operands that they stand behind.
const OPERATOR_SYMBOLS: [&str; 14] =
    ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "</", ">/"];
const OPERATOR_WORDS: [&str; 4] = ["and", "or", "unless", "atan2"];

pub(crate) fn length(text: &str) -> Result<(), SyntaxError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(SyntaxError::grammar(format!("query is longer than {MAX_QUERY_BYTES} bytes")));
    }
    Ok(())
}

/// The query, or what is inside of a bracket.
#[derive(Default)]
struct Group<'a> {
    open: Option<Token<'a>>,
    operators: usize,
    /// Operators of the deepest group inside, and of those around that.
    inside: usize,
}

/// Quotes and brackets pair, and operators and brackets do not nest too deep.
pub(crate) fn shape(tokens: &[Token<'_>]) -> Result<(), SyntaxError> {
    let mut around: Vec<Group<'_>> = Vec::new();
    let mut group = Group::default();
    let mut in_all = 0usize;
    for t in tokens {
        let wrong = |message: String| Err(SyntaxError::grammar(message).at(t.at, t.end()));
        if t.kind == TokenKind::Text && !is_closed(t.text) {
            return wrong("the string is never closed".into());
        }
        if t.kind == TokenKind::Symbol && matches!(t.text, "(" | "[" | "{") {
            around.push(std::mem::replace(&mut group, Group { open: Some(*t), ..Group::default() }));
        }
        if t.kind == TokenKind::Symbol && matches!(t.text, ")" | "]" | "}") {
            match group.open {
                Some(o) if closes(o.text, t.text) => {}
                Some(o) => return wrong(format!("the '{}' does not close the '{}'", t.text, o.text)),
                None => return wrong(format!("the '{}' closes nothing", t.text)),
            }
            let inside = group.operators + group.inside;
            group = around.pop().unwrap_or_default();
            group.inside = group.inside.max(inside);
        }
        let operator = t.kind == TokenKind::Symbol && OPERATOR_SYMBOLS.contains(&t.text)
            || OPERATOR_WORDS.iter().any(|w| t.is_word(w));
        // Inside braces these compare labels.
        if operator && !group.open.is_some_and(|o| o.is("{")) {
            group.operators += 1;
            in_all += 1;
        }
        if around.len() > MAX_NESTING {
            return wrong(format!("query nests deeper than {MAX_NESTING} brackets"));
        }
        let deep = around.iter().map(|g| g.operators).sum::<usize>() + group.operators + group.inside;
        if deep > MAX_OPERATORS {
            return wrong(format!("query chains more than {MAX_OPERATORS} operators"));
        }
        if in_all > MAX_OPERATORS_IN_ALL {
            return wrong(format!("query has more than {MAX_OPERATORS_IN_ALL} operators"));
        }
    }
    match group.open {
        Some(o) => Err(SyntaxError::grammar(format!("the '{}' is never closed", o.text)).at(o.at, o.end())),
        None => Ok(()),
    }
}

fn closes(open: &str, close: &str) -> bool {
    matches!((open, close), ("(", ")") | ("[", "]") | ("{", "}"))
}

fn is_closed(text: &str) -> bool {
    let mut chars = text.chars();
    let quote = chars.next();
    let mut escaped = false;
    while let Some(c) = chars.next() {
        if !escaped && Some(c) == quote {
            return chars.next().is_none();
        }
        escaped = c == '\\' && !escaped && quote != Some('`');
    }
    false
}

/// Every token in the place of a duration must be one that promql-parser reads as what it says.
pub(crate) fn durations(tokens: &[Token<'_>]) -> Result<(), SyntaxError> {
    let mut in_brackets = false;
    for (i, t) in tokens.iter().enumerate() {
        if t.is("[") {
            in_brackets = true;
        } else if t.is("]") {
            in_brackets = false;
        }
        let previous = |n: usize| i.checked_sub(n).and_then(|i| tokens.get(i));
        let after_offset = previous(1).is_some_and(|p| p.is_word("offset"))
            || previous(1).is_some_and(|p| p.is("+") || p.is("-"))
                && previous(2).is_some_and(|p| p.is_word("offset"));
        let literal = t.kind == TokenKind::Number || t.is_word("inf") || t.is_word("nan");
        let read = if literal && (in_brackets || after_offset) {
            duration_ms(t.text).map(|_| ())
        } else if t.kind == TokenKind::Number && is_duration(t.text) {
            let read = thanos_model::parse_duration(t.text).map_err(SyntaxError::grammar);
            read.and_then(|_| components(t.text))
        } else {
            Ok(())
        };
        read.map_err(|e| e.at(t.at, t.end()))?;
    }
    Ok(())
}

/// Milliseconds of a duration or of a number of seconds.
pub(crate) fn duration_ms(text: &str) -> Result<i64, SyntaxError> {
    if is_duration(text) {
        components(text)?;
        let d = thanos_model::parse_duration(text).map_err(SyntaxError::grammar)?;
        return i64::try_from(d.as_millis()).map_err(|_| out_of_range(text));
    }
    let seconds = number(text)
        .ok_or_else(|| SyntaxError::grammar(format!("bad number or duration syntax: {text:?}")))?;
    if !(0.0..=MAX_DURATION_S).contains(&seconds) {
        return Err(out_of_range(text));
    }
    Ok((seconds * 1000.0).round() as i64)
}

fn out_of_range(text: &str) -> SyntaxError {
    SyntaxError::grammar(format!("duration out of range: {text:?}"))
}

/// promql-parser reads a component above `u32::MAX` as nothing at all.
fn components(text: &str) -> Result<(), SyntaxError> {
    let fits = |digits: &str| digits.is_empty() || digits.parse::<u32>().is_ok();
    if text.split(|c: char| !c.is_ascii_digit()).all(fits) { Ok(()) } else { Err(out_of_range(text)) }
}

pub(crate) fn is_duration(text: &str) -> bool {
    !text.starts_with("0x")
        && !text.starts_with("0X")
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h', 'd', 'w', 'y'])
}

/// A number as promql-parser reads it: decimal, hexadecimal, or octal with a leading zero.
pub(crate) fn number(text: &str) -> Option<f64> {
    let lower = ungrouped(text).to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|v| v as f64);
    }
    let octal = lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', '8', '9']);
    if octal {
        return i64::from_str_radix(lower.get(1..)?, 8).ok().map(|v| v as f64);
    }
    lower.parse().ok()
}
