//! What promql-parser's grammar lacks, or reads otherwise than Prometheus, is lifted out of the text before it
//! parses; the reader takes it from the original tokens and puts it back:
//!
//! ```text
//!  h </ 5            ─►  h <= 5              the operator
//!  x[5m] anchored    ─►  x[5m]               the modifier
//!  x[5m+step()]      ─►  x[1s]               the duration
//!  x{a=~`\d`}        ─►  x{a=~"x"}           regular expressions, which it would compile
//!  x{a=`\d`}         ─►  x{a="\\d"}          raw strings
//!  anchored + 1_000  ─►  __lifted_… + 1000   names that are no keywords, digits in groups
//! ```

use crate::duration;
use crate::token::{Token, TokenKind, ungrouped};

/// Words after which an operand begins, so that `anchored` there is a metric.
const BEFORE_OPERANDS: [&str; 11] =
    ["and", "or", "unless", "atan2", "bool", "by", "without", "on", "ignoring", "group_left", "group_right"];

/// Before a name that promql-parser takes for a keyword.
const LIFTED: &str = "__lifted_";

/// The text for promql-parser.
pub(crate) fn lift(text: &str, tokens: &[Token<'_>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut braces = false;
    let mut i = 0;
    while let Some(t) = tokens.get(i) {
        out.push_str(text.get(at..t.at).unwrap_or(""));
        at = t.end();
        i += 1;
        braces = t.is("{") || braces && !t.is("}");
        let rest = tokens.get(i..).unwrap_or(&[]);
        if braces || t.kind == TokenKind::Text {
            match i.checked_sub(2).and_then(|before| tokens.get(before)) {
                // Placeholders that match an empty label no more than the pattern must.
                Some(op) if braces && t.kind == TokenKind::Text && op.is("=~") => out.push_str("\"x\""),
                Some(op) if braces && t.kind == TokenKind::Text && op.is("!~") => out.push_str("\"\""),
                // Inside braces every word is a name.
                _ if t.kind == TokenKind::Word => out.push_str(t.text),
                _ => push_token(&mut out, t),
            }
        } else if t.is("</") || t.is(">/") {
            out.push_str("<=");
        } else if is_extension(tokens, i - 1) {
            out.push(' ');
        } else if t.is("[") {
            out.push('[');
            let inside = rest.get(..bracket_len(rest)).unwrap_or(&[]);
            let (range, step) = split_colon(inside);
            push_duration(&mut out, range);
            if let Some(step) = step {
                out.push(':');
                push_duration(&mut out, step);
            }
            i += inside.len();
            at = tokens.get(i).map_or(text.len(), |t| t.at);
        } else if t.is_word("offset") && is_offset(tokens, i) {
            out.push_str(t.text);
            out.push(' ');
            let duration = rest.get(..duration::offset_len(rest)).unwrap_or(&[]);
            match duration {
                [sign, one] if (sign.is("+") || sign.is("-")) && is_plain(std::slice::from_ref(one)) => {
                    out.push_str(sign.text);
                    push_duration(&mut out, std::slice::from_ref(one));
                }
                all => push_duration(&mut out, all),
            }
            i += duration.len();
            at = duration.last().map_or(at, Token::end);
        } else {
            push_token(&mut out, t);
        }
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

/// A name as the query has it.
pub(crate) fn original(name: &str) -> &str {
    name.strip_prefix(LIFTED).unwrap_or(name)
}

/// Whether the token is the modifier `anchored` or `smoothed`: it follows an operand.
pub(crate) fn is_extension(tokens: &[Token<'_>], i: usize) -> bool {
    if !tokens.get(i).is_some_and(is_extension_word) {
        return false;
    }
    let previous = |n: usize| i.checked_sub(n).and_then(|i| tokens.get(i));
    let Some(p) = previous(1) else { return false };
    let pinned_to_query = p.is(")")
        && previous(2).is_some_and(|p| p.is("("))
        && previous(3).is_some_and(|p| p.is_word("start") || p.is_word("end"))
        && previous(4).is_some_and(|p| p.is("@"));
    let after_offset_group = p.is(")") && closes_offset(tokens, i - 1);
    let operand = match p.kind {
        TokenKind::Number => true,
        TokenKind::Word => !BEFORE_OPERANDS.iter().any(|w| p.is_word(w)),
        TokenKind::Symbol => p.is("]") || p.is("}"),
        TokenKind::Text => false,
    };
    operand || pinned_to_query || after_offset_group
}

fn is_extension_word(t: &Token<'_>) -> bool {
    t.is_word("anchored") || t.is_word("smoothed")
}

/// Whether the bracket at `i` ends an `offset (…)`.
fn closes_offset(tokens: &[Token<'_>], i: usize) -> bool {
    let mut depth = 0;
    let before = |at: usize, n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
    for (at, t) in tokens.iter().enumerate().take(i + 1).rev() {
        depth += i32::from(t.is(")"));
        depth -= i32::from(t.is("("));
        if depth == 0 {
            return before(at, 1).is_some_and(|b| {
                b.is_word("offset")
                    || (b.is("-") || b.is("+")) && before(at, 2).is_some_and(|b| b.is_word("offset"))
            });
        }
    }
    false
}

/// Whether `offset` is the modifier: a duration follows.
fn is_offset(tokens: &[Token<'_>], after: usize) -> bool {
    after > 1
        && tokens.get(after).is_some_and(|t| {
            matches!(t.kind, TokenKind::Number | TokenKind::Word) || t.is("(") || t.is("-") || t.is("+")
        })
}

/// Tokens up to the closing bracket.
pub(crate) fn bracket_len(tokens: &[Token<'_>]) -> usize {
    tokens.iter().position(|t| t.is("]")).unwrap_or(tokens.len())
}

/// Range and step of `[range:step]`.
pub(crate) fn split_colon<'t, 'a>(tokens: &'t [Token<'a>]) -> (&'t [Token<'a>], Option<&'t [Token<'a>]>) {
    match tokens.iter().position(|t| t.is(":")).and_then(|at| tokens.split_at_checked(at)) {
        Some((range, step)) => (range, step.get(1..)),
        None => (tokens, None),
    }
}

/// Whether promql-parser reads the tokens as a duration itself, or refuses them itself.
pub(crate) fn is_plain(tokens: &[Token<'_>]) -> bool {
    tokens.len() <= 1
        && tokens.iter().all(|t| t.kind != TokenKind::Word || t.is_word("inf") || t.is_word("nan"))
}

fn push_duration(out: &mut String, tokens: &[Token<'_>]) {
    if is_plain(tokens) {
        tokens.iter().for_each(|t| push_token(out, t));
    } else {
        out.push_str("1s");
    }
}

fn push_token(out: &mut String, t: &Token<'_>) {
    let raw = t.text.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
    match (t.kind, raw) {
        (TokenKind::Text, Some(raw)) => push_quoted(out, raw),
        (TokenKind::Word, _) if is_extension_word(t) => out.extend([LIFTED, t.text]),
        (TokenKind::Number, _) => out.push_str(&ungrouped(t.text)),
        _ => out.push_str(t.text),
    }
}

fn push_quoted(out: &mut String, raw: &str) {
    out.push('"');
    for c in raw.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
}
