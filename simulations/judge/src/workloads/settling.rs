//! How replicas come to rest after a mark: pure functions of step functions over time.
//!
//! A step's response is described as control engineering does (Ogata, *Modern Control Engineering*, §5.3: maximum
//! overshoot, settling time), with the final value in the place of the set point, because a policy's set point is
//! not in replicas. Over the stretch from the mark to the next stage or the end, with w(t) wanted, r(t) ready and
//! w_∞ the wanted value at the stretch's end:
//!
//! ```text
//!  overshoot  max(w after the mark) / w_∞ − 1     upwards; for a way down 1 − min(w) / w_∞
//!  settled    the first t with r(t) = w(t), and |w − w_∞| and |r − w_∞| ≤ max(1, 5 % of w_∞) and r ≥ 1 (where w ≥ 1)
//!             from then on, and r = w at the stretch's end
//! ```

use std::time::Duration;

use simulations_scenario::Scenario;

use super::{Steps, at};
use crate::timeline::{Target, Timeline};

/// How far from the final value still counts as there: this share of it, and at least one replica.
const BAND_SHARE: f64 = 0.05;

/// A stretch: from, to.
pub type Span = (Duration, Duration);

/// From a mark to the next stage's beginning, or the end; none where the mark was not made.
pub fn span(scenario: &Scenario, timeline: &Timeline, after: &str) -> Option<Span> {
    let from = timeline.mark(after)?;
    let stages = scenario.phase_marks().into_iter().filter_map(|(name, _)| timeline.mark(name));
    let next = stages.chain([timeline.end()]).filter(|at| *at > from).min();
    Some((from, next.unwrap_or(from)))
}

/// Wanted replicas over time.
pub fn wanted(timeline: &Timeline, target: &Target) -> Steps {
    timeline.replicas(target).map(|(at, wanted, _)| (at, wanted)).collect()
}

/// How far wanted replicas went beyond where they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overshoot {
    /// Furthest in the direction that they went.
    pub extreme: i32,
    /// At the end.
    pub settled: i32,
}

impl Overshoot {
    /// Of the final value.
    pub fn percent(&self) -> f64 {
        // Of none settled at, every replica is all too many.
        100.0 * f64::from((self.extreme - self.settled).abs()) / f64::from(self.settled.max(1))
    }
}

/// None where nothing was seen.
pub fn overshoot(wanted: &Steps, (from, to): Span) -> Option<Overshoot> {
    let (first, settled) = (at(wanted, from)?, at_end(wanted, to)?);
    // What was wanted at the mark was wanted for another load: only what came after it went too far.
    let after = wanted.iter().filter(|(at, _)| *at > from && *at < to).map(|(_, w)| *w);
    let extreme = match settled >= first {
        true => after.max().unwrap_or(settled).max(settled),
        false => after.min().unwrap_or(settled).min(settled),
    };
    Some(Overshoot { extreme, settled })
}

/// Where and since when replicas are at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Since then, and at the mark at the earliest.
    pub at: Duration,
    /// Wanted at the end.
    pub replicas: i32,
}

/// From `(offset, wanted, ready)`; none where nothing was seen, `Err((wanted, ready))` at the end where they came
/// to no rest.
pub fn settled_at(
    replicas: &[(Duration, i32, i32)],
    (from, to): Span,
) -> Option<Result<Settled, (i32, i32)>> {
    let before = replicas.iter().take_while(|(at, ..)| *at <= from).last().or(replicas.first());
    let before = before.map(|(_, w, r)| (from, *w, *r))?;
    let during = replicas.iter().filter(|(at, ..)| *at > from && *at < to);
    let states: Vec<(Duration, i32, i32)> = std::iter::once(before).chain(during.copied()).collect();
    let (_, last_wanted, last_ready) = *states.last()?;
    let band = (f64::from(last_wanted) * BAND_SHARE).max(1.0);
    let near = |v: i32| f64::from((v - last_wanted).abs()) <= band;
    // Nothing is at rest that is down, and nothing has settled that is not there at the end.
    let up = |w: i32, r: i32| w <= 0 || r >= 1;
    let at_rest = |(_, w, r): &&(Duration, i32, i32)| near(*w) && near(*r) && up(*w, *r);
    let inside = states.iter().rev().take_while(at_rest).count();
    if last_wanted != last_ready {
        return Some(Err((last_wanted, last_ready)));
    }
    let resting = states.iter().skip(states.len() - inside).find(|(_, w, r)| w == r);
    Some(match resting {
        Some((at, ..)) => Ok(Settled { at: *at, replicas: last_wanted }),
        None => Err((last_wanted, last_ready)),
    })
}

