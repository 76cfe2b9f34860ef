//! Schedules from a seed: each world has some kinds of faults and not the others.
//!
//! Faults of every kind in every world hide one another: a querier that is always slow never shows what a short cut
//! does. So a world first draws which kinds it has at all (swarm testing: Groce et al., ISSTA 2012).

use std::ops::RangeInclusive;

use crate::schedule::{Fault, Schedule};
use crate::streams::{Stream, Streams};

/// A way of drawing faults of one kind, for a world of which it has to know something.
#[derive(Debug)]
pub struct Source<K, W> {
    /// The kind's name, by which it is drawn into a world or not.
    pub name: &'static str,
    /// Makes one, its parameters drawn from the stream.
    pub draw: fn(&mut Stream, &W) -> K,
}

/// How much goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// When faults may begin, in milliseconds since the world began.
    pub begin_ms: RangeInclusive<u64>,
    /// No fault lasts beyond this: what follows is for the world to become whole again.
    pub over_ms: u64,
    /// How many there are.
    pub count: RangeInclusive<u64>,
    /// How long one lasts on average, in milliseconds; some last many times that.
    pub mean_ms: u64,
}

/// The schedule of a seed. A fault's kind, times and parameters are drawn from its own stream, so a world with
/// another bound on their number has the same first ones.
pub fn schedule<K, W>(
    streams: &Streams,
    sources: &[Source<K, W>],
    world: &W,
    bounds: &Bounds,
) -> Schedule<K> {
    let streams = streams.of("swarm");
    let mut chosen: Vec<&Source<K, W>> =
        sources.iter().filter(|s| streams.stream(s.name).chance(0.5)).collect();
    if chosen.is_empty() {
        // A world in which nothing may go wrong shows little.
        chosen.extend(streams.stream("any").pick(sources));
    }
    let (fewest, most) = (*bounds.count.start(), *bounds.count.end());
    let count = fewest + streams.stream("count").below(most.saturating_sub(fewest).saturating_add(1));
    let faults = (0..count).filter_map(|i| {
        let stream = &mut streams.stream(&format!("fault {i}"));
        let source = stream.pick(&chosen)?;
        let (first, last) = (*bounds.begin_ms.start(), *bounds.begin_ms.end());
        let from_ms = first + stream.below(last.saturating_sub(first).saturating_add(1));
        let lasts_ms = millis(stream.exponential(1.0), bounds.mean_ms);
        let to_ms = from_ms.saturating_add(lasts_ms).min(bounds.over_ms);
        let kind = (source.draw)(stream, world);
        (to_ms > from_ms).then(|| Fault { name: format!("{}-{i}", source.name), kind, from_ms, to_ms })
    });
    Schedule { faults: faults.collect() }
}

fn millis(times: f64, mean_ms: u64) -> u64 {
    (times * mean_ms as f64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SOURCES: [Source<u64, u64>; 3] = [
        Source { name: "a", draw: |_, _| 0 },
        Source { name: "b", draw: |stream, world| 10 + stream.below(*world) },
        Source { name: "c", draw: |_, _| 20 },
    ];

    fn bounds(most: u64) -> Bounds {
        Bounds { begin_ms: 1000..=9000, over_ms: 10_000, count: 0..=most, mean_ms: 2000 }
    }

    #[test]
    fn schedules_keep_their_bounds_and_worlds_differ_in_their_kinds() {
        let mut mixes = BTreeSet::new();
        for seed in 0..300 {
            let schedule = schedule(&Streams::new(seed), &SOURCES, &5, &bounds(12));
            assert!(schedule.faults.len() <= 12);
            for fault in &schedule.faults {
                assert!((1000..=9000).contains(&fault.from_ms), "{fault:?}");
                assert!(fault.from_ms < fault.to_ms && fault.to_ms <= 10_000, "{fault:?}");
            }
            mixes.insert(schedule.faults.iter().map(|f| f.kind / 10).collect::<BTreeSet<_>>());
            assert_eq!(schedule, super::schedule(&Streams::new(seed), &SOURCES, &5, &bounds(12)));
        }
        // None, and every mixture of three kinds.
        assert_eq!(mixes.len(), 8);
    }

    #[test]
    fn nothing_to_draw_from_is_nothing_that_goes_wrong() {
        assert_eq!(schedule::<u64, u64>(&Streams::new(1), &[], &5, &bounds(5)), Schedule::default());
    }
}
