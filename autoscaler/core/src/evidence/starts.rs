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
//!
//! Pods whose series stopped without a staleness marker are silent only for as long as a querier looks back; after that
//! the former place has them and this one has not, as if they had ended. They are a part that is lost.

use super::Moment;
use super::samples::of;
use crate::coverage::Window;
use crate::doubt::Doubt;
use crate::history::{KnownCluster, KnownStart, MetricHistory};
use crate::name::Name;
use crate::observation::{Observation, SelectorSamples, SeriesCount, StartSamples};
use crate::policy::{MetricSpec, PodEvidence};

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
    let ends = broken(&known.clusters, seen);
    let before_ms = moment.now_ms.saturating_sub(window.start_ms);
    let bare = bare(selectors, seen, known).filter(|_| is_vouched);
    let bare = bare.map(|cluster| Doubt::SamplesLost { cluster: cluster.clone(), before_ms });
    let Some(start) = known.start else {
        // What was never counted cannot be missed: whatever was vouched for before is seen for the first time.
        known.unwatch();
        remember(seen, known, moment);
        return bare.or(ends);
    };
    if let Some(since_ms) = start.lost_since_ms {
        let lost = fewer(known, seen, |cluster, selector| left(known, moment, &start, cluster, selector));
        if lost.is_none() || moment.now_ms.saturating_sub(since_ms) > EXPECTED_MS {
            remember(seen, known, moment);
            return ends;
        }
        return lost;
    }
    let again = observation.starts.iter().find(|seen| seen.start == start.at);
    if let Some(doubt) = bare.or_else(|| fallen(known, again?)) {
        known.unwatch();
        let lost_since_ms = Some(moment.now_ms);
        known.start = Some(KnownStart { at: seen.start, is_doubted: false, lost_since_ms, ..start });
        return Some(doubt);
    }
    let begins = again.and_then(|again| broken(&known.clusters, again));
    let Some(fallen) = fallen(known, seen) else {
        // Fewer, but not by much: what many such steps add up to is seen within a window.
        let has_passed =
            window.start_ms.saturating_sub(start.at.at_ms) >= end_ms.saturating_sub(window.start_ms);
        if has_passed || is_as_many(known, seen) {
            remember(seen, known, moment);
        }
        return ends;
    };
    // They ended, as this server has them where they were counted before. What begins in a gap is no measure.
    if again.is_some() && begins.is_none() && is_vouched {
        // But not those that nobody saw end: a querier only stopped looking back as far as their last samples.
        let is_silent = |cluster: &KnownCluster| cluster.silent_ms.is_some();
        let silent = fewer(known, seen, |cluster, selector| match is_silent(cluster) {
            true => left(known, moment, &start, cluster, selector),
            false => (0, 1),
        });
        if silent.is_some() {
            let lost_since_ms = Some(moment.now_ms);
            known.start = Some(KnownStart { at: seen.start, is_doubted: false, lost_since_ms, ..start });
            return silent;
        }
        remember(seen, known, moment);
        return ends;
    }
    known.start = Some(KnownStart { is_doubted: true, ..start });
    begins.or(Some(fallen)).filter(|_| is_vouched).or(ends)
}

