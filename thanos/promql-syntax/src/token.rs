//! A light scan of the query text. promql-parser keeps neither positions nor nesting limits, so both come
//! from here: the guard reads the tokens before the parser runs, the reader walks them beside its tree.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Starts with a letter, `_` or `:`.
    Word,
    /// Starts with a digit, or with a dot before one: a number or a duration.
    Number,
    /// A quoted string, quotes included.
    Text,
    /// An operator or bracket.
    Symbol,
}

/// A piece of the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// As written.
    pub(crate) text: &'a str,
    /// Byte offset in the query.
    pub(crate) at: usize,
}

impl Token<'_> {
    /// The byte behind it.
    pub(crate) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    pub(crate) fn is(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

const SYMBOLS: [&str; 9] = ["</", ">/", "==", "!=", ">=", "<=", "=~", "!~", "->"];

/// Never fails: what no grammar knows becomes a one-character symbol and is refused by the parser.
pub(crate) fn scan(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    // Between brackets a colon separates range and step; elsewhere it is a letter.
    let mut in_brackets = false;
    while let Some((rest, c)) = text.get(at..).and_then(|rest| Some((rest, rest.chars().next()?))) {
        let run = |keep: fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let (kind, len) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => (TokenKind::Text, quoted_len(rest, c)),
            c if c.is_ascii_digit() => (TokenKind::Number, number_len(rest)),
            '.' if rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) => {
                (TokenKind::Number, number_len(rest))
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' && !in_brackets => {
                (TokenKind::Word, run(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            }
            c => {
                in_brackets = c == '[' || in_brackets && c != ']';
                let two = SYMBOLS.iter().find(|s| rest.starts_with(**s));
                (TokenKind::Symbol, two.map_or(c.len_utf8(), |s| s.len()))
            }
        };
        out.push(Token { kind, text: rest.get(..len).unwrap_or(rest), at });
        at += len;
    }
    out
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            // A raw string has no escapes.
            '\\' => escaped = quote != '`',
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A number, with the sign of its exponent, or a duration.
fn number_len(rest: &str) -> usize {
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut previous = ' ';
    for (i, c) in rest.char_indices() {
        let exponent_sign = !hex && matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent_sign) {
            return i;
        }
        previous = c;
    }
    rest.len()
}

/// A number without the underscores between its digits.
pub(crate) fn ungrouped(number: &str) -> String {
    let between_digits = |at: usize| {
        let digit =
            |i: Option<usize>| i.and_then(|i| number.as_bytes().get(i)).is_some_and(u8::is_ascii_hexdigit);
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    number.char_indices().filter(|(at, c)| *c != '_' || !between_digits(*at)).map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests;
