//! Power of two choices (Mitzenmacher 2001): look at two endpoints drawn at random, take the less loaded.
//!
//! Taking the least loaded of all would send every proxy of a mesh to the same endpoint at the same moment.
//!
//! Endpoints that are out are passed over while another is in. Where most are out, they compete again: a few
//! survivors would not carry what all did, and a fault that all share is none that avoiding cures. An endpoint that is
//! due (a probe, or its first request) goes first wherever it is drawn, for it is one request and the sooner the better.

use crate::random::mix;

/// What may be done with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Wants one request, whatever it costs.
    Due,
    /// By its cost.
    Ready,
    /// By its cost, but rather any that is ready: a newcomer that sits this choice out, unless the other is much worse.
    Resting,
    /// Rather none.
    Out,
    /// This request failed there already.
    Tried,
}

/// A newcomer sits no choice out where it is so many times cheaper: it was brought because the others are overloaded.
const RELIEF: f64 = 10.0;

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

/// Endpoints that are drawn in proportion to their weights.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Sums up to and with each.
    ends: Vec<u64>,
}

impl Weights {
    /// `None` where all weigh the same: then [`pair`] does.
    pub fn new(weights: impl Iterator<Item = u32>) -> Option<Self> {
        let (mut ends, mut sum, mut first, mut differ) = (Vec::new(), 0u64, None, false);
        for weight in weights {
            differ |= *first.get_or_insert(weight) != weight;
            sum += u64::from(weight.max(1));
            ends.push(sum);
        }
        differ.then_some(Self { ends })
    }

    /// Two distinct indices: the first by its weight, the second by its weight among the others.
    pub fn pair(&self, random: u64) -> Option<(usize, usize)> {
        let total = *self.ends.last()?;
        let at = |x: u64| self.ends.partition_point(|end| *end <= x);
        let a = at(scale_u64(random as u32, total));
        let (start, end) = (a.checked_sub(1).map_or(0, |i| self.end(i)), self.end(a));
        let x = scale_u64((random >> 32) as u32, total - (end - start));
        let b = at(if x >= start { x + (end - start) } else { x });
        (a < self.ends.len() && b < self.ends.len() && a != b).then_some((a, b))
    }

    fn end(&self, i: usize) -> u64 {
        self.ends.get(i).copied().unwrap_or(0)
    }
}

/// Chooses among `n` endpoints, of which `drawn` were drawn, by what may be done with them and by `cost`. `None` only
/// if there are no endpoints.
pub fn choose(
    n: usize,
    drawn: Option<(usize, usize)>,
    random: u64,
    candidate: impl Fn(usize) -> Candidate,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    let Some((a, b)) = drawn.filter(|(a, b)| *a < n && *b < n) else {
        return (n > 0).then_some(0);
    };
    let cheaper = |a: usize, b: usize| if cost(b) < cost(a) { b } else { a };
    use Candidate::{Due, Out, Ready, Resting, Tried};
    Some(match (candidate(a), candidate(b)) {
        (Due, _) => a,
        (_, Due) => b,
        (Ready, Ready) | (Resting, Resting) => cheaper(a, b),
        (Ready, Resting) if cost(b) * RELIEF < cost(a) => b,
        (Resting, Ready) if cost(a) * RELIEF < cost(b) => a,
        (Ready, _) | (Resting, Out | Tried) => a,
        (_, Ready) | (Out | Tried, Resting) => b,
        (x @ (Out | Tried), y @ (Out | Tried)) => {
            // The cheaper of the two that is not tried.
            let out = match (x, y) {
                (Out, Out) => Some(cheaper(a, b)),
                (Out, _) => Some(a),
                (_, Out) => Some(b),
                _ => None,
            };
            others(n, a, out, mix(random), &candidate, &cost)
        }
    })
}

/// Neither of the two that were drawn is in; `out` is the better of them.
fn others(
    n: usize,
    a: usize,
    out: Option<usize>,
    random: u64,
    candidate: impl Fn(usize) -> Candidate,
    cost: impl Fn(usize) -> f64,
) -> usize {
    let from_a = || (0..n).map(|i| (a + i) % n);
    let is_in = |i: &usize| matches!(candidate(*i), Candidate::Ready | Candidate::Resting);
    let (mut ins, mut outs, mut due, mut first_out) = (0usize, 0usize, None, out);
    for i in from_a() {
        match candidate(i) {
            Candidate::Ready | Candidate::Resting => ins += 1,
            Candidate::Due => due = due.or(Some(i)),
            Candidate::Out => {
                outs += 1;
                first_out = first_out.or(Some(i));
            }
            Candidate::Tried => {}
        }
    }
    // Of those that are in, two at random again.
    let nth = |k: usize| from_a().filter(is_in).nth(k);
    let good = match pair(ins, random) {
        Some((x, y)) => match (nth(x), nth(y)) {
            (Some(x), Some(y)) => Some(if cost(y) < cost(x) { y } else { x }),
            // Changed meanwhile.
            (x, y) => x.or(y),
        },
        None => nth(0),
    };
    match (good, first_out) {
        (Some(good), Some(out)) if outs > ins && cost(out) < cost(good) => out,
        (Some(good), _) => good,
        // Trying beats refusing.
        (None, out) => due.or(out).unwrap_or(a),
    }
}

