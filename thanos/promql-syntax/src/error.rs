//! What is wrong with a text, and where.

use std::fmt;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One behind the last.
    pub end: usize,
}

/// A place in the text as people count: from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
    /// Whether the text has other lines.
    pub of_many_lines: bool,
}

/// Which rule a text breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It is not PromQL, or beyond a bound.
    Grammar,
    /// A duration's value is none.
    Duration,
    /// It is PromQL that the engine cannot do.
    Unsupported,
}

/// Why a text is no query.
///
/// Displays as one sentence without a full stop, the place at its end: `the '(' is never closed, at column 4`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// Which rule it breaks.
    pub kind: ErrorKind,
    /// What is wrong; for [`ErrorKind::Unsupported`] the construct as the user writes it.
    pub message: String,
    /// Where, if that is known.
    pub span: Option<Span>,
    /// The start of the span in lines.
    pub place: Option<Place>,
}

impl SyntaxError {
    pub(crate) fn grammar(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Grammar, message: message.to_string(), span: None, place: None }
    }

    pub(crate) fn duration(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Duration, ..Self::grammar(message) }
    }

    pub(crate) fn unsupported(name: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Unsupported, ..Self::grammar(name) }
    }

    /// Says where, if nobody nearer did.
    pub(crate) fn at(self, start: usize, end: usize) -> Self {
        let span = self.span.or(Some(Span { start, end }));
        Self { span, ..self }
    }

    /// Counts lines and columns of the span.
    pub(crate) fn placed(self, text: &str) -> Self {
        let place = self.span.map(|span| Place::of(text, span.start));
        Self { place, ..self }
    }
}

impl Place {
    /// Where a byte of the text is.
    pub fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            of_many_lines: text.contains('\n'),
        }
    }
}

/// `column 7`, or `line 2, column 7` of a text with several lines.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of_many_lines {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}", self.column)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Unsupported => write!(f, "{} is not supported yet", self.message)?,
            ErrorKind::Grammar | ErrorKind::Duration => f.write_str(&self.message)?,
        }
        match self.place {
            Some(place) => write!(f, ", at {place}"),
            None => Ok(()),
        }
    }
}
