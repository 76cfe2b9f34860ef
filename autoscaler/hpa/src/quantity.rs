//! Text of quantities, as the API server writes them into a status.

/// Which family of suffixes is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Powers of 1024, where that is exact and at least 1024.
    BinarySi,
    /// Powers of 1000.
    DecimalSi,
}

impl Format {
    /// Memory is shown in powers of 1024, everything else in powers of 1000.
    ///
    /// Upstream: `horizontal.go`, `buildQuantity`.
    #[must_use]
    pub fn of(resource: &str) -> Self {
        if resource == "memory" { Self::BinarySi } else { Self::DecimalSi }
    }
}

/// The canonical text of `milli` thousandths: no fraction, the largest suffix that is exact.
///
/// ```
/// use autoscaler_hpa::quantity::{Format, text};
/// assert_eq!(text(1500, Format::DecimalSi), "1500m");
/// assert_eq!(text(2_048_000, Format::BinarySi), "2Ki");
/// ```
///
/// Upstream: apimachinery `pkg/api/resource`, `Quantity.CanonicalizeBytes`.
#[must_use]
pub fn text(milli: i64, format: Format) -> String {
    let whole = milli / 1000;
    let (number, times, suffixes): (i64, usize, &[&str]) =
        if format == Format::BinarySi && milli % 1000 == 0 && whole.unsigned_abs() >= 1024 {
            let (number, times) = without_factors(whole, 1024);
            (number, times, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
        } else {
            let (number, times) = without_factors(milli, 1000);
            (number, times, &["m", "", "k", "M", "G", "T", "P", "E"])
        };
    if number == 0 {
        return "0".to_owned();
    }
    // An i64 holds 1000 six times and 1024 six times, so that there is a suffix for every count.
    format!("{number}{}", suffixes.get(times).copied().unwrap_or_default())
}

/// `n` without its factors of `base`, and how many they were.
fn without_factors(mut n: i64, base: i64) -> (i64, usize) {
    let mut times = 0;
    while n != 0 && n % base == 0 {
        n /= base;
        times += 1;
    }
    (n, times)
}
