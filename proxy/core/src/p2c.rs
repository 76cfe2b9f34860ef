//! Power of two choices (Mitzenmacher 2001): look at two endpoints drawn at random, take the less loaded.
//!
//! Taking the least loaded of all would send every proxy of a mesh to the same endpoint at the same moment.

/// Two distinct indices below `n`, uniform for a uniform `random`. `None` if `n` is under two.
pub fn pair(n: usize, random: u64) -> Option<(usize, usize)> {
    if n < 2 {
        return None;
    }
    let a = scale(random as u32, n);
    // One of the other n-1, by its distance from the first.
    let b = (a + 1 + scale((random >> 32) as u32, n - 1)) % n;
    Some((a, b))
}

/// Chooses among `n` endpoints by `cost`; an endpoint without a cost is avoided while any other has one.
/// `None` only if there are no endpoints.
pub fn choose(n: usize, random: u64, cost: impl Fn(usize) -> Option<f64>) -> Option<usize> {
    let Some((a, b)) = pair(n, random) else {
        return (n == 1).then_some(0);
    };
    match (cost(a), cost(b)) {
        (Some(x), Some(y)) => Some(if y < x { b } else { a }),
        (Some(_), None) => Some(a),
        (None, Some(_)) => Some(b),
        // Both are avoided: any that is not, else the first drawn, because trying beats refusing.
        (None, None) => Some((1..n).map(|i| (a + i) % n).find(|i| cost(*i).is_some()).unwrap_or(a)),
    }
}

/// Maps 32 random bits to `0..n` (Lemire's multiply-shift).
fn scale(random: u32, n: usize) -> usize {
    ((u64::from(random) * n as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pair_is_distinct_and_in_range(n in 2usize..5000, random: u64) {
            let (a, b) = pair(n, random).unwrap();
            prop_assert!(a < n && b < n && a != b);
        }

        #[test]
        fn never_an_avoided_one_while_another_is_not(
            avoided in proptest::collection::vec(any::<bool>(), 1..20), random: u64
        ) {
            let chosen = choose(avoided.len(), random, |i| (!avoided[i]).then_some(1.0)).unwrap();
            prop_assert!(!avoided[chosen] || avoided.iter().all(|a| *a));
        }

        #[test]
        fn never_the_most_loaded_of_three(random: u64) {
            prop_assert_ne!(choose(3, random, |i| Some([1.0, 2.0, 3.0][i])), Some(2));
        }
    }

    #[test]
    fn none_and_one() {
        assert_eq!(choose(0, 7, |_| Some(1.0)), None);
        assert_eq!(choose(1, 7, |_| None), Some(0));
    }

    #[test]
    fn equal_costs_spread_evenly() {
        let mut hits = [0u32; 5];
        for i in 0..50_000 {
            hits[choose(5, mix(i), |_| Some(1.0)).unwrap()] += 1;
        }
        assert!(hits.iter().all(|h| (9_500..10_500).contains(h)), "{hits:?}");
    }
}
