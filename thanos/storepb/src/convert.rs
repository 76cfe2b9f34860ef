//! Between wire and model. Nothing here trusts the wire: lengths are checked, text was checked by prost.

use std::sync::Arc;

use thanos_model::histogram::{BucketSpan, FloatHistogram, ResetHint};
use thanos_model::{Label, Labels, MatchOp, Matcher, MatcherError, Sample};

use crate::{prompb, storepb};

/// Wire labels to a label set; sorting and duplicates are repaired as [`Labels::new`] says.
pub fn labels_from_wire(labels: &[storepb::Label]) -> Labels {
    Labels::new(labels.iter().map(|l| Label::new(l.name.as_str(), l.value.as_str())))
}

/// The same, sharing every text that is also in `before`: of a sorted stream's next series that is nearly all.
pub fn labels_from_wire_after(labels: &[storepb::Label], before: &Labels) -> Labels {
    let mut before = before.iter().peekable();
    Labels::new(labels.iter().map(|l| {
        while before.next_if(|b| *b.name < *l.name).is_some() {}
        match before.peek().filter(|b| *b.name == *l.name) {
            Some(b) if *b.value == *l.value => (*b).clone(),
            Some(b) => Label::new(b.name.clone(), l.value.as_str()),
            None => Label::new(l.name.as_str(), l.value.as_str()),
        }
    }))
}

/// A label set to wire labels.
pub fn labels_to_wire(labels: &Labels) -> Vec<storepb::Label> {
    labels.iter().map(|l| storepb::Label { name: l.name.to_string(), value: l.value.to_string() }).collect()
}

/// Wire matchers to compiled ones.
///
/// # Errors
/// A pattern does not compile.
pub fn matchers_from_wire(matchers: &[storepb::LabelMatcher]) -> Result<Vec<Matcher>, MatcherError> {
    use storepb::label_matcher::Type;
    matchers
        .iter()
        .map(|m| {
            let op = match m.r#type() {
                Type::Eq => MatchOp::Equal,
                Type::Neq => MatchOp::NotEqual,
                Type::Re => MatchOp::Regex,
                Type::Nre => MatchOp::NotRegex,
            };
            Matcher::new(m.name.as_str(), op, m.value.as_str())
        })
        .collect()
}

/// Matchers to the wire.
pub fn matchers_to_wire(matchers: &[Matcher]) -> Vec<storepb::LabelMatcher> {
    use storepb::label_matcher::Type;
    matchers
        .iter()
        .map(|m| storepb::LabelMatcher {
            r#type: match m.op {
                MatchOp::Equal => Type::Eq,
                MatchOp::NotEqual => Type::Neq,
                MatchOp::Regex => Type::Re,
                MatchOp::NotRegex => Type::Nre,
            }
            .into(),
            name: m.name.to_string(),
            value: m.value.to_string(),
        })
        .collect()
}

/// A remote-write histogram to the model's float form.
///
/// # Errors
/// A sentence: spans and buckets disagree, or a span is larger than the buckets sent.
pub fn histogram_from_wire(h: &prompb::Histogram) -> Result<Sample, String> {
    use prompb::histogram::{Count, ResetHint as Wire, ZeroCount};
    let float = matches!(h.count, Some(Count::CountFloat(_)));
    let side = |name: &str, spans: &[prompb::BucketSpan], deltas: &[i64], counts: &[f64]| {
        let buckets: Vec<f64> = if float {
            counts.to_vec()
        } else {
            let mut at = 0i64;
            let absolute = deltas.iter().map(|d| {
                at = at.wrapping_add(*d);
                at as f64
            });
            absolute.collect()
        };
        let expected: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
        if expected != buckets.len() as u64 {
            return Err(format!("{name} spans cover {expected} buckets, {} were sent", buckets.len()));
        }
        let spans = spans.iter().map(|s| BucketSpan { offset: s.offset, length: s.length }).collect();
        Ok((spans, buckets))
    };
    let (positive_spans, positive_buckets) =
        side("positive", &h.positive_spans, &h.positive_deltas, &h.positive_counts)?;
    let (negative_spans, negative_buckets) =
        side("negative", &h.negative_spans, &h.negative_deltas, &h.negative_counts)?;
    let model = FloatHistogram {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: match h.zero_count {
            Some(ZeroCount::ZeroCountInt(n)) => n as f64,
            Some(ZeroCount::ZeroCountFloat(n)) => n,
            None => 0.0,
        },
        count: match h.count {
            Some(Count::CountInt(n)) => n as f64,
            Some(Count::CountFloat(n)) => n,
            None => 0.0,
        },
        sum: h.sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values: h.custom_values.clone(),
        reset_hint: match h.reset_hint() {
            Wire::Unknown => ResetHint::Unknown,
            Wire::Yes => ResetHint::Reset,
            Wire::No => ResetHint::NotReset,
            Wire::Gauge => ResetHint::Gauge,
        },
    };
    Ok(Sample::histogram(h.timestamp, Arc::new(model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_changes_no_labels() {
        let sets: [&[(&str, &str)]; 6] = [
            &[],
            &[("a", "1"), ("b", "2"), ("d", "4")],
            &[("b", "2"), ("c", "3"), ("d", "5")],
            &[("d", "4"), ("b", "2"), ("a", "1")],
            &[("b", "1"), ("b", "2"), ("b", "2")],
            &[("a", ""), ("b", "2")],
        ];
        let label =
            |(name, value): &(&str, &str)| storepb::Label { name: (*name).into(), value: (*value).into() };
        for wire in sets.map(|set| set.iter().map(label).collect::<Vec<_>>()) {
            for before in sets.map(|set| Labels::from_pairs(set.iter().copied())) {
                assert_eq!(labels_from_wire_after(&wire, &before), labels_from_wire(&wire), "{before}");
            }
        }
    }

    #[test]
    fn texts_that_came_before_are_shared() {
        let wire = |le: &str| labels_to_wire(&Labels::from_pairs([("le", le), ("pod", "web-0")]));
        let before = labels_from_wire(&wire("1"));
        let after = labels_from_wire_after(&wire("2"), &before);
        let shared: Vec<_> = (before.iter().zip(&after))
            .map(|(a, b)| (Arc::ptr_eq(&a.name, &b.name), Arc::ptr_eq(&a.value, &b.value)))
            .collect();
        assert_eq!(shared, [(true, false), (true, true)]);
    }

    #[test]
    fn a_histogram_whose_spans_lie_is_refused() {
        let h = prompb::Histogram {
            positive_spans: vec![prompb::BucketSpan { offset: 0, length: u32::MAX }],
            positive_deltas: vec![1],
            ..Default::default()
        };
        assert!(histogram_from_wire(&h).unwrap_err().contains("4294967295"));
    }

    #[test]
    fn integer_deltas_become_absolute_counts() {
        let h = prompb::Histogram {
            count: Some(prompb::histogram::Count::CountInt(6)),
            positive_spans: vec![prompb::BucketSpan { offset: 0, length: 3 }],
            positive_deltas: vec![1, 1, 1],
            timestamp: 7,
            ..Default::default()
        };
        let s = histogram_from_wire(&h).unwrap();
        let thanos_model::Value::Histogram(m) = &s.value else { panic!("not a histogram") };
        assert_eq!((s.t_ms, m.positive_buckets.as_slice()), (7, &[1.0, 2.0, 3.0][..]));
    }
}
