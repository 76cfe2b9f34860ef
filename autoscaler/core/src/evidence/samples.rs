//! What the selectors see of the clusters: who is expected, how far the samples reach, how many pods have some.

use super::Moment;
use crate::coverage::BlindSpan;
use crate::doubt::Doubt;
use crate::history::{Course, KnownCluster, MAX_AHEAD_MS, MetricHistory};
use crate::name::Name;
use crate::observation::{ClusterSamples, SelectorSamples};
use crate::policy::{MetricSpec, PodEvidence};

/// Most clusters of one metric that are remembered.
const MAX_CLUSTERS: usize = 256;
const TOO_MANY: Doubt = Doubt::TooManyClusters { most: MAX_CLUSTERS as u32 };

/// How many intervals there are at most between two answers of one course: beyond that nobody was asked.
const APART: i64 = 3;

/// Remembers who is expected: whom the policy names, else whoever answers or did.
pub(super) fn expect(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    known: &mut MetricHistory,
    moment: Moment<'_>,
    doubts: &mut Vec<Doubt>,
) {
    let now_ms = moment.now_ms;
    let named = &spec.evidence.clusters;
    known.clusters_lost &= named.is_empty();
    if known.clusters_lost {
        doubts.push(Doubt::ClustersUnknown);
    }
    let clusters = &mut known.clusters;
    if named.is_empty() {
        // What no selector can see belonged to another query.
        let sees = |cluster: &Name| selectors.iter().any(|selector| selector.scope.admits(cluster));
        clusters.retain(|cluster| selectors.is_empty() || sees(&cluster.name));
    } else {
        clusters.retain(|cluster| named.contains(&cluster.name));
        for name in named {
            if clusters.iter().all(|cluster| cluster.name != *name) {
                clusters.push(KnownCluster::new(name.clone(), now_ms));
            }
        }
    }
    let answered_ms = clusters.iter().map(|cluster| cluster.seen_ms).max().unwrap_or(now_ms);
    let mut anybody = false;
    for found in selectors.iter().flat_map(|selector| &selector.clusters) {
        anybody = true;
        if let Some(cluster) = clusters.iter_mut().find(|cluster| cluster.name == found.cluster) {
            (cluster.seen_ms, cluster.missing_ms) = (now_ms, 0);
        } else if named.is_empty() && clusters.len() < MAX_CLUSTERS {
            clusters.push(KnownCluster::new(found.cluster.clone(), now_ms));
        } else if named.is_empty() && !doubts.contains(&TOO_MANY) {
            doubts.push(TOO_MANY);
        }
    }
    if let Some(forget_ms) = spec.evidence.forget_clusters_ms.filter(|_| named.is_empty() && anybody) {
        // Time in which others answered, and no other: who was not asked for is not missing.
        let mut passed_ms = now_ms.saturating_sub(answered_ms).max(0);
        if moment.interval_ms > 0 {
            passed_ms = passed_ms.min(moment.interval_ms.saturating_mul(APART));
        }
        for cluster in clusters.iter_mut().filter(|cluster| cluster.seen_ms != now_ms) {
            cluster.missing_ms = cluster.missing_ms.saturating_add(passed_ms);
        }
        clusters.retain(|cluster| cluster.missing_ms <= forget_ms);
    }
}

/// What all selectors see of all expected clusters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Some selector's samples move on with time.
    pub(super) moves_on: bool,
    /// Until when every series of every cluster has samples.
    pub(super) slowest_ms: Option<i64>,
}

/// What all selectors see of one cluster.
#[derive(Clone, Copy, Debug)]
struct Together {
    is_missing: bool,
    /// The newest sample of the selector that sees the oldest ones.
    oldest_ms: i64,
    /// The newest sample of any selector, if it moves on.
    newest_ms: Option<i64>,
    /// The slowest series of any selector; `None` if one has only old ones.
    slowest_ms: Option<i64>,
    /// The same of those that move on, the newest sample where all are old.
    settles_ms: Option<i64>,
    silent_pods: u32,
}

pub(super) fn of<'a>(selector: &'a SelectorSamples, cluster: &Name) -> Option<&'a ClusterSamples> {
    selector.clusters.iter().find(|samples| samples.cluster == *cluster)
}

