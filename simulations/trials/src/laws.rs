//! What must hold in every world, whatever goes wrong in it.

use simulations_world::scene::{Life, Scene};
use simulations_world::world::THIEF;
use simulations_world::{Scaled, WorldFault};

/// By how much a change may be stored later than it was decided, and so come closer to the next one, in milliseconds:
/// as long as a call may take, and a second.
const ON_ITS_WAY_MS: i64 = 6000;

/// How long a renewal of the lease gives the right to act, in milliseconds, as the trials set it.
const RENEWED_MS: i64 = 5000;

/// Everything that was broken, in words that name who, what and when.
pub fn broken(scene: &Scene, life: &Life) -> Vec<String> {
    let mut all: Vec<String> = life.tally.unsafe_lowerings.iter().map(ToString::to_string).collect();
    all.extend(life.scaled.iter().filter_map(|s| bounds(scene, s)));
    all.extend(rate(scene, &life.scaled));
    all.extend(swings(scene, &life.scaled));
    all.extend(end(life));
    all
}

/// What must hold of those who have a lease, beside all else: who writes holds it.
///
/// Nobody can know at once that it was taken without asking; how long a renewal gives the right to act bounds it.
pub fn one_writer(scene: &Scene, life: &Life) -> Vec<String> {
    // The identity of a holder is its process and the cluster.
    let is_it =
        |s: &Scaled, holder: &str| holder.strip_prefix(&s.actor).is_some_and(|rest| rest.starts_with('_'));
    let just_stolen = |s: &Scaled| {
        let since = |from_ms: u64| s.sent_ms - i64::try_from(from_ms).unwrap_or(i64::MAX);
        let mut thefts = scene.setup.faults.faults.iter().filter(|f| matches!(f.kind, WorldFault::Stolen));
        s.holder.as_deref() == Some(THIEF) && thefts.any(|f| (0..RENEWED_MS).contains(&since(f.from_ms)))
    };
    let stranger =
        |s: &&Scaled| !s.holder.as_deref().is_some_and(|holder| is_it(s, holder)) && !just_stolen(s);
    let told = |s: &Scaled| {
        let holder = s.holder.as_deref().unwrap_or("nobody");
        format!(
            "{} wrote at {} ms ({} to {}) while {holder} held the lease",
            s.actor, s.sent_ms, s.from, s.to
        )
    };
    life.scaled.iter().filter(stranger).map(told).collect()
}

/// Replicas stay within their bounds.
fn bounds(scene: &Scene, scaled: &Scaled) -> Option<String> {
    let (min, max) = scene.truth.bounds;
    let outside = !(min..=max).contains(&scaled.to);
    outside.then(|| {
        format!("{} scaled to {} at {} ms, outside of {min}..={max}", scaled.actor, scaled.to, scaled.at_ms)
    })
}

/// Where a rate is asked for, no window of its length has more of it, whoever wrote. What came before it by as much as a
/// change may be on its way can be in the window, or not: raises there allow more, falls less.
fn rate(scene: &Scene, scaled: &[Scaled]) -> Option<String> {
    let (most, seconds) = scene.task.down_rate?;
    let period_ms = i64::from(seconds) * 1000;
    scaled.iter().enumerate().filter(|(_, last)| last.to < last.from).find_map(|(i, last)| {
        let (mut fallen, mut least) = (0, None::<i32>);
        for s in scaled.get(..=i)?.iter().rev() {
            let before_ms = last.at_ms - s.at_ms;
            if before_ms > period_ms {
                break;
            }
            if before_ms >= period_ms - ON_ITS_WAY_MS {
                least = Some(least.map_or(fallen, |least| least.min(fallen)));
            }
            fallen += s.from - s.to;
        }
        let fallen = least.map_or(fallen, |least| least.min(fallen));
        (fallen > most).then(|| {
            format!("replicas fell by {fallen} in the {seconds} s up to {} ms, and not by {most}", last.at_ms)
        })
    })
}

/// Where the load stands and nothing goes wrong, replicas go to where they belong and do not turn round.
fn swings(scene: &Scene, scaled: &[Scaled]) -> Option<String> {
    let from_ms = scene.calm_from_ms + scene.truth.looks_back_ms;
    let calm: Vec<&Scaled> = scaled.iter().filter(|s| s.at_ms > from_ms).collect();
    let turn = calm.windows(2).find(|pair| matches!(pair, [a, b] if (a.to > a.from) != (b.to > b.from)))?;
    let [a, b] = turn else { return None };
    Some(format!(
        "nothing moved, but replicas went {} to {} at {} ms and {} to {} at {} ms",
        a.from, a.to, a.at_ms, b.from, b.to, b.at_ms
    ))
}

/// At the end replicas are what the load asks for: whatever went wrong before has left nothing.
fn end(life: &Life) -> Option<String> {
    let (low, high) = life.suits;
    let suits = (low..=high).contains(&life.ordered);
    (!suits).then(|| format!("{} replicas at the end, where the load asks for {low}..={high}", life.ordered))
}

#[cfg(test)]
mod tests {
    use simulations_world::scene::{HOUR_MS, Scene, Trouble};

    use super::*;

    #[test]
    fn a_rate_is_of_whole_periods_with_all_that_is_in_them() {
        let mut scene = Scene::drawn(1, HOUR_MS, Trouble::None);
        scene.task.down_rate = Some((5, 60));
        let change = |(at_ms, from, to): (i64, i32, i32)| Scaled {
            sent_ms: at_ms,
            at_ms,
            cluster: 0,
            actor: "a".into(),
            name: "web".into(),
            from,
            to,
            holder: None,
        };
        for (changes, fallen) in [
            (vec![(0, 20, 15), (70_000, 15, 10)], None),
            (vec![(0, 20, 15), (57_000, 15, 10)], None),
            (vec![(0, 20, 15), (40_000, 15, 10)], Some(10)),
            (vec![(0, 20, 17), (20_000, 17, 15), (40_000, 15, 14)], Some(6)),
            // What was raised within the period may fall again.
            (vec![(0, 17, 24), (54_000, 24, 17)], None),
            (vec![(0, 17, 24), (59_000, 24, 12)], None),
            (vec![(0, 17, 24), (70_000, 24, 17)], Some(7)),
        ] {
            let scaled: Vec<Scaled> = changes.iter().copied().map(change).collect();
            let told = rate(&scene, &scaled);
            let expected = fallen.map(|n| format!("replicas fell by {n} in the 60 s"));
            assert_eq!(told.is_some(), expected.is_some(), "{changes:?}: {told:?}");
            assert!(told.zip(expected).is_none_or(|(told, start)| told.starts_with(&start)), "{changes:?}");
        }
    }
}
