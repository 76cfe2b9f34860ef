//! Reads a policy's query: is it PromQL, and which series does it depend on?
//!
//! The parser (promql-parser) gives no positions, panics on durations it cannot hold, and recurses as deep as
//! the text nests; [`scan`] goes first and refuses what would hurt, with line and column where it knows them.

mod scan;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{AtModifier, Expr, Offset, VectorSelector};

/// Most selectors of one query: each is a query of its own at every evaluation.
const MAX_SELECTORS: usize = 64;

/// A query that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// Every series selector in it, in reading order, each once. Empty: a constant or a clock.
    pub selectors: Vec<Selector>,
    /// How far back the longest range reads, those of subqueries around it included, in milliseconds.
    pub window_ms: i64,
    /// The shortest range of any range selector, in milliseconds: a cluster that lags by more is absent from
    /// that range's result, however young its newest sample looks. `None` without range selectors.
    pub shortest_range_ms: Option<i64>,
}

/// One series selector with the time that it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// Name and matchers as PromQL text.
    text: String,
    /// Fixed evaluation time, from `@`.
    at_ms: Option<i64>,
    /// How far back from there, from `offset`, enclosing subqueries included.
    offset_ms: i64,
    /// Matchers on labels, for [`Selector::admits`].
    matchers: Vec<Matcher>,
}

/// Parses `text` and finds its selectors.
///
/// # Errors
/// What is wrong, and where if that is known.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    scan::check(text)?;
    // The scan stops what is known to panic; should something else, one policy suffers, not the controller.
    let expr = std::panic::catch_unwind(|| promql_parser::parser::parse(text))
        .unwrap_or_else(|_| Err("the parser cannot handle it".into()))
        .map_err(|e| scan::locate(text, &e))?;
    match expr.value_type() {
        ValueType::Vector | ValueType::Scalar => {}
        ValueType::Matrix => return Err("gives a range of samples; wrap it, for example in rate(…)".into()),
        ValueType::String => return Err("gives a string; a metric needs a number".into()),
    }
    let mut query = Query { selectors: Vec::new(), window_ms: 0, shortest_range_ms: None };
    collect(&expr, Shift::default(), &mut query)?;
    Ok(query)
}

impl Selector {
    /// Gives, per value of `cluster_label`, the time of the newest sample that the selector sees, in seconds.
    pub(crate) fn newest_sample_query(&self, cluster_label: &str) -> String {
        let mut selector = self.text.clone();
        if let Some(at_ms) = self.at_ms {
            let sign = if at_ms < 0 { "-" } else { "" };
            let at = at_ms.unsigned_abs();
            selector.push_str(&format!(" @ {sign}{}.{:03}", at / 1000, at % 1000));
        }
        if self.offset_ms != 0 {
            let sign = if self.offset_ms < 0 { "-" } else { "" };
            let offset = thanos_model::format_duration(Duration::from_millis(self.offset_ms.unsigned_abs()));
            selector.push_str(&format!(" offset {sign}{offset}"));
        }
        format!("max by ({cluster_label}) (timestamp({selector}))")
    }

    /// The time that a sample's age counts from, for an evaluation at `now_ms`.
    pub(crate) fn reference_ms(&self, now_ms: i64) -> i64 {
        self.at_ms.unwrap_or(now_ms).saturating_sub(self.offset_ms)
    }

    /// Whether a series of that cluster could match.
    pub(crate) fn admits(&self, cluster_label: &str, cluster: &str) -> bool {
        self.matchers.iter().filter(|m| m.name == cluster_label).all(|m| m.is_match(cluster))
    }
}

/// `@` and `offset` of the subqueries around a selector.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    at_ms: Option<i64>,
    offset_ms: i64,
    /// Sum of the ranges.
    range_ms: i64,
}

impl Shift {
    /// Inside of a selector or subquery that has these modifiers: its own `@` replaces what is around it.
    fn within(self, at: Option<&AtModifier>, offset: Option<&Offset>) -> Self {
        let own_ms = match offset {
            Some(Offset::Pos(d)) => millis(*d),
            Some(Offset::Neg(d)) => -millis(*d),
            None => 0,
        };
        match at {
            Some(AtModifier::At(time)) => Self { at_ms: Some(epoch_ms(*time)), offset_ms: own_ms, ..self },
            // start() and end() of an instant query are its evaluation time.
            Some(AtModifier::Start | AtModifier::End) => Self { at_ms: None, offset_ms: own_ms, ..self },
            None => Self { offset_ms: self.offset_ms.saturating_add(own_ms), ..self },
        }
    }

    fn over(self, range: Duration) -> Self {
        Self { range_ms: self.range_ms.saturating_add(millis(range)), ..self }
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

fn epoch_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// Depth is bounded by the scan.
fn collect(expr: &Expr, shift: Shift, found: &mut Query) -> Result<(), String> {
    match expr {
        Expr::VectorSelector(v) => add(v, shift, found),
        Expr::MatrixSelector(m) => {
            let range_ms = millis(m.range);
            found.shortest_range_ms = Some(found.shortest_range_ms.map_or(range_ms, |ms| ms.min(range_ms)));
            add(&m.vs, shift.over(m.range), found)
        }
        Expr::Subquery(s) => {
            collect(&s.expr, shift.within(s.at.as_ref(), s.offset.as_ref()).over(s.range), found)
        }
        Expr::Aggregate(a) => {
            a.param.iter().try_for_each(|param| collect(param, shift, found))?;
            collect(&a.expr, shift, found)
        }
        Expr::Call(c) => c.args.args.iter().try_for_each(|arg| collect(arg, shift, found)),
        Expr::Binary(b) => {
            collect(&b.lhs, shift, found)?;
            collect(&b.rhs, shift, found)
        }
        Expr::Unary(u) => collect(&u.expr, shift, found),
        Expr::Paren(p) => collect(&p.expr, shift, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::Extension(_) => Err("uses an extension of PromQL".into()),
    }
}

fn add(v: &VectorSelector, shift: Shift, found: &mut Query) -> Result<(), String> {
    if !v.matchers.or_matchers.is_empty() {
        return Err("has `or` between label matchers, which is not PromQL; use =~\"a|b\"".into());
    }
    let shift = shift.within(v.at.as_ref(), v.offset.as_ref());
    let selector = Selector {
        text: selector_text(v),
        at_ms: shift.at_ms,
        offset_ms: shift.offset_ms,
        matchers: v.matchers.matchers.clone(),
    };
    found.window_ms = found.window_ms.max(shift.range_ms);
    if !found.selectors.contains(&selector) {
        if found.selectors.len() >= MAX_SELECTORS {
            return Err(format!("has more than {MAX_SELECTORS} different selectors; record parts of it"));
        }
        found.selectors.push(selector);
    }
    Ok(())
}

/// Always in braces and quotes where a bare word would not do, so that UTF-8 names survive.
fn selector_text(v: &VectorSelector) -> String {
    let mut name = v.name.as_deref().unwrap_or_default().to_owned();
    let mut inner: Vec<String> = Vec::new();
    if !name.is_empty() && !is_legacy_name(&name, true) {
        inner.push(quoted(&name));
        name.clear();
    }
    for m in &v.matchers.matchers {
        let label = if is_legacy_name(&m.name, false) { m.name.clone() } else { quoted(&m.name) };
        let op = match m.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        };
        inner.push(format!("{label}{op}{}", quoted(&m.value)));
    }
    if inner.is_empty() { name } else { format!("{name}{{{}}}", inner.join(",")) }
}

fn is_legacy_name(name: &str, colons: bool) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