/// The worst of what the selectors see of `cluster`: a ratio with a fresh numerator and a lost denominator is a lie
/// too. Selectors that see nothing anywhere are told apart, and those that cannot see it say nothing of it.
fn together(selectors: &[SelectorSamples], cluster: &Name) -> Together {
    let mut all = Together {
        is_missing: false,
        oldest_ms: i64::MAX,
        newest_ms: None,
        slowest_ms: Some(i64::MAX),
        settles_ms: None,
        silent_pods: 0,
    };
    let mut anybody = false;
    let looking =
        |selector: &&SelectorSamples| !selector.clusters.is_empty() && selector.scope.admits(cluster);
    for selector in selectors.iter().filter(looking) {
        anybody = true;
        let Some(samples) = of(selector, cluster) else {
            all.is_missing = true;
            continue;
        };
        all.oldest_ms = all.oldest_ms.min(samples.newest_ms);
        all.slowest_ms = all.slowest_ms.zip(samples.slowest_ms).map(|(a, b)| a.min(b));
        all.silent_pods = all.silent_pods.max(samples.silent_pods);
        if !selector.pinned {
            all.newest_ms = Some(all.newest_ms.map_or(samples.newest_ms, |ms| ms.max(samples.newest_ms)));
            let settles_ms = samples.slowest_ms.unwrap_or(samples.newest_ms);
            all.settles_ms = Some(all.settles_ms.map_or(settles_ms, |ms| ms.min(settles_ms)));
        }
    }
    all.is_missing |= !anybody;
    all
}

/// Judges the samples of every expected cluster.
pub(super) fn look(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    settled_ms: Option<i64>,
    known: &mut MetricHistory,
    moment: Moment<'_>,
    doubts: &mut Vec<Doubt>,
) -> Found {
    let mut found = Found { moves_on: selectors.iter().any(|selector| !selector.pinned), slowest_ms: None };
    if selectors.iter().all(|selector| selector.clusters.is_empty()) {
        // A value without any samples behind it, as from `or vector(0)`; or neither.
        doubts.push(Doubt::NoSamples);
        return found;
    }
    let empty = selectors.iter().filter(|selector| selector.clusters.is_empty());
    doubts.extend(empty.map(|selector| Doubt::SelectorEmpty { selector: selector.selector.clone() }));
    let max_age_ms = spec.evidence.max_age_ms;
    let longest_ms = moment.longest_behind_ms(spec);
    for cluster in &known.clusters {
        let samples = together(selectors, &cluster.name);
        let name = || cluster.name.clone();
        // One that just went missing is likely back at once, from another querier, and no further than it was.
        let last_ms = cluster.slowest_ms.filter(|ms| moment.now_ms.saturating_sub(*ms) <= longest_ms);
        let settles_ms = if samples.is_missing { last_ms } else { samples.settles_ms };
        if let Some(settles_ms) = settles_ms {
            found.slowest_ms = Some(found.slowest_ms.map_or(settles_ms, |ms: i64| ms.min(settles_ms)));
        }
        if samples.is_missing {
            let remembered = spec.evidence.clusters.is_empty();
            doubts.push(Doubt::ClusterMissing { cluster: name(), remembered });
            continue;
        }
        let ahead_ms = samples.newest_ms.map_or(0, |ms| ms.saturating_sub(moment.now_ms));
        let slowest_ms = samples.slowest_ms.unwrap_or(samples.oldest_ms);
        let age_ms = moment.now_ms.saturating_sub(slowest_ms);
        if ahead_ms > MAX_AHEAD_MS {
            doubts.push(Doubt::FromTheFuture { cluster: name(), ahead_ms });
            continue;
        }
        if samples.slowest_ms.is_none() || age_ms > max_age_ms {
            doubts.push(Doubt::Stale { cluster: name(), age_ms, max_age_ms });
            continue;
        }
        if samples.silent_pods > 0 && spec.evidence.pods == PodEvidence::Auto && !moment.at_zero {
            doubts.push(Doubt::PodsSilent { cluster: name(), pods: samples.silent_pods });
        }
        match (settled_ms, samples.settles_ms) {
            (Some(settled_ms), Some(settles_ms)) if settles_ms < settled_ms => {
                let behind_ms = settled_ms.saturating_sub(settles_ms);
                doubts.push(Doubt::Unsettled { cluster: name(), behind_ms });
            }
            (None, Some(settles_ms)) => {
                let lag_ms = moment.now_ms.saturating_sub(settles_ms);
                let most_ms = spec.evidence.tolerable_lag_ms(moment.tolerance);
                if let Some(most_ms) = most_ms.filter(|most_ms| lag_ms > *most_ms) {
                    doubts.push(Doubt::Lagging { cluster: name(), lag_ms, most_ms });
                }
            }
            _ => {}
        }
    }
    // A settled value from long before the samples that are there by now.
    if let (Some(settled_ms), Some(slowest_ms)) = (settled_ms, found.slowest_ms) {
        let behind_ms = slowest_ms.saturating_sub(settled_ms);
        doubts.extend((behind_ms > longest_ms).then_some(Doubt::Outdated { behind_ms }));
    }
    if spec.evidence.pods == PodEvidence::Auto {
        doubts.extend(pods_missing(spec, selectors, known, moment));
    }
    found
}

