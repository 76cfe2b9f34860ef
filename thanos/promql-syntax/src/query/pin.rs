//! A query's text for a fixed time, by writing into the text as it is.
//!
//! ```text
//!  sum(rate(x[1m] offset 5m)) / scalar(y @ end()) + time()
//!  sum(rate(x[1m] @ T offset 5m)) / scalar(y @ T) + (T)
//! ```

use thanos_model::TimestampMs;

use crate::ast::{At, Call, Expr, Kind, Modified};
use crate::error::Span;
use crate::parse::Parsed;
use crate::text::Seconds;

/// Text in which one time, in seconds, stands between each piece and the next.
///
/// Evaluated at whatever time, the whole text gives what the original gives at that one time: every selector and
/// every outermost subquery without an own `@` has it as its `@`, `start()` and `end()` are it, and so is what
/// `time()`, `hour()`, `timestamp(…)` and `predict_linear(…)` take for now. What stands inside of a subquery counts
/// from the subquery's own steps and stays as it is. Comments are gone, so that the text may stand inside of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    pieces: Vec<String>,
}

impl Pinned {
    pub(super) fn new(text: &str, parsed: &Parsed) -> Self {
        let mut edits = Vec::new();
        collect(&parsed.root, false, &mut edits);
        edits.extend(parsed.comments.iter().map(|span| Edit { span: *span, parts: &[" "] }));
        edits.sort_by_key(|e| e.span.start);
        let mut pieces = vec![String::new()];
        let mut from = 0;
        for edit in &edits {
            if edit.span.start < from {
                // A comment in what was replaced whole.
                continue;
            }
            push(&mut pieces, text.get(from..edit.span.start).unwrap_or_default());
            let mut parts = edit.parts.iter();
            parts.next().into_iter().for_each(|first| push(&mut pieces, first));
            for part in parts {
                pieces.push((*part).to_owned());
            }
            from = edit.span.end;
        }
        push(&mut pieces, text.get(from..).unwrap_or_default());
        Self { pieces }
    }

    /// The pieces, in order; between each two of them stands the time. One piece alone depends on no time.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &str> {
        self.pieces.iter().map(String::as_str)
    }

    /// The text for a time.
    pub fn at(&self, time_ms: TimestampMs) -> String {
        self.pieces.join(&Seconds(time_ms).to_string())
    }
}

/// Behind a number, a word needs a space in front.
fn push(pieces: &mut [String], text: &str) {
    let behind_time = pieces.len() > 1;
    let Some(last) = pieces.last_mut() else { return };
    let sticks = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    if behind_time && last.is_empty() && text.starts_with(sticks) {
        last.push(' ');
    }
    last.push_str(text);
}

/// What is written instead of a part of the text: the time between each two parts.
struct Edit {
    span: Span,
    parts: &'static [&'static str],
}

fn insert(at: usize, parts: &'static [&'static str]) -> Edit {
    Edit { span: Span { start: at, end: at }, parts }
}

/// `inside`: in a subquery, whose steps are the times there.
fn collect(expr: &Expr, inside: bool, edits: &mut Vec<Edit>) {
    match &expr.kind {
        Kind::Selector(s, modified) => modifier(s.at, modified, inside, edits),
        Kind::Subquery(s) => {
            collect(&s.expr, true, edits);
            modifier(s.at, &s.modified, inside, edits);
        }
        Kind::Aggregate(a) => {
            a.param.iter().for_each(|p| collect(p, inside, edits));
            collect(&a.expr, inside, edits);
        }
        Kind::Call(c) => call(c, expr, inside, edits),
        Kind::Binary(b) => {
            collect(&b.lhs, inside, edits);
            collect(&b.rhs, inside, edits);
        }
        Kind::Negate(e) => collect(e, inside, edits),
        Kind::Number(_) | Kind::Text(_) => {}
    }
}

fn modifier(at: Option<At>, modified: &Modified, inside: bool, edits: &mut Vec<Edit>) {
    match (at, modified.at_edge) {
        (None, _) if !inside => edits.push(insert(modified.from, &[" @ ", ""])),
        (Some(At::Start | At::End), Some(span)) => edits.push(Edit { span, parts: &["", ""] }),
        _ => {}
    }
}

/// Calls whose result depends on the time of the evaluation itself. `expr` is the call.
fn call(c: &Call, expr: &Expr, inside: bool, edits: &mut Vec<Edit>) {
    let whole = Span { start: expr.pos, end: expr.end };
    match (c.name, c.args.as_slice()) {
        // Those of the query, in a subquery as well.
        ("start" | "end", []) => edits.push(Edit { span: whole, parts: &["(", ")"] }),
        ("time", []) if !inside => edits.push(Edit { span: whole, parts: &["(", ")"] }),
        (
            "minute" | "hour" | "day_of_week" | "day_of_month" | "day_of_year" | "days_in_month" | "month"
            | "year",
            [],
        ) if !inside => {
            // Before the closing bracket.
            edits.push(insert(whole.end.saturating_sub(1), &["vector(", ")"]));
        }
        ("timestamp", [arg]) if !inside && !matches!(arg.kind, Kind::Selector(..)) => {
            edits.push(insert(whole.start, &["("]));
            collect(arg, inside, edits);
            // Exact, which a difference of times is not.
            edits.push(insert(whole.end, &[" * 0 + ", ")"]));
        }
        ("predict_linear", [range, ahead]) if !inside => {
            collect(range, inside, edits);
            edits.push(insert(ahead.span.start, &["(("]));
            collect(ahead, inside, edits);
            edits.push(insert(ahead.span.end, &[") - (time() - ", "))"]));
        }
        _ => c.args.iter().for_each(|a| collect(a, inside, edits)),
    }
}
