//! A native histogram as Prometheus writes it (`util/jsonutil`): count, sum and the buckets that are not empty,
//! each as `[boundaries, lower, upper, count]`; boundaries 0 is `(lower, upper]`, 1 `[lower, upper)`, 2 both
//! open, 3 both closed.

use thanos_model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, FloatHistogram};

use super::{array, float};

pub(super) fn write(out: &mut String, h: &FloatHistogram) {
    out.push_str(r#"{"count":"#);
    float(out, h.count);
    out.push_str(r#","sum":"#);
    float(out, h.sum);
    let mut buckets = buckets(h).filter(|b| b.count != 0.0).peekable();
    if buckets.peek().is_some() {
        out.push_str(r#","buckets":"#);
        array(out, buckets, |out, b| {
            out.push('[');
            out.push(char::from(b'0' + b.boundaries));
            for v in [b.lower, b.upper, b.count] {
                out.push(',');
                float(out, v);
            }
            out.push(']');
        });
    }
    out.push('}');
}

struct Bucket {
    boundaries: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

/// All buckets from the lowest bound to the highest.
fn buckets(h: &FloatHistogram) -> impl Iterator<Item = Bucket> {
    let custom = h.schema == CUSTOM_BUCKETS_SCHEMA;
    let bound = move |i: i64| if custom { custom_bound(h, i) } else { exponential_bound(h.schema, i) };
    // A bucket that the zero bucket reaches into begins where that ends.
    let zero = h.zero_threshold;
    let inner = move |v: f64| if !custom && zero > v { zero } else { v };
    let negative: Vec<Bucket> = indexed(&h.negative_spans, &h.negative_buckets)
        .map(|(i, count)| Bucket { boundaries: 1, lower: -bound(i), upper: -inner(bound(i - 1)), count })
        .collect();
    let zero = (h.zero_count != 0.0).then_some(Bucket {
        boundaries: 3,
        lower: -zero,
        upper: zero,
        count: h.zero_count,
    });
    let positive = indexed(&h.positive_spans, &h.positive_buckets).map(move |(i, count)| Bucket {
        boundaries: if custom && i == 0 { 3 } else { 0 },
        lower: inner(bound(i - 1)),
        upper: bound(i),
        count,
    });
    negative.into_iter().rev().chain(zero).chain(positive)
}

/// `(bucket index, count)` of one side.
fn indexed<'a>(spans: &'a [BucketSpan], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0i64;
    let indexes = spans.iter().flat_map(move |s| {
        let from = next + i64::from(s.offset);
        next = from + i64::from(s.length);
        from..next
    });
    indexes.zip(counts.iter().copied())
}

fn custom_bound(h: &FloatHistogram, i: i64) -> f64 {
    match usize::try_from(i) {
        Err(_) => f64::NEG_INFINITY,
        Ok(i) => h.custom_values.get(i).copied().unwrap_or(f64::INFINITY),
    }
}

/// Upper bound of bucket `i`: 2^(i·2^-schema), exact wherever that is a power of two.
fn exponential_bound(schema: i32, i: i64) -> f64 {
    let exponent = i.clamp(-(1 << 40), 1 << 40) as f64 * f64::from(-schema.clamp(-10, 20)).exp2();
    // The last finite bucket ends at the largest number, so that infinity has one of its own.
    if exponent == 1024.0 { f64::MAX } else { exponent.exp2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_come_in_order_with_their_boundaries() {
        let h = FloatHistogram {
            schema: 0,
            zero_threshold: 0.5,
            zero_count: 12.0,
            count: 42.0,
            sum: 34593.34,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: 1, length: 1 }],
            positive_buckets: vec![21.0, 0.0, 6.0],
            negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
            negative_buckets: vec![3.0],
            ..FloatHistogram::default()
        };
        let mut out = String::new();
        write(&mut out, &h);
        assert_eq!(
            out,
            r#"{"count":"42","sum":"34593.34","buckets":[[1,"-1","-0.5","3"],[3,"-0.5","0.5","12"],[0,"0.5","1","21"],[0,"4","8","6"]]}"#
        );
    }

    #[test]
    fn custom_bounds_are_used_as_given() {
        let h = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![5.0, 10.0],
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            ..FloatHistogram::default()
        };
        let mut out = String::new();
        write(&mut out, &h);
        assert!(out.ends_with(r#"[[3,"-Inf","5","1"],[0,"5","10","2"],[0,"10","+Inf","3"]]}"#), "{out}");
    }
}
