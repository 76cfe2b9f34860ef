//! Sorting of instant results.

use std::cmp::Ordering;

use super::{Evaluator, Grid, Sink, labels::text};
use crate::error::QueryError;
use crate::plan::expr::Call;
use crate::plan::func::Func;
use crate::row::StepSeries;

impl Evaluator<'_> {
    pub(super) fn sort(
        &self,
        call: &Call,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let Some(input) = call.args.first() else { return Ok(()) };
        let mut frame = self.vector(input, grid)?;
        let by_value = matches!(call.func, Func::Sort | Func::SortDesc);
        if by_value {
            for s in &mut frame.series {
                s.row.map_floats(|_, v| v);
            }
        }
        if grid.steps > 1 {
            self.notes.warn(pos, || {
                "sort is ineffective for range queries since results are always ordered by labels".into()
            });
        } else if by_value {
            let descending = matches!(call.func, Func::SortDesc);
            frame.series.sort_by(|a, b| by_first_value(a, b, descending));
        } else {
            let names: Vec<&str> = (1..call.args.len()).map(|i| text(&call.args, i)).collect();
            let descending = matches!(call.func, Func::SortByLabelDesc);
            frame.series.sort_by(|a, b| {
                let by_names = names.iter().map(|n| natural(a.labels.get(n), b.labels.get(n)));
                let order =
                    by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
                if descending { order.reverse() } else { order }
            });
        }
        frame.series.into_iter().try_for_each(sink)
    }
}

/// NaN last, whichever way.
fn by_first_value(a: &StepSeries, b: &StepSeries, descending: bool) -> Ordering {
    let (a, b) = (a.row.float(0).unwrap_or(f64::NAN), b.row.float(0).unwrap_or(f64::NAN));
    let order = a.partial_cmp(&b).map(|o| if descending { o.reverse() } else { o });
    order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Digits compare as numbers, everything else as text.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, rest_a) = chunk(a);
        let (y, rest_b) = chunk(b);
        let order = match (is_number(x), is_number(y)) {
            _ if x.is_empty() || y.is_empty() => return x.len().cmp(&y.len()),
            (true, true) => {
                let (m, n) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
                m.len().cmp(&n.len()).then_with(|| m.cmp(n)).then_with(|| x.len().cmp(&y.len()))
            }
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn is_number(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_digit())
}

/// The leading run of digits or of anything else, and the rest.
fn chunk(s: &str) -> (&str, &str) {
    let digits = is_number(s);
    s.split_at(s.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(s.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_text_sort_as_numbers() {
        let mut v = ["cpu10", "cpu2", "cpu", "1.10", "1.9", "02", "2"];
        v.sort_by(|a, b| natural(a, b));
        assert_eq!(v, ["1.9", "1.10", "2", "02", "cpu", "cpu2", "cpu10"]);
    }
}
