//! One pass over a query's characters, before the parser: brackets, quotes, depth, and durations that it
//! would panic on.

/// Longest query that is read, in bytes; the schema allows as much.
const MAX_LEN: usize = 16_384;
/// Most operators and brackets: each may add a level to the parsed tree, which is walked recursively.
const MAX_OPERATORS: usize = 300;
/// Longest duration written as a bare number, in seconds: a thousand years.
const MAX_SECONDS: f64 = 3.2e10;

/// Refuses what the parser must not see.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty".into());
    }
    if text.len() > MAX_LEN {
        return Err(format!("has {} bytes, over the limit of {MAX_LEN}", text.len()));
    }
    let mut scan = Scan { text, open: Vec::new(), operators: 0, after_offset: false };
    scan.run()
}

/// Adds line and column to a parser's message if it quotes a word that stands in the text once.
pub(super) fn locate(text: &str, message: &str) -> String {
    let message = message.trim();
    let quoted = message.split(['\'', '"', '`']).nth(1).filter(|w| !w.is_empty());
    match quoted.and_then(|w| text.find(w)) {
        Some(at) => format!("{message}, at {}", position(text, at)),
        None => message.to_owned(),
    }
}

struct Scan<'a> {
    text: &'a str,
    /// Open brackets with their byte offsets.
    open: Vec<(char, usize)>,
    operators: usize,
    /// The last word was `offset`.
    after_offset: bool,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut rest = self.text;
        while let Some(c) = rest.chars().next() {
            let at = self.text.len() - rest.len();
            let taken = match c {
                '"' | '\'' | '`' => string_len(rest).ok_or_else(|| {
                    format!("the string that opens at {} is never closed", position(self.text, at))
                })?,
                '#' => rest.find('\n').unwrap_or(rest.len()),
                c if c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == ':' => self.word(rest, at)?,
                c => {
                    self.symbol(c, at)?;
                    c.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        match self.open.last() {
            Some((c, at)) => Err(format!("the '{c}' at {} is never closed", position(self.text, *at))),
            None => Ok(()),
        }
    }

    fn symbol(&mut self, c: char, at: usize) -> Result<(), String> {
        if !c.is_whitespace() && c != '-' && c != '+' {
            self.after_offset = false;
        }
        match c {
            '(' | '[' | '{' => self.open.push((c, at)),
            ')' | ']' | '}' => {
                let opening = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                match self.open.pop() {
                    Some((open, _)) if open == opening => return Ok(()),
                    Some((open, from)) => {
                        let (here, there) = (position(self.text, at), position(self.text, from));
                        return Err(format!("the '{c}' at {here} does not close the '{open}' at {there}"));
                    }
                    None => {
                        return Err(format!("the '{c}' at {} closes nothing", position(self.text, at)));
                    }
                }
            }
            '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | '=' | '!' => {}
            _ => return Ok(()),
        }
        self.operator(at)
    }

    fn operator(&mut self, at: usize) -> Result<(), String> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let place = position(self.text, at);
            return Err(format!("has more than {MAX_OPERATORS} operators and brackets, at {place}"));
        }
        Ok(())
    }

    /// Length of the word that `rest` starts with.
    fn word(&mut self, rest: &str, at: usize) -> Result<usize, String> {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        let mut len = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let numeric = rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        // The sign of an exponent belongs to the number: 1e+30.
        let exponent = numeric && !rest.starts_with("0x") && rest[..len].ends_with(['e', 'E']);
        if exponent && rest[len..].starts_with(['+', '-']) {
            let digits = &rest[len + 1..];
            len += 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        }
        let word = &rest[..len];
        let in_range = self.open.last().is_some_and(|(c, _)| *c == '[');
        // Inside brackets a colon separates range and step.
        let parts = if in_range { word.split(':').collect() } else { vec![word] };
        if (in_range || self.after_offset) && parts.iter().any(|p| too_long(p)) {
            return Err(format!("{word} at {} is no duration", position(self.text, at)));
        }
        self.after_offset = word.eq_ignore_ascii_case("offset");
        if ["and", "or", "unless", "atan2"].iter().any(|op| word.eq_ignore_ascii_case(op)) {
            self.operator(at)?;
        }
        Ok(len)
    }
}

/// A bare number of seconds that no duration can hold. Anything with a unit is the parser's to judge.
fn too_long(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let seconds = match lower.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).map_or(f64::INFINITY, |v| v as f64),
        None => match lower.parse::<f64>() {
            Ok(seconds) => seconds,
            Err(_) => return false,
        },
    };
    !(0.0..=MAX_SECONDS).contains(&seconds)
}

/// Length of the string literal that `rest` starts with, quotes included; `None` if it never ends.
fn string_len(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    let (_, quote) = chars.next()?;
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(at + c.len_utf8());
        }
        if c == '\\' && quote != '`' {
            chars.next()?;
        }
    }
    None
}

/// `column 7`, or `line 2, column 7` of a text with several lines. Counts characters from 1.
fn position(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if text.contains('\n') { format!("line {line}, column {column}") } else { format!("column {column}") }
}
