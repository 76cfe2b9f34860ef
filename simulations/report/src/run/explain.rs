//! Which decision made a step of replicas: the one that was written from that number to that number at that time. What
//! none made stays unexplained.

use std::collections::BTreeMap;

use super::Target;

/// A change of wanted replicas as it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) at_s: f64,
    pub(super) from: i32,
    pub(super) to: i32,
}

/// A step that no decision is known to have made, and of what.
pub(super) type OpenStep = (Target, Step);

/// A decision that was written, and when its step may have been seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Which; what it is of is the caller's.
    pub(super) index: usize,
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) at_s: f64,
    pub(super) earliest_s: f64,
    pub(super) latest_s: f64,
}

/// Decisions that may together be one step as it was seen: a watch that was cut sees only where they led.
const CHAIN_MAX: usize = 8;

/// For each step, in order of time, the decisions that made it; each decision makes one step.
pub(super) fn explain(steps: &[Step], mut written: Vec<Written>) -> Vec<Vec<usize>> {
    written.retain(|w| w.from != w.to);
    written.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let mut used = vec![false; written.len()];
    let mut out = vec![Vec::new(); steps.len()];
    alone(steps, &written, &mut used, &mut out);
    chains(steps, &written, &mut used, &mut out);
    let index = |i: usize| written.get(i).map(|w| w.index);
    out.into_iter().map(|made_by| made_by.into_iter().filter_map(index).collect()).collect()
}

/// Steps that one decision made. Both are in order of time, so each is looked at once.
fn alone(steps: &[Step], written: &[Written], used: &mut [bool], out: &mut [Vec<usize>]) {
    let mut by_numbers: BTreeMap<(i32, i32), std::collections::VecDeque<usize>> = BTreeMap::new();
    for (i, w) in written.iter().enumerate() {
        by_numbers.entry((w.from, w.to)).or_default().push_back(i);
    }
    for (step, made_by) in steps.iter().zip(out) {
        let Some(waiting) = by_numbers.get_mut(&(step.from, step.to)) else { continue };
        while let Some((i, w)) = waiting.front().and_then(|i| Some((*i, written.get(*i)?))) {
            if w.latest_s >= step.at_s {
                if w.earliest_s <= step.at_s {
                    waiting.pop_front();
                    made_by.push(i);
                    take(used, i);
                }
                break;
            }
            waiting.pop_front();
        }
    }
}

/// Steps that several made, each beginning where the one before ended.
fn chains(steps: &[Step], written: &[Written], used: &mut [bool], out: &mut [Vec<usize>]) {
    // What lies between the first and the last that may fit is short: windows are seconds.
    let mut first = 0;
    for (step, made_by) in steps.iter().zip(out).filter(|(_, made_by)| made_by.is_empty()) {
        while written.get(first).is_some_and(|w| w.latest_s < step.at_s) {
            first += 1;
        }
        let fits = |(i, w): &(usize, &Written)| {
            !used.get(*i).copied().unwrap_or(true) && w.earliest_s <= step.at_s && w.latest_s >= step.at_s
        };
        let near: Vec<(usize, &Written)> =
            written.iter().enumerate().skip(first).take(4 * CHAIN_MAX).filter(fits).take(CHAIN_MAX).collect();
        let chain = (0..near.len()).find_map(|start| chain(near.get(start..)?, step));
        for i in chain.unwrap_or_default() {
            made_by.push(i);
            take(used, i);
        }
    }
}

fn take(used: &mut [bool], i: usize) {
    if let Some(used) = used.get_mut(i) {
        *used = true;
    }
}

fn chain(near: &[(usize, &Written)], step: &Step) -> Option<Vec<usize>> {
    let (mut at, mut links) = (step.from, Vec::new());
    for (i, w) in near {
        if w.from == at {
            links.push(*i);
            at = w.to;
            if at == step.to {
                return Some(links);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(all: &[(i32, i32, f64)]) -> Vec<Written> {
        let one = |(index, (from, to, at_s)): (usize, &(i32, i32, f64))| Written {
            index,
            from: *from,
            to: *to,
            at_s: *at_s,
            earliest_s: at_s - 1.0,
            latest_s: at_s + 5.0,
        };
        all.iter().enumerate().map(one).collect()
    }

    fn steps(all: &[(f64, i32, i32)]) -> Vec<Step> {
        all.iter().map(|(at_s, from, to)| Step { at_s: *at_s, from: *from, to: *to }).collect()
    }

    #[test]
    fn a_step_is_of_the_decision_with_its_numbers_at_its_time() {
        type Case<'a> = (&'a [(f64, i32, i32)], &'a [(i32, i32, f64)], &'a [&'a [usize]]);
        let cases: [Case<'_>; 8] = [
            (&[(10.1, 2, 5), (12.1, 5, 9)], &[(2, 5, 10.0), (5, 9, 12.0)], &[&[0], &[1]]),
            // Neither another number nor another time.
            (&[(10.1, 2, 6)], &[(2, 5, 10.0), (3, 6, 10.0)], &[&[]]),
            (&[(10.1, 2, 5)], &[(2, 5, 30.0)], &[&[]]),
            (&[(30.0, 2, 5)], &[(2, 5, 10.0)], &[&[]]),
            // A decision that holds makes nothing.
            (&[(10.1, 2, 5)], &[(5, 5, 10.1)], &[&[]]),
            // By someone else first, then by the policy: each decision makes one step.
            (&[(10.0, 2, 6), (12.0, 6, 2), (14.1, 2, 6)], &[(2, 6, 14.0)], &[&[], &[], &[0]]),
            (&[(10.1, 2, 6), (11.0, 6, 2), (12.0, 2, 6)], &[(2, 6, 10.0)], &[&[0], &[], &[]]),
            // Seen as one.
            (&[(12.0, 2, 9)], &[(2, 5, 10.0), (4, 9, 10.5), (5, 9, 11.0)], &[&[0, 2]]),
        ];
        for (seen, decided, by) in cases {
            assert_eq!(explain(&steps(seen), written(decided)), by, "{seen:?} {decided:?}");
        }
    }

    #[test]
    fn as_many_as_there_may_be_take_no_more_than_a_look_each() {
        let same: Vec<_> = (0..200_000).map(|_| (2, 6, 5.0)).collect();
        let seen: Vec<_> = (0..200_000).map(|i| (5.0, if i % 2 == 0 { 2 } else { 7 }, 6)).collect();
        let found = explain(&steps(&seen), written(&same));
        assert_eq!(found.iter().filter(|by| !by.is_empty()).count(), 100_000);
    }
}