/// What was so just before the end of a stretch: what begins there belongs to the next.
fn at_end(steps: &Steps, to: Duration) -> Option<i32> {
    let before = steps.iter().take_while(|(at, _)| *at < to).last();
    before.or(steps.first()).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn overshoot_is_what_went_beyond_the_end_in_the_direction_of_the_change() {
        let span = (s(10), s(60));
        for (wanted, want, percent) in [
            // 2 → 10 by way of 12.
            (&[(0, 2), (12, 12), (20, 10)][..], Some((12, 10)), 20.0),
            // Straight there.
            (&[(0, 2), (12, 6), (14, 10)], Some((10, 10)), 0.0),
            // Down from 20 to 4 by way of 3: what was wanted before is no overshoot.
            (&[(0, 20), (15, 9), (30, 3), (40, 4)], Some((3, 4)), 25.0),
            // Down, straight.
            (&[(0, 20), (15, 9), (30, 4)], Some((4, 4)), 0.0),
            // Back where it was.
            (&[(0, 4), (15, 5), (30, 4)], Some((5, 4)), 25.0),
            // Nothing happened.
            (&[(0, 4)], Some((4, 4)), 0.0),
            // What comes with the next stage, or before this one, is not of it.
            (&[(0, 2), (5, 50), (8, 2), (12, 10), (60, 90)], Some((10, 10)), 0.0),
            (&[(0, 2), (12, 0)], Some((0, 0)), 0.0),
            (&[(0, 0), (12, 3), (20, 0)], Some((3, 0)), 300.0),
            (&[], None, 0.0),
        ] {
            let steps: Steps = wanted.iter().map(|(at, w)| (s(*at), *w)).collect();
            let found = overshoot(&steps, span);
            assert_eq!(found.map(|o| (o.extreme, o.settled)), want, "{wanted:?}");
            assert!(found.is_none_or(|o| (o.percent() - percent).abs() < 1e-9), "{wanted:?}: {found:?}");
        }
    }

    #[test]
    fn settled_is_since_when_it_stays_near_its_end_and_is_ready() {
        let span = (s(10), s(60));
        for (replicas, want) in [
            // Ready four seconds after it was wanted.
            (&[(0, 2, 2), (12, 10, 2), (16, 10, 10)][..], Some(Ok((16, 10)))),
            // One more or less is still there.
            (&[(0, 2, 2), (12, 10, 2), (16, 10, 10), (20, 11, 10), (24, 11, 11)], Some(Ok((16, 11)))),
            // Two more are not, at ten.
            (&[(0, 2, 2), (12, 12, 2), (16, 12, 12), (20, 10, 12), (21, 10, 10)], Some(Ok((21, 10)))),
            // At a hundred, five are.
            (&[(0, 2, 2), (12, 105, 2), (16, 105, 105), (20, 100, 105), (21, 100, 100)], Some(Ok((16, 100)))),
            // Two that are lost and found again are no rest.
            (&[(0, 2, 2), (12, 4, 4), (30, 4, 2), (33, 4, 4)], Some(Ok((33, 4)))),
            // At rest all the time.
            (&[(0, 2, 2)], Some(Ok((10, 2)))),
            // Down from two seconds after the mark on, and one of two down to the end: one replica is no band for that.
            (&[(0, 1, 1), (12, 1, 0)], Some(Err((1, 0)))),
            (&[(0, 2, 2), (12, 2, 1)], Some(Err((2, 1)))),
            (&[(0, 1, 1), (12, 1, 0), (30, 1, 1)], Some(Ok((30, 1)))),
            // Scaled to nothing, and there.
            (&[(0, 2, 2), (12, 0, 2), (14, 0, 0)], Some(Ok((14, 0)))),
            // Never ready.
            (&[(0, 2, 2), (12, 10, 2), (16, 10, 9)], Some(Err((10, 9)))),
            // What the next stage brings is not of this one.
            (&[(0, 2, 2), (12, 4, 4), (60, 9, 4)], Some(Ok((12, 4)))),
            (&[], None),
        ] {
            let states: Vec<_> = replicas.iter().map(|(at, w, r)| (s(*at), *w, *r)).collect();
            let want = want.map(|w| w.map(|(at, replicas)| Settled { at: s(at), replicas }));
            assert_eq!(settled_at(&states, span), want, "{replicas:?}");
        }
    }
}
