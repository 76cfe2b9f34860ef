//! Whether who answers has what was vouched for.
//!
//! ```text
//!  answer before   ├──────────── samples ────────────●     vouched for, and counted at S
//!  this answer                        ├── samples ────●    another server, or one that lost them
//!                       S                            T
//!                       └──────── window ────────────┘     its value is low by what is not there
//! ```
//!
//! Coverage tells of times, and not of the server that has them. So each answer counts the series that have samples
//! where its window begins. A cluster without any there is one that this server did not watch as long as we did. Fewer
//! series than where the last window began may be pods that ended, a part of the store that is lost, or a stretch that it
//! lacks; the same place counted once more tells which: pods that ended are there and not now, series with a stretch
//! missing are at both. A part that is lost stays expected, as a cluster does: a store that was only emptied has all of it
//! again a window later, and one that is hidden has not.

use super::Moment;
use super::samples::of;
use crate::coverage::Window;
use crate::doubt::Doubt;
use crate::history::{KnownCluster, KnownStart, MetricHistory};
use crate::name::Name;
use crate::observation::{Observation, SelectorSamples, SeriesCount, StartSamples};
use crate::policy::MetricSpec;

/// How long a part that is lost is expected, in milliseconds: pods may have ended while nobody could tell.
const EXPECTED_MS: i64 = 3_600_000;

/// Looks at where the window that ends at `end_ms` begins, while every series has samples until `reached_ms`. Where samples
/// are lost, nothing is vouched for any more.
pub(super) fn look(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    observation: &Observation,
    known: &mut MetricHistory,
    moment: Moment<'_>,
    end_ms: i64,
    reached_ms: i64,
) -> Option<Doubt> {
    let window = spec.evidence.window(end_ms)?;
    // Whoever answered may not have been asked, as in records from before this was.
    let seen = observation.starts.iter().find(|seen| seen.start.at_ms == window.start_ms)?;
    // Before the first settled time a window may begin where samples have not come to, and nothing can be counted there.
    if window.start_ms > reached_ms {
        return None;
    }
    let begins = Window { end_ms: i64::MAX, sums: false, ..window };
    let is_vouched = known.coverage.gap_at(begins).is_none();
    if is_vouched && let Some(cluster) = bare(selectors, seen, known) {
        let doubt = Doubt::SamplesLost {
            cluster: cluster.clone(),
            before_ms: moment.now_ms.saturating_sub(window.start_ms),
        };
        known.unwatch();
        remember(seen, known, moment);
        return Some(doubt);
    }
    let Some(start) = &mut known.start else {
        // What was never counted cannot be missed: whatever was vouched for before is seen for the first time.
        known.unwatch();
        remember(seen, known, moment);
        return None;
    };
    let again = observation.starts.iter().find(|seen| seen.start == start.at);
    let lost = |(cluster, before, series): (&Name, u32, u32)| Doubt::SeriesLost {
        cluster: cluster.clone(),
        before,
        series,
    };
    if let Some(since_ms) = start.lost_since_ms {
        // Of the target's own pods we know how many are left.
        let ready = moment.ready.average(moment.now_ms, moment.now_ms) as u64;
        let before = u64::from(start.ready.max(0).unsigned_abs());
        let left = |cluster: &KnownCluster| {
            let is_known = cluster.name == *moment.cluster && known.pods_seen != 0 && before > 0;
            if is_known { (ready.min(before), before) } else { (1, 1) }
        };
        let doubt = fewer(&known.clusters, seen, left).map(lost);
        if doubt.is_none() || moment.now_ms.saturating_sub(since_ms) > EXPECTED_MS {
            remember(seen, known, moment);
            return None;
        }
        return doubt;
    }
    if let Some(doubt) = again.and_then(|again| fallen(&known.clusters, again)).map(lost) {
        let ready = start.ready;
        let expected: Vec<u32> = known.clusters.iter().map(|cluster| cluster.series).collect();
        known.unwatch();
        for (cluster, series) in known.clusters.iter_mut().zip(expected) {
            cluster.series = series;
        }
        let lost_since_ms = Some(moment.now_ms);
        known.start = Some(KnownStart { at: seen.start, ready, is_doubted: false, lost_since_ms });
        return Some(doubt);
    }
    let ends = broken(&known.clusters, seen);
    let begins = again.and_then(|again| broken(&known.clusters, again));
    match fallen(&known.clusters, seen).map(lost) {
        // They ended, as this server has them where they were counted before. What begins in a gap is no measure.
        Some(_) if again.is_some() && begins.is_none() && is_vouched => remember(seen, known, moment),
        Some(doubt) => {
            let doubt = begins.unwrap_or(doubt);
            start.is_doubted = true;
            return Some(doubt).filter(|_| is_vouched);
        }
        None => remember(seen, known, moment),
    }
    ends
}