/// The next settled time: while pods have no samples, none that is later than those that they had. They may be back at the
/// next answer, without what was scraped meanwhile; whoever is away for longer is not waited for.
pub(super) fn held_back(
    spec: &MetricSpec,
    known: &MetricHistory,
    moment: Moment<'_>,
    doubts: &[Doubt],
) -> Option<i64> {
    let longest_ms = moment.longest_behind_ms(spec);
    let is_short = |cluster: &&KnownCluster| {
        let mut of_pods = doubts.iter().filter(|doubt| doubt.is_of_pods());
        of_pods.any(|doubt| doubt.cluster() == Some(&cluster.name))
    };
    let lasts = known.clusters.iter().filter(is_short).filter_map(|cluster| cluster.slowest_ms);
    let recent = lasts.filter(|ms| moment.now_ms.saturating_sub(*ms) <= longest_ms);
    known.settled_ms.map(|settled_ms| recent.fold(settled_ms, i64::min))
}

/// A clock that was set ahead: the samples' times have a hole in which nothing was counted, and every window that it is
/// in reads low. It cannot be told from samples that catch up at once after a lag, of which windows are whole; both are
/// waited for as at first sight.
pub(super) fn stepped(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    known: &mut MetricHistory,
    moment: Moment<'_>,
) -> Option<Doubt> {
    let most_ms = spec.evidence.tolerable_lag_ms(moment.tolerance)?;
    let mut stepped = None;
    for cluster in &mut known.clusters {
        let newest_ms = together(selectors, &cluster.name).newest_ms;
        let Some(newest_ms) = newest_ms.filter(|ms| ms.saturating_sub(moment.now_ms) <= MAX_AHEAD_MS) else {
            continue;
        };
        let course = cluster.course.get_or_insert(Course {
            newest_ms,
            lag_ms: moment.now_ms.saturating_sub(newest_ms),
            step_ms: None,
        });
        let ahead_ms = course.go_on(newest_ms, moment.now_ms);
        if ahead_ms > most_ms {
            stepped = Some(Doubt::ClockStepped { cluster: cluster.name.clone(), ahead_ms });
        }
    }
    if stepped.is_some() {
        known.unwatch();
    }
    stepped
}

/// Fewer of the target's pods in its own cluster than have been ready for long enough to have samples. Only of
/// selectors whose series ever carried such pods.
fn pods_missing(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    known: &mut MetricHistory,
    moment: Moment<'_>,
) -> Option<Doubt> {
    let own = match known.clusters.as_slice() {
        clusters if clusters.iter().any(|cluster| cluster.name == *moment.cluster) => moment.cluster,
        [only] => &only.name,
        _ => return None,
    };
    let mut fewest = None;
    for (index, selector) in selectors.iter().enumerate().take(u64::BITS as usize) {
        let Some(samples) = of(selector, own).filter(|_| !selector.pinned) else { continue };
        if samples.pods > 0 {
            known.pods_seen |= 1 << index;
        }
        if known.pods_seen & (1 << index) != 0 {
            fewest = Some(fewest.map_or(samples.pods, |pods: u32| pods.min(samples.pods)));
        }
    }
    let fresh = fewest?;
    let since_ms = moment.now_ms.saturating_sub(spec.evidence.max_age_ms.max(0));
    let ready = moment.ready.least_since(since_ms).unsigned_abs();
    (fresh < ready && !moment.at_zero).then(|| Doubt::PodsMissing { cluster: own.clone(), fresh, ready })
}

/// The samples are there: a blind span ends, and another one begins at each cluster's slowest series.
pub(super) fn vouch(
    spec: &MetricSpec,
    selectors: &[SelectorSamples],
    found: &Found,
    known: &mut MetricHistory,
    moment: Moment<'_>,
    settled_ms: Option<i64>,
) {
    let mut from_ms = Some(i64::MAX);
    let (mut to_ms, mut gap_ms, mut skew_ms) = (i64::MIN, 0, 0);
    for cluster in &mut known.clusters {
        let samples = together(selectors, &cluster.name);
        let (Some(newest_ms), Some(slowest_ms)) = (samples.newest_ms, samples.settles_ms) else { continue };
        let before_ms = cluster.slowest_ms.replace(slowest_ms);
        from_ms = from_ms.zip(before_ms).map(|(from_ms, before_ms)| from_ms.min(before_ms));
        to_ms = to_ms.max(newest_ms);
        let blind_ms = before_ms.map_or(i64::MAX, |before_ms| newest_ms.saturating_sub(before_ms));
        gap_ms = blind_ms.max(gap_ms);
        skew_ms = newest_ms.saturating_sub(slowest_ms).max(skew_ms);
    }
    // By the samples' clock, whatever ours says.
    let Some(slowest_ms) = found.slowest_ms else { return };
    let end_ms = settled_ms.map_or(slowest_ms, |settled_ms| settled_ms.min(slowest_ms));
    let start_ms = end_ms.saturating_sub(spec.evidence.window_ms.max(0));
    known.coverage.forget_before(start_ms);
    if to_ms > start_ms {
        let is_gap = gap_ms > spec.longest_ordinary_ms(moment.interval_ms, skew_ms);
        known.coverage.add(BlindSpan { from_ms, to_ms, gap_ms, is_gap });
    }
}
