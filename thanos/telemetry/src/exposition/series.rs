//! The grammar of one series: `name{label="value",…}` or `{"quoted name",label="value",…}`.

use std::borrow::Cow;

use thanos_model::{Label, Labels, METRIC_NAME};

use super::{Kind, float};

/// One part of a series, as written.
enum Part<'a> {
    /// The metric's name; quoted names keep their escapes.
    Name {
        raw: &'a str,
        quoted: bool,
    },
    Label {
        name: &'a str,
        name_quoted: bool,
        value: &'a str,
    },
}

/// Walks a series part by part. After the last part, `at` is where the series ends.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    InBraces,
    End,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, state: State::Start }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// A bare name; `colons` where a metric's name may stand.
    fn bare(&mut self, colons: bool) -> &'a str {
        let from = self.at;
        while let Some(b) = self.peek() {
            let first = self.at == from;
            let fits =
                b.is_ascii_alphabetic() || b == b'_' || b == b':' && colons || b.is_ascii_digit() && !first;
            if !fits {
                break;
            }
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// A quoted string's inside, escapes and all; the cursor stands on the opening quote.
    fn quoted(&mut self) -> Result<&'a str, String> {
        let from = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = from;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(format!("a quote is not closed in {}", short(self.text))),
            }
        }
        self.at = at + 1;
        Ok(&self.text[from..at])
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("expected {wanted}, found {found:?} in {}", short(self.text)),
            None => format!("expected {wanted}, found the end of {}", short(self.text)),
        }
    }

    fn next(&mut self) -> Result<Option<Part<'a>>, String> {
        match self.state {
            State::End => Ok(None),
            State::Start => {
                let name = self.bare(true);
                let name_ends = self.at;
                self.skip_blanks();
                if self.peek() == Some(b'{') {
                    self.at += 1;
                    self.state = State::InBraces;
                } else if name.is_empty() {
                    return Err(self.unexpected("a metric name"));
                } else {
                    self.at = name_ends;
                    self.state = State::End;
                }
                if name.is_empty() { self.next() } else { Ok(Some(Part::Name { raw: name, quoted: false })) }
            }
            State::InBraces => self.in_braces(),
        }
    }

    fn in_braces(&mut self) -> Result<Option<Part<'a>>, String> {
        self.skip_blanks();
        let quoted = match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.state = State::End;
                return Ok(None);
            }
            Some(b'"') => true,
            _ => false,
        };
        let name = if quoted { self.quoted()? } else { self.bare(false) };
        if name.is_empty() {
            return Err(self.unexpected("a label name or }"));
        }
        self.skip_blanks();
        let part = if self.peek() == Some(b'=') {
            self.at += 1;
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a quoted label value"));
            }
            Part::Label { name, name_quoted: quoted, value: self.quoted()? }
        } else if quoted {
            Part::Name { raw: name, quoted }
        } else {
            return Err(self.unexpected("= after a label name"));
        };
        self.skip_blanks();
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b'}') => {}
            _ => return Err(self.unexpected(", or }")),
        }
        Ok(Some(part))
    }
}

/// Checks the series at the start of `text` and returns where it ends.
pub(super) fn scan(text: &str, labels_max: usize) -> Result<usize, String> {
    let mut cursor = Cursor::new(text);
    let (mut parts, mut names) = (0, 0);
    while let Some(part) = cursor.next()? {
        parts += 1;
        names += usize::from(matches!(part, Part::Name { .. }));
        if parts > labels_max {
            return Err(format!("more than {labels_max} labels on {}", short(text)));
        }
    }
    if names != 1 {
        return Err(format!("{} has {names} metric names, not one", short(text)));
    }
    match cursor.peek() {
        None | Some(b' ' | b'\t') => Ok(cursor.at),
        // `{…}` may be followed by the value at once.
        Some(_) if text.as_bytes().get(cursor.at - 1) == Some(&b'}') => Ok(cursor.at),
        Some(_) => Err(cursor.unexpected("a blank after the metric name")),
    }
}

/// The label set of a series that [`scan`] accepted.
pub(super) fn labels(series: &str, kind: Kind) -> Result<Labels, String> {
    let mut cursor = Cursor::new(series);
    let mut out: Vec<Label> = Vec::new();
    while let Some(part) = cursor.next()? {
        out.push(match part {
            Part::Name { raw, quoted } => Label::new(METRIC_NAME, text(raw, quoted)),
            Part::Label { name, name_quoted, value } => {
                let name = text(name, name_quoted);
                let value = text(value, true);
                let bound = matches!((kind, &*name), (Kind::Histogram, "le") | (Kind::Summary, "quantile"));
                match float::parse(&value) {
                    Some(number) if bound => Label::new(&*name, float::openmetrics(number)),
                    _ => Label::new(&*name, &*value),
                }
            }
        });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = out.windows(2).find(|w| w[0].name == w[1].name) {
        return Err(format!("label {:?} is given twice in {}", pair[0].name, short(series)));
    }
    Ok(Labels::new(out))
}

/// Undoes `\\`, `\"` and `\n`; any other escape stays as written, as in Prometheus.
fn text(raw: &str, quoted: bool) -> Cow<'_, str> {
    if !quoted || !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(c @ ('\\' | '"')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

/// Enough of a line to find it by.
fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}
