//! Exponential pauses between attempts, with jitter so that many clients do not return at the same moment.

/// Pause before the attempt after `failures` (0 for the first): doubles from `min_ms` up to `max_ms`, and `jitter`,
/// a random number, takes off up to half.
pub fn delay_ms(min_ms: u64, max_ms: u64, failures: u32, jitter: u64) -> u64 {
    let full = min_ms.saturating_mul(1u64.checked_shl(failures).unwrap_or(u64::MAX)).min(max_ms);
    let half = full / 2;
    half + ((u128::from(jitter) * u128::from(full - half)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_to_the_limit() {
        let full: Vec<_> = (0..8).map(|n| delay_ms(100, 5_000, n, u64::MAX).div_ceil(10) * 10).collect();
        assert_eq!(full, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    proptest! {
        #[test]
        fn between_half_and_all(min in 0u64..1_000_000, max: u64, failures: u32, jitter: u64) {
            let d = delay_ms(min, max, failures, jitter);
            let full = delay_ms(min, max, failures, u64::MAX);
            prop_assert!(d <= max && d >= delay_ms(min, max, failures, 0) && d <= full);
        }
    }
}
