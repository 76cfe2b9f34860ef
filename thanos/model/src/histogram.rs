//! Native histograms with float counts, the one form that the engine computes with; integer histograms
//! convert on the way in. Layout and names follow Prometheus `model/histogram/float_histogram.go`.

/// What is known about a counter reset at this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// To be found by comparing with the sample before.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// No reset happened.
    NotReset,
    /// Not a counter.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Gap to the span before; for the first span the index of its first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// Schema of a histogram whose upper bounds are listed (`custom_values`), such as a classic one.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A histogram of absolute bucket counts.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// -4..=8: each bucket is 2^(2^-schema) wide; [`CUSTOM_BUCKETS_SCHEMA`]: bounds in `custom_values`.
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<BucketSpan>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<BucketSpan>,
    /// Counts, one per positive bucket.
    pub positive_buckets: Vec<f64>,
    /// Counts, one per negative bucket.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds, ascending, without +Inf; only with [`CUSTOM_BUCKETS_SCHEMA`].
    pub custom_values: Vec<f64>,
    /// Reset knowledge; not part of equality, as in Prometheus.
    pub reset_hint: ResetHint,
}

/// Bit equality of every number: NaN equals itself, 0 differs from -0.
impl PartialEq for FloatHistogram {
    fn eq(&self, o: &Self) -> bool {
        fn bits(a: &[f64], b: &[f64]) -> bool {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        self.schema == o.schema
            && bits(
                &[self.zero_threshold, self.zero_count, self.count, self.sum],
                &[o.zero_threshold, o.zero_count, o.count, o.sum],
            )
            && self.positive_spans == o.positive_spans
            && self.negative_spans == o.negative_spans
            && bits(&self.positive_buckets, &o.positive_buckets)
            && bits(&self.negative_buckets, &o.negative_buckets)
            && bits(&self.custom_values, &o.custom_values)
    }
}
