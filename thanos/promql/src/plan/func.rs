//! The functions, by what they need: a window of samples, one value, or whole vectors.

/// Functions of a range vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFn {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    DoubleExponentialSmoothing,
    Resets,
    Changes,
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    Present,
    Absent,
    Stddev,
    Stdvar,
    Quantile,
    Mad,
    TsOfFirst,
    TsOfLast,
    TsOfMin,
    TsOfMax,
}

impl RangeFn {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "resets" => Self::Resets,
            "changes" => Self::Changes,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "first_over_time" => Self::First,
            "last_over_time" => Self::Last,
            "present_over_time" => Self::Present,
            "absent_over_time" => Self::Absent,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "quantile_over_time" => Self::Quantile,
            "mad_over_time" => Self::Mad,
            "ts_of_first_over_time" => Self::TsOfFirst,
            "ts_of_last_over_time" => Self::TsOfLast,
            "ts_of_min_over_time" => Self::TsOfMin,
            "ts_of_max_over_time" => Self::TsOfMax,
            _ => return None,
        })
    }

    /// First and last act like an offset, so the result is still the metric that its name says.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// Functions of a native histogram that give a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramFn {
    Count,
    Sum,
    Avg,
    Stddev,
    Stdvar,
}

/// Parts of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DateFn {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// All other functions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Func {
    /// Of each float alone; histograms drop out.
    Math(fn(f64) -> f64),
    /// Of each histogram alone; floats drop out.
    Histogram(HistogramFn),
    Date(DateFn),
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Absent,
    Scalar,
    Vector,
    Time,
    Pi,
    MinOf,
    MaxOf,
    /// Start, end, width and step of the query, in seconds.
    QueryStart,
    QueryEnd,
    QueryRange,
    QueryStep,
    Timestamp,
    Sort,
    SortDesc,
    SortByLabel,
    SortByLabelDesc,
    LabelReplace,
    LabelJoin,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
}

impl Func {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Math(f64::abs),
            "ceil" => Self::Math(f64::ceil),
            "floor" => Self::Math(f64::floor),
            "exp" => Self::Math(f64::exp),
            "sqrt" => Self::Math(f64::sqrt),
            "ln" => Self::Math(f64::ln),
            "log2" => Self::Math(f64::log2),
            "log10" => Self::Math(f64::log10),
            "sin" => Self::Math(f64::sin),
            "cos" => Self::Math(f64::cos),
            "tan" => Self::Math(f64::tan),
            "asin" => Self::Math(f64::asin),
            "acos" => Self::Math(f64::acos),
            "atan" => Self::Math(f64::atan),
            "sinh" => Self::Math(f64::sinh),
            "cosh" => Self::Math(f64::cosh),
            "tanh" => Self::Math(f64::tanh),
            "asinh" => Self::Math(f64::asinh),
            "acosh" => Self::Math(f64::acosh),
            "atanh" => Self::Math(f64::atanh),
            "rad" => Self::Math(|v| v * std::f64::consts::PI / 180.0),
            "deg" => Self::Math(|v| v * 180.0 / std::f64::consts::PI),
            "sgn" => Self::Math(|v| match v {
                v if v < 0.0 => -1.0,
                v if v > 0.0 => 1.0,
                zero_or_nan => zero_or_nan,
            }),
            "histogram_count" => Self::Histogram(HistogramFn::Count),
            "histogram_sum" => Self::Histogram(HistogramFn::Sum),
            "histogram_avg" => Self::Histogram(HistogramFn::Avg),
            "histogram_stddev" => Self::Histogram(HistogramFn::Stddev),
            "histogram_stdvar" => Self::Histogram(HistogramFn::Stdvar),
            "minute" => Self::Date(DateFn::Minute),
            "hour" => Self::Date(DateFn::Hour),
            "day_of_week" => Self::Date(DateFn::DayOfWeek),
            "day_of_month" => Self::Date(DateFn::DayOfMonth),
            "day_of_year" => Self::Date(DateFn::DayOfYear),
            "days_in_month" => Self::Date(DateFn::DaysInMonth),
            "month" => Self::Date(DateFn::Month),
            "year" => Self::Date(DateFn::Year),
            "round" => Self::Round,
            "clamp" => Self::Clamp,
            "clamp_min" => Self::ClampMin,
            "clamp_max" => Self::ClampMax,
            "absent" => Self::Absent,
            "scalar" => Self::Scalar,
            "vector" => Self::Vector,
            "time" => Self::Time,
            "pi" => Self::Pi,
            "min_of" => Self::MinOf,
            "max_of" => Self::MaxOf,
            "start" => Self::QueryStart,
            "end" => Self::QueryEnd,
            "range" => Self::QueryRange,
            "step" => Self::QueryStep,
            "timestamp" => Self::Timestamp,
            "sort" => Self::Sort,
            "sort_desc" => Self::SortDesc,
            "sort_by_label" => Self::SortByLabel,
            "sort_by_label_desc" => Self::SortByLabelDesc,
            "label_replace" => Self::LabelReplace,
            "label_join" => Self::LabelJoin,
            "histogram_quantile" => Self::HistogramQuantile,
            "histogram_quantiles" => Self::HistogramQuantiles,
            "histogram_fraction" => Self::HistogramFraction,
            _ => return None,
        })
    }
}
