//! Was anything scaled down between two marks? And was it the stretch's own doing?
//!
//! Stabilization lets what was asked for before a cut be done in it: replicas go down to what sound evidence asked for
//! while it was sound. That is no lie, and `unless: askedBefore` tells the two apart by the policy's own words: the
//! lowering decision's record says that it was taken on evidence that sufficed, and the policy, on such evidence, asked
//! for so few replicas or fewer when the stretch began. A policy that believes the half that is left asked for more then.

use std::time::Duration;

use simulations_scenario::Excuse;

use super::{Found, seconds, span};
use crate::timeline::{Decided, Target, Timeline};

/// How long after a decision was taken its replicas may be seen to change.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

pub(super) fn never(t: &Timeline, from: &str, to: &str, unless: Option<Excuse>) -> Found {
    let (begins, ends) = span(t, from, to)?;
    let targets = t.targets();
    if targets.is_empty() {
        return Err("no workload was watched".into());
    }
    let mut excused = Vec::new();
    for target in &targets {
        let within = |l: &Lowering| l.earliest > begins && l.latest <= ends;
        for Lowering { latest: at, from, to, .. } in lowerings(t, target).into_iter().filter(within) {
            let after = seconds(at - begins);
            let told = format!("{}/{} went from {from} to {to} after {after}", target.0, target.1);
            match unless.and_then(|_| asked_before(t, target, to, at, begins)) {
                Some(asked) => excused.push(format!("{told}, as {asked} were asked for before")),
                None => return Err(told),
            }
        }
    }
    excused.dedup();
    let held = format!("{} workloads held or rose", targets.len());
    Ok(if excused.is_empty() { held } else { format!("{held}, but: {}", excused.join("; ")) })
}

/// Replicas that were lowered, and when at the earliest and at the latest.
struct Lowering {
    earliest: Duration,
    latest: Duration,
    from: i32,
    to: i32,
}

/// As the wanted replicas were seen to fall, and as decisions wrote it, for a fall that was made good at once may not have
/// been seen.
fn lowerings(t: &Timeline, target: &Target) -> Vec<Lowering> {
    let mut before: Option<i32> = None;
    let mut all = Vec::new();
    for (at, wanted, _) in t.replicas(target) {
        let fell = before.filter(|b| wanted < *b);
        all.extend(fell.map(|from| Lowering { earliest: at, latest: at, from, to: wanted }));
        before = Some(wanted);
    }
    let wrote = t.decisions(target).filter(|(_, d)| d.written && d.to < d.from);
    all.extend(wrote.filter_map(|(_, d)| {
        let earliest = t.offset_of(unix_ms(&d.time)?);
        // A status tells whole seconds: it was some time in this one.
        Some(Lowering { earliest, latest: earliest + Duration::from_secs(1), from: d.from, to: d.to })
    }));
    all.sort_by_key(|l| l.latest);
    all
}

/// What was asked for at `begins`, if it was as few as the `wanted` that a sound decision lowered to, seen at `at`.
fn asked_before(t: &Timeline, target: &Target, wanted: i32, at: Duration, begins: Duration) -> Option<i32> {
    let taken = |d: &Decided| Some(t.offset_of(unix_ms(&d.time)?));
    let lowered = |(_, d): &(Duration, &Decided)| {
        let near = |taken: Duration| taken <= at + SEEN_WITHIN && at <= taken + SEEN_WITHIN;
        d.written && d.to == wanted && d.to < d.from && taken(d).is_some_and(near)
    };
    let (_, decision) = t.decisions(target).find(lowered)?;
    let record = decision.record.as_ref().filter(|r| r.replays && r.sufficient)?;
    let remembered = record.asked.iter().filter(|(ms, _)| t.is_before(*ms, begins));
    let remembered = remembered.max_by_key(|(ms, _)| *ms).map(|(_, asked)| *asked);
    let sound = t.states(target).filter(|(at, s)| *at <= begins && s.sufficient == Some(true));
    let told = sound.last().and_then(|(_, s)| s.proposal);
    remembered.into_iter().chain(told).find(|asked| *asked <= wanted)
}

fn unix_ms(time: &str) -> Option<i64> {
    Some(time.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}
