//! A text as words and signs, each with its column.

use crate::error::FormulaError;

/// A word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Number(f64),
    Word(String),
    /// What stands between quotes, or between backticks.
    Quoted(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    End,
}

/// Longer ones first: `<=` is no `<`.
const SIGNS: [&str; 24] = [
    "??", "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")",
    "[", "]", ".", ",", "=",
];

/// All of them with their columns, counted in characters from one; the last one is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FormulaError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let before = text.get(..text.len().saturating_sub(rest.len())).unwrap_or_default();
        let column = before.chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            found.push((column, Token::End));
            return Ok(found);
        };
        let (token, len) = match first {
            '0'..='9' => number(rest, column)?,
            '.' if rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) => {
                number(rest, column)?
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                (Token::Word(rest.get(..len).unwrap_or_default().to_owned()), len)
            }
            '"' | '\'' | '`' => quoted(rest, first, column)?,
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    return Err(FormulaError::new(column, format!("{first:?} means nothing here")));
                }
            },
        };
        found.push((column, token));
        rest = rest.get(len..).unwrap_or_default();
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Digits, a fraction, an exponent.
fn number(rest: &str, column: usize) -> Result<(Token, usize), FormulaError> {
    let digits = |from: usize| {
        let tail = rest.get(from..).unwrap_or_default();
        from + tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
    };
    let starts = |from: usize, with: &[char]| rest.get(from..).is_some_and(|tail| tail.starts_with(with));
    let mut end = digits(0);
    if starts(end, &['.']) && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if starts(end, &['e', 'E']) {
        let sign = if starts(end + 1, &['+', '-']) { 2 } else { 1 };
        if digits(end + sign) > end + sign {
            end = digits(end + sign);
        }
    }
    let text = rest.get(..end).unwrap_or_default();
    if rest.get(end..).is_some_and(|tail| tail.starts_with(is_word)) {
        let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let whole = rest.get(..len).unwrap_or_default();
        let message = format!("{whole} is no number; a metric of that name is metrics[\"{whole}\"]");
        return Err(FormulaError::new(column, message));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), end)),
        _ => Err(FormulaError::new(column, format!("{text} is no number that can be reckoned with"))),
    }
}

/// A name between quotes; names have no escapes.
fn quoted(rest: &str, quote: char, column: usize) -> Result<(Token, usize), FormulaError> {
    let inner = rest.get(1..).unwrap_or_default();
    let Some(len) = inner.find(quote) else {
        return Err(FormulaError::new(column, format!("{quote} is not closed")));
    };
    let name = inner.get(..len).unwrap_or_default();
    if name.is_empty() || name.contains(['\\', '\n']) {
        return Err(FormulaError::new(column, "names no metric".to_owned()));
    }
    Ok((Token::Quoted(name.to_owned()), len + 2))
}
