//! A recorded series as load: points in time become stages. Pure.
//!
//! ```text
//!  CSV ─► points (seconds, value) ─► stages: from each point straight to the next, times by speed, values by scale
//! ```
//!
//! Straight lines, not steps: a series is a sample of something that also moved in between, and a jump at every
//! point would be load that nobody recorded.

use std::time::Duration;

use jiff::Timestamp;

use crate::schedule::{RATE_MAX_RPS, Stage};

/// A day in seconds is 86,400.
pub const POINTS_MAX: usize = 100_000;

/// As played; longer is a mistake in a time.
const LENGTH_MAX_S: f64 = 366.0 * 86_400.0;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds from any moment; only distances count.
    pub at_s: f64,
    /// Requests per second, before scaling.
    pub value: f64,
}

/// Reads CSV: rows of `time,value`, with times in RFC 3339, Unix seconds or seconds from the start; with `step`, rows
/// of one value each. A first row of names, rows that begin with `#`, and empty rows are passed over.
///
/// # Errors
/// What is wrong, with its row.
pub fn parse_csv(text: &str, step: Option<Duration>) -> Result<Vec<Point>, String> {
    let mut points: Vec<Point> = Vec::new();
    let mut header_may_come = true;
    for (row, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header_may_come = std::mem::take(&mut header_may_come);
        let bad = |what: String| Err(format!("row {row}: {what}"));
        let columns: Vec<&str> = line.split(',').map(|c| c.trim().trim_matches('"').trim()).collect();
        let (at, value) = match (&columns[..], step) {
            ([value], Some(step)) => (Ok(points.len() as f64 * step.as_secs_f64()), *value),
            ([time, value], None) => (seconds(time), *value),
            ([_], None) => return bad("one value a row needs `step`, for example 1s".into()),
            ([_, _], Some(_)) => return bad("rows have a time of their own, so leave out `step`".into()),
            (all, _) => return bad(format!("{} columns; write time,value", all.len())),
        };
        let number = value.parse::<f64>();
        if header_may_come && number.is_err() && (step.is_some() || at.is_err()) {
            continue;
        }
        let at_s = at.map_err(|e| format!("row {row}: {e}"))?;
        let value = match number {
            Ok(v) if v.is_finite() && v >= 0.0 => v,
            _ => return bad(format!("{value:?} is no number from 0 on")),
        };
        if points.last().is_some_and(|p| p.at_s >= at_s) {
            return bad("its time is not after the one before".into());
        }
        if points.len() == POINTS_MAX {
            return bad(format!("more than {POINTS_MAX} points"));
        }
        points.push(Point { at_s, value });
    }
    Ok(points)
}

fn seconds(time: &str) -> Result<f64, String> {
    if let Some(seconds) = time.parse::<f64>().ok().filter(|s| s.is_finite()) {
        return Ok(seconds);
    }
    let stamp: Result<Timestamp, _> = time.parse();
    stamp.map(|t| t.as_duration().as_secs_f64()).map_err(|_| {
        format!("{time:?} is no time: write 2026-01-01T00:00:00Z, Unix seconds, or seconds from the start")
    })
}

/// The stages that play a series: `speed` times as fast, `scale` times as much.
///
/// # Errors
/// What cannot be played, with its point.
pub fn stages(points: &[Point], speed: f64, scale: f64) -> Result<Vec<Stage>, String> {
    playable(speed, scale)?;
    let (Some(first), true) = (points.first(), points.len() >= 2) else {
        return Err(format!("a series has at least 2 points, this has {}", points.len()));
    };
    if points.len() > POINTS_MAX {
        return Err(format!("{} points are more than {POINTS_MAX}", points.len()));
    }
    let play = |(i, p): (usize, &Point)| {
        let at_s = p.at_s - first.at_s;
        let bad = |what: String| Err(format!("point {}, {at_s} s from the start: {what}", i + 1));
        let (played_s, rps) = (at_s / speed, p.value * scale);
        if !(0.0..=LENGTH_MAX_S).contains(&played_s) {
            return bad("not within a year of the first".into());
        }
        if !(0.0..=RATE_MAX_RPS).contains(&rps) {
            return bad(format!("{rps} is not a rate from 0 to {RATE_MAX_RPS} requests per second"));
        }
        Ok((Duration::from_secs_f64(played_s), rps))
    };
    let played: Vec<(Duration, f64)> = points.iter().enumerate().map(play).collect::<Result<_, _>>()?;
    // Lengths are differences of rounded offsets, so that rounding does not add up.
    let stage = |(i, w): (usize, &[(Duration, f64)])| match w {
        [(from, from_rps), (to, to_rps)] if to > from => {
            Ok(Stage { duration: *to - *from, from_rps: *from_rps, to_rps: *to_rps })
        }
        _ => Err(format!("point {}: is not after the one before, as it is played", i + 2)),
    };
    played.windows(2).enumerate().map(stage).collect()
}

