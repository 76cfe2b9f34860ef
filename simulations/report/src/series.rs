//! Series made small enough to draw, without losing their extremes.

use std::collections::BTreeMap;

/// `(seconds, value)`.
pub(crate) type Point = (f64, f64);

/// Stretches that a drawn series is cut into: about what a wide screen can tell apart.
pub(crate) const STRETCHES: usize = 480;

/// At most four points a stretch: the first, the lowest, the highest and the last. Few points stay as they are.
pub(crate) fn thin(points: &[Point], length_s: f64) -> Vec<Point> {
    if points.len() <= STRETCHES * 2 {
        return points.to_vec();
    }
    let stretch = |p: &Point| (p.0 / length_s * STRETCHES as f64) as usize;
    let mut out = Vec::with_capacity(STRETCHES * 4);
    for group in points.chunk_by(|a, b| stretch(a) == stretch(b)) {
        let extreme = |sign: f64| {
            let by = |a: &(usize, &Point), b: &(usize, &Point)| (a.1.1 * sign).total_cmp(&(b.1.1 * sign));
            group.iter().enumerate().min_by(by).map_or(0, |(i, _)| i)
        };
        let mut keep = [0, extreme(1.0), extreme(-1.0), group.len() - 1];
        keep.sort_unstable();
        let mut last = None;
        for i in keep.into_iter().filter(|i| last.replace(*i) != Some(*i)) {
            out.extend(group.get(i));
        }
    }
    out
}

/// What stands for a stretch of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Mean,
    Median,
    Highest,
}

/// Second by second where that can be told apart, else a point a stretch. Drawn with their extremes, the seconds of a day
/// are a solid block whatever they were.
pub(crate) fn seconds(points: &[Point], length_s: f64, of: Of) -> Vec<Point> {
    if !is_stretched(points) {
        return points.to_vec();
    }
    let stretch = |p: &Point| (p.0 / length_s * STRETCHES as f64) as usize;
    let one = |group: &[Point]| {
        let mut values: Vec<f64> = group.iter().map(|p| p.1).collect();
        values.sort_by(f64::total_cmp);
        let value = match of {
            Of::Mean => Some(values.iter().sum::<f64>() / values.len() as f64),
            Of::Median => values.get(values.len() / 2).copied(),
            Of::Highest => values.last().copied(),
        };
        Some((group.first()?.0, value?))
    };
    points.chunk_by(|a, b| stretch(a) == stretch(b)).filter_map(one).collect()
}

/// Whether a point of what is drawn stands for several seconds.
pub(crate) fn is_stretched(points: &[Point]) -> bool {
    points.len() > STRETCHES * 2
}

/// The last value at or before a time.
pub(crate) fn value_at(points: &[Point], at_s: f64) -> Option<f64> {
    let after = points.partition_point(|p| p.0 <= at_s);
    after.checked_sub(1).and_then(|i| points.get(i)).map(|p| p.1)
}

/// `ready × factor`, for a line of capacity.
pub(crate) fn scaled(points: &[Point], factor: f64) -> Vec<Point> {
    points.iter().map(|(t, v)| (*t, v * factor)).collect()
}

/// The lowest of several series that hold their values, from when all have begun.
pub(crate) fn lowest_of(all: &[Vec<Point>]) -> Vec<Point> {
    if let [one] = all {
        return one.clone();
    }
    let mut points: Vec<(f64, usize, f64)> =
        all.iter().enumerate().flat_map(|(i, s)| s.iter().map(move |p| (p.0, i, p.1))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Each series' last value, and how many are at each: values are not below zero, so their bits are in their order.
    let mut now: Vec<Option<u64>> = vec![None; all.len()];
    let mut at: BTreeMap<u64, usize> = BTreeMap::new();
    let mut begun = 0;
    let mut out = Vec::new();
    for group in points.chunk_by(|a, b| a.0 == b.0) {
        for (_, i, value) in group {
            let Some(last) = now.get_mut(*i) else { continue };
            let bits = value.max(0.0).to_bits();
            match last.replace(bits) {
                None => begun += 1,
                Some(before) => {
                    if let Some(left) = at.get_mut(&before).map(|n| std::mem::replace(n, n.saturating_sub(1)))
                        && left <= 1
                    {
                        at.remove(&before);
                    }
                }
            }
            *at.entry(bits).or_default() += 1;
        }
        if begun == all.len()
            && let Some(((at_s, ..), lowest)) = group.first().zip(at.keys().next())
        {
            out.push((*at_s, f64::from_bits(*lowest)));
        }
    }
    out
}

/// The highest value.
pub(crate) fn highest<'a>(points: impl IntoIterator<Item = &'a Point>) -> f64 {
    points.into_iter().map(|p| p.1).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes_and_the_ends_and_is_bounded() {
        let mut points: Vec<Point> = (0..100_000).map(|i| (f64::from(i), 5.0)).collect();
        points[77_777].1 = 1e6;
        points[33_333].1 = -1.0;
        let thinned = thin(&points, 100_000.0);
        assert!(thinned.len() <= STRETCHES * 4, "{}", thinned.len());
        for kept in [points[0], points[77_777], points[33_333], points[99_999]] {
            assert!(thinned.contains(&kept), "{kept:?}");
        }
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thin(&points[..10], 10.0), &points[..10]);
    }

    #[test]
    fn seconds_are_one_by_one_until_there_are_too_many() {
        let few: Vec<Point> = (0..900).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        assert_eq!(seconds(&few, 900.0, Of::Mean), few);
        // One failure in each hundred seconds of a day.
        let day: Vec<Point> =
            (0..86_400).map(|i| (f64::from(i), f64::from(u8::from(i % 100 == 0)))).collect();
        let mean = seconds(&day, 86_400.0, Of::Mean);
        assert!(mean.len() <= STRETCHES && mean.iter().all(|p| p.1 < 0.02), "{mean:?}");
        assert!(seconds(&day, 86_400.0, Of::Highest).iter().all(|p| p.1 == 1.0));
        assert!(seconds(&day, 86_400.0, Of::Median).iter().all(|p| p.1 == 0.0));
    }

    #[test]
    fn a_chain_carries_what_its_weakest_link_does() {
        let (front, web) = (vec![(0.0, 80.0), (5.0, 160.0)], vec![(1.0, 24.0), (6.0, 192.0)]);
        assert_eq!(lowest_of(&[front, web]), [(1.0, 24.0), (5.0, 24.0), (6.0, 160.0)]);
        assert_eq!(lowest_of(&[]), []);
        let three =
            [vec![(0.0, 3.0), (2.0, 1.0), (4.0, 5.0)], vec![(0.0, 3.0), (3.0, 9.0)], vec![(1.0, 4.0)]];
        assert_eq!(lowest_of(&three), [(1.0, 3.0), (2.0, 1.0), (3.0, 1.0), (4.0, 4.0)]);
    }

    #[test]
    fn a_value_holds_until_the_next() {
        let points = [(1.0, 10.0), (2.0, 20.0)];
        for (at, value) in [(0.5, None), (1.0, Some(10.0)), (1.9, Some(10.0)), (9.0, Some(20.0))] {
            assert_eq!(value_at(&points, at), value);
        }
    }
}
