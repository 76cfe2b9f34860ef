//! What promql-parser's grammar lacks is lifted out of the text before it parses; the lowering reads it from
//! the original tokens and puts it back:
//!
//! ```text
//!  h </ 5            ─►  h <= 5          the operator
//!  x[5m] anchored    ─►  x[5m]           the modifier
//!  x[5m+step()]      ─►  x[1s]           the duration
//!  x{a=~`\d`}        ─►  x{a=~"\\d"}     raw strings
//! ```

use super::duration;
use super::lex::{Token, TokenKind};

/// Words after which an operand begins, so that `anchored` there is a metric.
const BEFORE_OPERANDS: [&str; 11] =
    ["and", "or", "unless", "atan2", "bool", "by", "without", "on", "ignoring", "group_left", "group_right"];

/// The text for promql-parser.
pub(super) fn lift(text: &str, tokens: &[Token<'_>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut braces = false;
    let mut i = 0;
    while let Some(t) = tokens.get(i) {
        out.push_str(text.get(at..t.at).unwrap_or(""));
        at = t.at + t.text.len();
        i += 1;
        braces = t.is("{") || braces && !t.is("}");
        if braces || t.kind == TokenKind::Text {
            push_token(&mut out, t);
        } else if t.is("</") || t.is(">/") {
            out.push_str("<=");
        } else if is_extension(tokens, i - 1) {
            out.push(' ');
        } else if t.is("[") {
            out.push('[');
            let inside = bracket_len(&tokens[i..]);
            let (range, step) = split_colon(&tokens[i..i + inside]);
            push_duration(&mut out, range);
            if let Some(step) = step {
                out.push(':');
                push_duration(&mut out, step);
            }
            i += inside;
            at = tokens.get(i).map_or(text.len(), |t| t.at);
        } else if t.is_word("offset") && is_offset(tokens, i) {
            out.push_str(t.text);
            out.push(' ');
            let len = duration::offset_len(&tokens[i..]);
            let signed = tokens[i].is("+") || tokens[i].is("-");
            if signed && len == 2 && is_plain(&tokens[i + 1..i + 2]) {
                out.push_str(tokens[i].text);
                push_duration(&mut out, &tokens[i + 1..i + 2]);
            } else {
                push_duration(&mut out, &tokens[i..i + len]);
            }
            i += len;
            at = tokens.get(i - 1).map_or(text.len(), |t| t.at + t.text.len());
        } else {
            push_token(&mut out, t);
        }
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

/// Whether the token is the modifier `anchored` or `smoothed`: it follows an operand.
pub(super) fn is_extension(tokens: &[Token<'_>], i: usize) -> bool {
    if !tokens.get(i).is_some_and(|t| t.is_word("anchored") || t.is_word("smoothed")) {
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

/// Whether the bracket at `i` ends an `offset (…)`.
fn closes_offset(tokens: &[Token<'_>], i: usize) -> bool {
    let mut depth = 0;
    for at in (0..=i).rev() {
        depth += i32::from(tokens[at].is(")"));
        depth -= i32::from(tokens[at].is("("));
        if depth == 0 {
            return at.checked_sub(1).is_some_and(|b| {
                tokens[b].is_word("offset")
                    || (tokens[b].is("-") || tokens[b].is("+")) && b > 0 && tokens[b - 1].is_word("offset")
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
pub(super) fn bracket_len(tokens: &[Token<'_>]) -> usize {
    tokens.iter().position(|t| t.is("]")).unwrap_or(tokens.len())
}

/// Range and step of `[range:step]`.
pub(super) fn split_colon<'t, 'a>(tokens: &'t [Token<'a>]) -> (&'t [Token<'a>], Option<&'t [Token<'a>]>) {
    match tokens.iter().position(|t| t.is(":")) {
        Some(at) => (&tokens[..at], Some(&tokens[at + 1..])),
        None => (tokens, None),
    }
}

/// Whether promql-parser reads the tokens as a duration itself, or refuses them itself.
pub(super) fn is_plain(tokens: &[Token<'_>]) -> bool {
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
    let Some(raw) = raw.filter(|_| t.kind == TokenKind::Text) else {
        out.push_str(t.text);
        return;
    };
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
