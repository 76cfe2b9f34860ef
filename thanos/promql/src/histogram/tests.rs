use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, offset: i32, counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        sum: 10.0,
        positive_spans: vec![BucketSpan { offset, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

#[test]
fn adds_at_the_lower_resolution_and_keeps_every_observation() {
    let mut h = Hist::from(&exponential(1, 1, &[1.0, 2.0, 3.0, 4.0]));
    assert_eq!(h.add(&exponential(0, 0, &[5.0, 6.0])), Ok(Merged::default()));
    let h = h.finish();
    assert_eq!((h.schema, h.count), (0, 21.0));
    assert_eq!(h.positive_buckets, [5.0, 9.0, 7.0]);
}

#[test]
fn a_wider_zero_bucket_swallows_populated_buckets_whole() {
    let wide = FloatHistogram { zero_threshold: 1.5, zero_count: 1.0, count: 1.0, ..exponential(0, 0, &[]) };
    let mut h = Hist::from(&exponential(0, 0, &[1.0, 2.0, 4.0]));
    h.add(&wide).unwrap();
    let h = h.finish();
    assert_eq!((h.zero_threshold, h.zero_count), (2.0, 4.0));
    assert_eq!(h.positive_buckets, [4.0]);
}

#[test]
fn a_lost_bucket_or_a_higher_resolution_is_a_reset() {
    let before = exponential(0, 0, &[1.0, 1.0]);
    for (now, want) in [
        (exponential(0, 0, &[1.0, 1.0]), false),
        (exponential(0, 0, &[2.0, 0.5]), true),
        (exponential(0, 1, &[3.0]), true),
        (exponential(1, 0, &[9.0, 9.0, 9.0]), true),
        (exponential(-1, 0, &[1.0, 1.0]), false),
    ] {
        assert_eq!(is_reset(&now, &before), want, "{now:?}");
    }
}

#[test]
fn quantile_and_fraction_invert_each_other() {
    let h = exponential(0, 1, &[1.0, 2.0, 1.0]);
    let (v, _) = quantile(0.5, &h);
    assert!((v - 8.0_f64.sqrt()).abs() < 1e-12, "{v}");
    assert!((fraction(f64::NEG_INFINITY, v, &h).0 - 0.5).abs() < 1e-12);
}

fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let spans = || prop::collection::vec((any::<i32>(), 0u32..6), 0..4);
    let counts = || prop::collection::vec(any::<f64>(), 0..8);
    (-60i32..20, any::<f64>(), any::<f64>(), any::<f64>(), spans(), counts(), spans(), counts(), counts())
        .prop_map(|(schema, zero_threshold, zero_count, count, p, pc, n, nc, custom_values)| {
            let spans = |s: Vec<(i32, u32)>| {
                s.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect()
            };
            FloatHistogram {
                schema: if schema < -50 { CUSTOM_BUCKETS_SCHEMA } else { schema },
                zero_threshold,
                zero_count,
                count,
                sum: 1.0,
                positive_spans: spans(p),
                positive_buckets: pc,
                negative_spans: spans(n),
                negative_buckets: nc,
                custom_values,
                reset_hint: ResetHint::Unknown,
            }
        })
}

proptest! {
    #[test]
    fn garbage_never_panics_or_hangs(a in any_histogram(), b in any_histogram(), v in any::<f64>(), q in 0.0..1.0) {
        let mut h = Hist::from(&a);
        let _ = h.add(&b);
        let _ = h.sub(&b);
        h.mul(v);
        h.div(v);
        let _ = is_reset(&h.finish(), &a);
        let _ = (quantile(q, &b), fraction(v, q, &b), variance(&b), describe(&b), same(&a, &b));
        let _ = Hist::trimmed(&a, v, trim::Keep::Below);
        let _ = Hist::trimmed(&a, v, trim::Keep::Above);
    }
}