/// Maps 32 random bits to `0..n` (Lemire's multiply-shift).
fn scale(random: u32, n: usize) -> usize {
    scale_u64(random, n as u64) as usize
}

fn scale_u64(random: u32, n: u64) -> u64 {
    ((u128::from(random) * u128::from(n)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use Candidate::{Due, Out, Ready, Resting, Tried};
    use proptest::prelude::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = prop_oneof![Just(Due), Just(Ready), Just(Resting), Just(Out), Just(Tried)];
        proptest::collection::vec(one, 1..20)
    }

    proptest! {
        #[test]
        fn a_pair_is_distinct_and_in_range(n in 2usize..5000, random: u64) {
            let (a, b) = pair(n, random).unwrap();
            prop_assert!(a < n && b < n && a != b);
        }

        #[test]
        fn some_is_always_chosen_and_the_worse_only_for_want_of_a_better(of in candidates(), random: u64) {
            let chosen = of[choose(of.len(), pair(of.len(), random), random, |i| of[i], |_| 1.0).unwrap()];
            let count = |c: Candidate| of.iter().filter(|x| **x == c).count();
            if of.len() > 1 && chosen == Tried {
                prop_assert_eq!(count(Tried), of.len());
            }
            if of.len() > 1 && chosen == Out {
                let ins = count(Ready) + count(Resting);
                prop_assert!(ins + count(Due) == 0 || count(Out) > ins);
            }
        }

        #[test]
        fn never_the_most_loaded_of_three(random: u64) {
            prop_assert_ne!(choose(3, pair(3, random), random, |_| Ready, |i| [1.0, 2.0, 3.0][i]), Some(2));
        }

        #[test]
        fn whoever_is_due_goes_first_where_it_is_drawn(random: u64) {
            let (a, b) = pair(9, random).unwrap();
            let of = |i| if i == 4 { Due } else { Ready };
            let chosen = choose(9, pair(9, random), random, of, |i| if i == 4 { 1e9 } else { 1.0 });
            prop_assert_eq!(chosen == Some(4), a == 4 || b == 4);
        }
    }

    proptest! {
        #[test]
        fn a_weighted_pair_is_distinct_and_in_range(weights in proptest::collection::vec(any::<u32>(), 2..50), random: u64) {
            if let Some(w) = Weights::new(weights.iter().copied()) {
                let (a, b) = w.pair(random).unwrap();
                prop_assert!(a < weights.len() && b < weights.len() && a != b);
            }
        }
    }

    #[test]
    fn equal_costs_are_shared_by_weight() {
        assert!(Weights::new([5, 5, 5].into_iter()).is_none());
        let weights = Weights::new([10_000, 10_000, 5_000, 1_000].into_iter()).unwrap();
        let mut hits = [0u32; 4];
        for i in 0..52_000 {
            hits[choose(4, weights.pair(mix(i)), mix(i), |_| Ready, |_| 1.0).unwrap()] += 1;
        }
        for (hit, expected) in hits.into_iter().zip([20_000u32, 20_000, 10_000, 2_000]) {
            assert!(hit.abs_diff(expected) < 600, "{hits:?}");
        }
    }

    fn hits<const N: usize>(candidate: impl Fn(usize) -> Candidate, cost: impl Fn(usize) -> f64) -> [u32; N] {
        let mut hits = [0u32; N];
        for i in 0..50_000 {
            hits[choose(N, pair(N, mix(i)), mix(i), &candidate, &cost).unwrap()] += 1;
        }
        hits
    }

    #[test]
    fn none_and_one() {
        assert_eq!(choose(0, pair(0, 7), 7, |_| Ready, |_| 1.0), None);
        assert_eq!(choose(1, pair(1, 7), 7, |_| Tried, |_| 1.0), Some(0));
    }

    #[test]
    fn who_rests_is_chosen_only_where_the_other_is_much_worse() {
        let hits_at = |cost: f64| {
            hits::<2>(|i| if i == 0 { Ready } else { Resting }, |i| if i == 0 { cost } else { 1.0 })
        };
        assert_eq!((hits_at(9.0)[1], hits_at(11.0)[1]), (0, 50_000));
    }

    #[test]
    fn equal_costs_spread_evenly() {
        let hits = hits::<5>(|_| Ready, |_| 1.0);
        assert!(hits.iter().all(|h| (9_500..10_500).contains(h)), "{hits:?}");
    }

    #[test]
    fn those_who_are_in_share_what_would_have_gone_to_those_who_are_out() {
        let hits = hits::<6>(|i| if i < 3 { Out } else { Ready }, |_| 1.0);
        assert_eq!(hits[..3], [0, 0, 0]);
        assert!(hits[3..].iter().all(|h| (15_700..17_700).contains(h)), "{hits:?}");
    }

    #[test]
    fn where_most_are_out_they_get_what_the_others_do_not_carry() {
        let busy =
            |load: f64| hits::<4>(|i| if i < 3 { Out } else { Ready }, |i| if i < 3 { 10.0 } else { load });
        let (idle, loaded) = (busy(1.0), busy(11.0));
        assert_eq!(idle[3], 50_000, "{idle:?}");
        assert!((24_000..26_000).contains(&loaded[3]), "{loaded:?}");
        let all_out = hits::<4>(|_| Out, |_| 1.0);
        assert!(all_out.iter().all(|h| (11_500..13_500).contains(h)), "{all_out:?}");
    }
}
