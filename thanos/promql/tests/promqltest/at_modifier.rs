//! Every instant query again with `@` on its selectors, evaluated at other times: the result must not change.

use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, Expr, parse};

/// Functions whose result depends on the evaluation time even where their arguments do not.
const UNSAFE: [&str; 16] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "start_timestamp",
];

/// Whether `start()`, `end()`, `range()` or `step()` occurs: a range query means other times by them.
pub(crate) fn depends_on_the_query(text: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|f| text.contains(f))
}

/// The query with `@` and the times to evaluate it at; nothing where that would change its meaning.
pub(crate) fn variants(text: &str, at_ms: i64) -> Vec<(String, i64)> {
    let Ok(mut expr) = parse(text) else { return Vec::new() };
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs());
    if !pin(&mut expr, at) {
        return Vec::new();
    }
    // Prometheus prints a positive infinity with its sign; positions in annotations count it.
    let text = expr.to_string().replace(", Inf", ", +Inf").replace("(Inf", "(+Inf");
    let times =
        if at_ms == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at_ms, 0, at_ms / 5, at_ms, 10 * at_ms] };
    times.into_iter().map(|t| (text.clone(), t)).collect()
}

/// Pins selectors and subqueries that are not pinned yet; false where a function forbids it.
fn pin(e: &mut Expr, at: SystemTime) -> bool {
    match e {
        Expr::VectorSelector(v) => {
            v.at.get_or_insert(AtModifier::At(at));
            true
        }
        Expr::MatrixSelector(m) => {
            m.vs.at.get_or_insert(AtModifier::At(at));
            true
        }
        Expr::Subquery(s) => {
            s.at.get_or_insert(AtModifier::At(at));
            // What is inside keeps its own times, but its functions still count.
            safe(&s.expr)
        }
        Expr::Paren(p) => pin(&mut p.expr, at),
        Expr::Unary(u) => pin(&mut u.expr, at),
        Expr::Binary(b) => pin(&mut b.lhs, at) && pin(&mut b.rhs, at),
        Expr::Aggregate(a) => a.param.as_mut().is_none_or(|p| pin(p, at)) && pin(&mut a.expr, at),
        Expr::Call(c) => !UNSAFE.contains(&c.func.name) && c.args.args.iter_mut().all(|a| pin(a, at)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => true,
        Expr::Extension(_) => false,
    }
}

fn safe(e: &Expr) -> bool {
    let mut copy = e.clone();
    pin(&mut copy, SystemTime::UNIX_EPOCH)
}