/// A cluster whose samples were vouched for, and that some selector sees without any there.
fn bare<'a>(
    selectors: &[SelectorSamples],
    seen: &StartSamples,
    known: &'a MetricHistory,
) -> Option<&'a Name> {
    let mut vouched = known.clusters.iter().filter(|cluster| cluster.slowest_ms.is_some());
    let is_bare = |cluster: &Name| {
        let mut pairs = selectors.iter().zip(&seen.selectors).filter(|(selector, _)| !selector.pinned);
        pairs.any(|(selector, counts)| {
            of(selector, cluster).is_some() && counts.iter().all(|count| count.cluster != *cluster)
        })
    };
    vouched.find(|cluster| is_bare(&cluster.name)).map(|cluster| &cluster.name)
}

/// A cluster that has more than a tenth fewer series than it had, with both counts. Less is what servers that are scraped
/// for at different moments differ by.
fn fallen<'a>(clusters: &'a [KnownCluster], seen: &StartSamples) -> Option<(&'a Name, u32, u32)> {
    fewer(clusters, seen, |_| (1, 1))
}

/// The same, where only a share of them, numerator and denominator, is left to be expected.
fn fewer<'a>(
    clusters: &'a [KnownCluster],
    seen: &StartSamples,
    left: impl Fn(&KnownCluster) -> (u64, u64),
) -> Option<(&'a Name, u32, u32)> {
    clusters.iter().find_map(|cluster| {
        let series = count(&seen.selectors, &cluster.name);
        let (left, of) = left(cluster);
        let is_fewer = u64::from(series) * 10 * of < u64::from(cluster.series) * 9 * left;
        is_fewer.then_some((&cluster.name, cluster.series, series))
    })
}

/// A cluster of which more than a tenth of the series that are at a place are there now, and not at the next one.
fn broken(clusters: &[KnownCluster], there: &StartSamples) -> Option<Doubt> {
    clusters.iter().find_map(|cluster| {
        let before = count(&there.selectors, &cluster.name);
        let series = count(&there.broken, &cluster.name);
        let doubt = || Doubt::SeriesBroken { cluster: cluster.name.clone(), before, series };
        (u64::from(series) * 10 > u64::from(before)).then(doubt)
    })
}

/// A cluster's series of all selectors.
fn count(selectors: &[Vec<SeriesCount>], cluster: &Name) -> u32 {
    let counts = selectors.iter().flatten().filter(|count| count.cluster == *cluster);
    counts.fold(0, |all, count| all.saturating_add(count.series))
}

fn remember(seen: &StartSamples, known: &mut MetricHistory, moment: Moment<'_>) {
    let ready = moment.ready.average(seen.start.at_ms, seen.start.at_ms) as i32;
    known.start = Some(KnownStart { at: seen.start, ready, is_doubted: false, lost_since_ms: None });
    for cluster in &mut known.clusters {
        cluster.series = count(&seen.selectors, &cluster.name);
    }
}
