//! Refuses, before promql-parser sees the text, what would make it panic, overflow the stack or silently
//! read something else: too long, too deep, and durations that do not fit.

use super::lex::{Token, TokenKind};
use crate::error::QueryError;

/// Longest query in bytes.
pub(super) const MAX_QUERY_BYTES: usize = 64 << 10;
/// Deepest nesting of brackets.
pub(super) const MAX_NESTING: usize = 64;
/// Most operators; a chain of them nests as deep as it is long.
pub(super) const MAX_OPERATORS: usize = 200;
/// Longest duration: 1,000 years, as no timestamp overflows with it.
pub(super) const MAX_DURATION_S: f64 = 1000.0 * 365.0 * 86_400.0;

const OPERATOR_SYMBOLS: [&str; 16] =
    ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "</", ">/", "@", "["];
const OPERATOR_WORDS: [&str; 5] = ["and", "or", "unless", "atan2", "offset"];

pub(super) fn length(text: &str) -> Result<(), QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError::parse(format!("query is longer than {MAX_QUERY_BYTES} bytes")));
    }
    Ok(())
}

pub(super) fn nesting(tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let (mut depth, mut operators) = (0usize, 0usize);
    for t in tokens {
        if t.kind == TokenKind::Symbol && matches!(t.text, "(" | "[" | "{") {
            depth += 1;
        } else if t.kind == TokenKind::Symbol && matches!(t.text, ")" | "]" | "}") {
            depth = depth.saturating_sub(1);
        }
        let operator = t.kind == TokenKind::Symbol && OPERATOR_SYMBOLS.contains(&t.text)
            || OPERATOR_WORDS.iter().any(|w| t.is_word(w));
        operators += usize::from(operator);
        if depth > MAX_NESTING {
            return Err(QueryError::parse(format!("query nests deeper than {MAX_NESTING} brackets")));
        }
        if operators > MAX_OPERATORS {
            return Err(QueryError::parse(format!("query has more than {MAX_OPERATORS} operators")));
        }
    }
    Ok(())
}

/// Every token in the place of a duration must be one that promql-parser reads as what it says.
pub(super) fn durations(tokens: &[Token<'_>]) -> Result<(), QueryError> {
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
        if literal && (in_brackets || after_offset) {
            duration_ms(t.text)?;
        } else if t.kind == TokenKind::Number && is_duration(t.text) {
            thanos_model::parse_duration(t.text).map_err(|e| QueryError::parse(e.to_string()))?;
            components(t.text)?;
        }
    }
    Ok(())
}

/// Milliseconds of a duration or of a number of seconds.
pub(super) fn duration_ms(text: &str) -> Result<i64, QueryError> {
    if is_duration(text) {
        components(text)?;
        let d = thanos_model::parse_duration(text).map_err(QueryError::parse)?;
        return i64::try_from(d.as_millis()).map_err(|_| out_of_range(text));
    }
    let seconds =
        number(text).ok_or_else(|| QueryError::parse(format!("bad number or duration syntax: {text:?}")))?;
    if !(0.0..=MAX_DURATION_S).contains(&seconds) {
        return Err(out_of_range(text));
    }
    Ok((seconds * 1000.0).round() as i64)
}

fn out_of_range(text: &str) -> QueryError {
    QueryError::parse(format!("duration out of range: {text:?}"))
}

/// promql-parser reads a component above `u32::MAX` as nothing at all.
fn components(text: &str) -> Result<(), QueryError> {
    let fits = |digits: &str| digits.is_empty() || digits.parse::<u32>().is_ok();
    if text.split(|c: char| !c.is_ascii_digit()).all(fits) { Ok(()) } else { Err(out_of_range(text)) }
}

pub(super) fn is_duration(text: &str) -> bool {
    !text.starts_with("0x")
        && !text.starts_with("0X")
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h', 'd', 'w', 'y'])
}

/// A number as promql-parser reads it: decimal, hexadecimal, or octal with a leading zero.
pub(super) fn number(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|v| v as f64);
    }
    let octal = lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', '8', '9']);
    if octal {
        return i64::from_str_radix(&lower[1..], 8).ok().map(|v| v as f64);
    }
    lower.parse().ok()
}
