//! From a world that broke something to the least of it that still does.

use crate::schedule::{Fault, Schedule};

/// A kind of fault that can be had in milder forms.
pub trait Kind: Clone {
    /// The next milder forms, the mildest first; none by default.
    fn milder(&self) -> Vec<Self> {
        Vec::new()
    }
}

/// The least schedule that was found to still fail, with at most `tries` further runs of the world.
///
/// Faults go in halves, quarters and so on down to single ones; those that are left become shorter from either end, and
/// then milder. All this changes nothing for the faults that stay: their randomness is their names'.
pub fn shrink<K: Kind>(
    failing: &Schedule<K>,
    tries: usize,
    mut fails: impl FnMut(&Schedule<K>) -> bool,
) -> Schedule<K> {
    let mut least = failing.clone();
    let mut left = tries;
    let mut still_fails = |candidate: &Schedule<K>| {
        let may = left > 0;
        left = left.saturating_sub(1);
        may && fails(candidate)
    };
    let mut size = least.faults.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < least.faults.len() {
            let mut candidate = least.clone();
            candidate.faults.drain(at..(at + size).min(least.faults.len()));
            if still_fails(&candidate) { least = candidate } else { at += size }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    for i in 0..least.faults.len() {
        while let Some(simpler) = least.faults.get(i).map(simpler) {
            let found = simpler.into_iter().find_map(|fault| {
                let mut candidate = least.clone();
                *candidate.faults.get_mut(i)? = fault;
                still_fails(&candidate).then_some(candidate)
            });
            let Some(found) = found else { break };
            least = found;
        }
    }
    least
}

/// No fault is tried in a shorter form than this, in milliseconds.
const SHORTEST_MS: u64 = 100;

fn simpler<K: Kind>(fault: &Fault<K>) -> Vec<Fault<K>> {
    let mut all = Vec::new();
    let half = fault.lasts_ms() / 2;
    if half >= SHORTEST_MS {
        all.push(Fault { to_ms: fault.from_ms + half, ..fault.clone() });
        all.push(Fault { from_ms: fault.from_ms + half, ..fault.clone() });
    }
    all.extend(fault.kind.milder().into_iter().map(|kind| Fault { kind, ..fault.clone() }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Kind for u64 {
        fn milder(&self) -> Vec<Self> {
            if *self > 0 { vec![self / 2, self - 1] } else { Vec::new() }
        }
    }

    fn fault(i: usize, kind: u64) -> Fault<u64> {
        Fault { name: format!("f{i}"), kind, from_ms: 1000, to_ms: 9000 }
    }

    proptest! {
        /// Two of many are needed, one of them at least so strong.
        #[test]
        fn what_is_not_needed_goes(count in 2_usize..40, a: usize, b: usize, strength in 0_u64..50) {
            let (a, b) = (a % count, b % count);
            let all = Schedule { faults: (0..count).map(|i| fault(i, 60)).collect() };
            let (first, second) = (format!("f{a}"), format!("f{b}"));
            let fails = |s: &Schedule<u64>| {
                let has = |name: &str, least: u64| s.faults.iter().any(|f| f.name == name && f.kind >= least && f.is_on(4000));
                has(&first, 0) && has(&second, strength)
            };
            let least = shrink(&all, 10_000, fails);
            prop_assert!(fails(&least));
            prop_assert_eq!(least.faults.len(), if a == b { 1 } else { 2 });
            for fault in &least.faults {
                prop_assert!(fault.lasts_ms() < 2 * SHORTEST_MS, "{:?}", fault);
                prop_assert_eq!(fault.kind, if fault.name == second { strength } else { 0 });
            }
        }
    }

    #[test]
    fn it_ends_with_what_it_has_when_it_may_try_no_more() {
        let all = Schedule { faults: (0..8).map(|i| fault(i, 1)).collect() };
        let mut runs = 0;
        let least = shrink(&all, 1, |_| {
            runs += 1;
            true
        });
        assert_eq!((runs, least.faults.len()), (1, 4));
        assert_eq!(shrink(&all, 0, |_| true), all);
    }
}