/// Whether a series can be played so.
///
/// # Errors
/// The one that is out of bounds, by its name.
pub fn playable(speed: f64, scale: f64) -> Result<(), String> {
    for (name, value) in [("speed", speed), ("scale", scale)] {
        if !(1e-6..=1e6).contains(&value) {
            return Err(format!("`{name}` is above 0, up to a million, not {value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(text: &str, step: Option<u64>) -> Result<Vec<(f64, f64)>, String> {
        let points = parse_csv(text, step.map(Duration::from_secs))?;
        Ok(points.iter().map(|p| (p.at_s - points[0].at_s, p.value)).collect())
    }

    #[test]
    fn times_are_read_in_every_form() {
        let want = [(0.0, 10.0), (60.0, 20.0), (90.0, 5.5)];
        for text in [
            "0,10\n60,20\n90,5.5\n",
            "\u{feff}# made by hand\ntime,value\r\n\r\n5,10\r\n65,20\r\n# a pause\r\n95,5.5",
            "\"Time\",\"sum(rate)\"\n\"1767225600\",\"10\"\n\"1767225660\",\"20\"\n\"1767225690\",\"5.5\"",
            "t,v\n2026-01-01T00:00:00Z, 10\n2026-01-01T01:01:00+01:00, 20\n2026-01-01T00:01:30Z, 5.5",
        ] {
            assert_eq!(points(text, None).unwrap(), want, "{text}");
        }
        assert_eq!(points("rps\n1\n2\n", Some(15)).unwrap(), [(0.0, 1.0), (15.0, 2.0)]);
    }

    #[test]
    fn what_is_wrong_has_its_row() {
        for (text, step, want) in [
            ("0,1\n1,x\n", None, "row 2: \"x\" is no number"),
            ("0,1\n1,NaN\n", None, "row 2: \"NaN\" is no number"),
            ("0,1\n1,\n", None, "row 2: \"\" is no number"),
            ("0,-1\n", None, "row 1: \"-1\" is no number"),
            ("0,oops\n1,2\n", None, "row 1: \"oops\" is no number"),
            ("t,v\nt,v\n", None, "row 2: \"t\" is no time"),
            ("# c\n0,1\n\n0,2\n", None, "row 4: its time is not after"),
            ("0,1\nnoon,2\n", None, "row 2: \"noon\" is no time: write 2026-"),
            ("0,1,2\n", None, "row 1: 3 columns"),
            ("1\n2\n", None, "row 1: one value a row needs `step`"),
            ("0,1\n", Some(1), "row 1: rows have a time of their own"),
            ("1\n2\n", Some(0), "row 2: its time is not after"),
        ] {
            let error = points(text, step).unwrap_err();
            assert!(error.contains(want), "{want:?} is not in: {error}");
        }
        let long: String = (0..=POINTS_MAX).map(|i| format!("{i},1\n")).collect();
        assert!(points(&long, None).unwrap_err().contains("row 100001: more than 100000 points"));
    }

    #[test]
    fn stages_go_straight_from_point_to_point() {
        let points = parse_csv("0,10\n60,20\n90,20\n", None).unwrap();
        let shown = |speed, scale| -> Vec<String> {
            stages(&points, speed, scale).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown(1.0, 1.0), ["60s@10..20", "30s@20"]);
        assert_eq!(shown(10.0, 0.5), ["6s@5..10", "3s@10"]);
        for (speed, scale, want) in [
            (0.0, 1.0, "`speed` is above 0"),
            (f64::NAN, 1.0, "`speed` is above 0"),
            (1.0, -1.0, "`scale` is above 0"),
            (1.0, 1e6, "point 1, 0 s from the start: 10000000 is not a rate"),
        ] {
            let error = stages(&points, speed, scale).unwrap_err();
            assert!(error.contains(want), "{want:?} is not in: {error}");
        }
        assert!(stages(&points[..1], 1.0, 1.0).unwrap_err().contains("at least 2 points, this has 1"));
        let at = |at_s| Point { at_s, value: 1.0 };
        assert!(stages(&[at(0.0), at(1e9)], 1.0, 1.0).unwrap_err().contains("point 2, 1000000000 s"));
        assert!(stages(&[at(0.0), at(1e-10)], 1.0, 1.0).unwrap_err().contains("point 2: is not after"));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_bounded_stages(
            text in "([-0-9.,e\"#TZ:\n]|nan|inf|time,value\n|[0-9]{1,3},[0-9]{1,3}\n|\\PC){0,60}",
            step in proptest::option::of(0u64..3),
            speed in proptest::num::f64::ANY,
            scale in proptest::num::f64::ANY,
        ) {
            let Ok(points) = parse_csv(&text, step.map(Duration::from_secs)) else { return Ok(()) };
            prop_assert!(points.len() <= POINTS_MAX);
            for (speed, scale) in [(1.0, 1.0), (speed, scale)] {
                let Ok(stages) = stages(&points, speed, scale) else { continue };
                prop_assert_eq!(stages.len(), points.len() - 1);
                let within = |rps| (0.0..=RATE_MAX_RPS).contains(&rps);
                prop_assert!(stages.iter().all(|s| within(s.from_rps) && within(s.to_rps) && !s.duration.is_zero()));
                let length: Duration = stages.iter().map(|s| s.duration).sum();
                prop_assert!(length.as_secs_f64() <= LENGTH_MAX_S);
            }
        }
    }
}
