//! Every instant query of the suite again, its text written for its time, at other times.

use thanos_model::Value;
use thanos_promql::{QueryResult, QueryValue, Steps};
use thanos_promql_syntax::Query;

use crate::script::Eval;
use crate::storage::Storage;
use crate::{check, query};

/// Whether there was something to compare.
///
/// # Errors
/// The query, its text for another time, and where they differ.
pub(crate) fn same(eval: &Eval, storage: &Storage) -> Result<bool, String> {
    let (Ok(parsed), Ok(then)) =
        (Query::parse(&eval.query), query(storage, &eval.query, Steps::instant(eval.eval_ms)))
    else {
        return Ok(false);
    };
    let text = parsed.at(eval.eval_ms);
    for later_ms in [0, 1, 61_000, 86_400_000] {
        let at_ms = eval.eval_ms + later_ms;
        let context = |e: String| format!("{} as {text} at {at_ms}: {e}", eval.query);
        let now = query(storage, &text, Steps::instant(at_ms)).map_err(|e| context(e.to_string()))?;
        equal(&then, &now).map_err(context)?;
    }
    Ok(true)
}

fn equal(then: &QueryResult, now: &QueryResult) -> Result<(), String> {
    let values = |r: &QueryResult| -> Vec<(String, Value)> {
        match &r.value {
            QueryValue::Scalar { value, .. } => vec![(String::new(), Value::Float(*value))],
            QueryValue::Vector(v) => v.iter().map(|s| (s.labels.to_string(), s.value.clone())).collect(),
            QueryValue::String { .. } | QueryValue::Matrix(_) => Vec::new(),
        }
    };
    let (then, now) = (values(then), values(now));
    let fits = |(a, b): (&(String, Value), &(String, Value))| {
        a.0 == b.0
            && match (&a.1, &b.1) {
                (Value::Float(a), Value::Float(b)) => check::almost_equal(*a, *b),
                (a, b) => format!("{a:?}") == format!("{b:?}"),
            }
    };
    let same = then.len() == now.len() && then.iter().zip(&now).all(fits);
    if same { Ok(()) } else { Err(format!("{then:?} became {now:?}")) }
}