/// Remembers which clusters have pods whose series stopped without a staleness marker, whatever else is wrong with them.
/// Of the target's own pods we know which are missing, and that those beyond them ended.
pub(super) fn listen(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    known: &mut MetricHistory,
    moment: Moment<'_>,
) {
    if spec.evidence.pods != PodEvidence::Auto || moment.at_zero {
        return;
    }
    let pods_seen = known.pods_seen;
    for cluster in &mut known.clusters {
        let is_told =
            |selector: usize| cluster.name == *moment.cluster && is_of_own_pods(pods_seen, selector);
        let mut untold = selectors.iter().enumerate().filter(|(nth, _)| !is_told(*nth));
        let is_silent = |selector| of(selector, &cluster.name).is_some_and(|samples| samples.silent_pods > 0);
        if untold.any(|(_, selector)| is_silent(selector)) {
            cluster.silent_ms = Some(moment.now_ms);
        }
    }
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

/// A cluster that has more than a tenth fewer series of a selector than it had. Less is what servers that are scraped for
/// at different moments differ by.
fn fallen(known: &MetricHistory, seen: &StartSamples) -> Option<Doubt> {
    fewer(known, seen, |_, _| (1, 1))
}

/// The same, where only a share of them, numerator and denominator, is left to be expected.
fn fewer(
    known: &MetricHistory,
    seen: &StartSamples,
    left: impl Fn(&KnownCluster, usize) -> (u32, u32),
) -> Option<Doubt> {
    known.clusters.iter().find_map(|cluster| {
        let counts = seen.selectors.iter().zip(&cluster.series).enumerate();
        counts.into_iter().find_map(|(selector, (counts, before))| {
            let (left, of) = left(cluster, selector);
            let series = count(counts, &cluster.name);
            let is_fewer =
                u128::from(series) * 10 * u128::from(of) < u128::from(*before) * 9 * u128::from(left);
            let doubt = || Doubt::SeriesLost { cluster: cluster.name.clone(), before: *before, series };
            is_fewer.then(doubt)
        })
    })
}

/// Of the target's own pods we know how many are left of those that there were at `start`.
fn left(
    known: &MetricHistory,
    moment: Moment<'_>,
    start: &KnownStart,
    cluster: &KnownCluster,
    selector: usize,
) -> (u32, u32) {
    let before = start.ready.max(0).unsigned_abs();
    if cluster.name != *moment.cluster || !is_of_own_pods(known.pods_seen, selector) || before == 0 {
        return (1, 1);
    }
    let ready = moment.ready.average(moment.now_ms, moment.now_ms) as u32;
    (ready.min(before), before)
}

/// Whether a selector's series carried the target's pods.
fn is_of_own_pods(pods_seen: u64, selector: usize) -> bool {
    let bit = u32::try_from(selector).ok().and_then(|selector| 1_u64.checked_shl(selector));
    pods_seen & bit.unwrap_or(0) != 0
}

/// Whether no cluster has fewer than it had, by however little.
fn is_as_many(known: &MetricHistory, seen: &StartSamples) -> bool {
    known.clusters.iter().all(|cluster| {
        let mut pairs = seen.selectors.iter().zip(&cluster.series);
        pairs.all(|(counts, before)| count(counts, &cluster.name) >= *before)
    })
}

/// A cluster of which more than a tenth of the series that are at a place are there now, and not at the next one.
fn broken(clusters: &[KnownCluster], there: &StartSamples) -> Option<Doubt> {
    clusters.iter().find_map(|cluster| {
        let mut pairs = there.selectors.iter().zip(&there.broken);
        pairs.find_map(|(before, series)| {
            let (before, series) = (count(before, &cluster.name), count(series, &cluster.name));
            let doubt = || Doubt::SeriesBroken { cluster: cluster.name.clone(), before, series };
            (u64::from(series) * 10 > u64::from(before)).then(doubt)
        })
    })
}

/// A cluster's series.
fn count(counts: &[SeriesCount], cluster: &Name) -> u32 {
    let counts = counts.iter().filter(|count| count.cluster == *cluster);
    counts.fold(0, |all, count| all.saturating_add(count.series))
}

fn remember(seen: &StartSamples, known: &mut MetricHistory, moment: Moment<'_>) {
    // Whoever ended so shortly before is counted too.
    let ready =
        moment.ready.most_between(seen.start.at_ms.saturating_sub(seen.start.back_ms), seen.start.at_ms);
    known.start = Some(KnownStart { at: seen.start, ready, is_doubted: false, lost_since_ms: None });
    for cluster in &mut known.clusters {
        cluster.series = seen.selectors.iter().map(|counts| count(counts, &cluster.name)).collect();
        // A longer window still begins where they were not silent yet.
        cluster.silent_ms = cluster.silent_ms.filter(|at_ms| *at_ms > seen.start.at_ms);
    }
}
