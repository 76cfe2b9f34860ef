//! What the loads plan to send a workload, and the replicas that it takes.

use super::{time, value};
use crate::record::{Rate, Record, Stage, Workload};
use crate::series::Point;

/// Straight lines of which the plan is made, and moments of each.
const LINES_MAX: usize = 1_000;
const MOMENTS_MAX: u32 = 600;

/// As recorded, else as the stages ask; nothing of what the run ended before.
pub(super) fn of(workload: &Workload, stages: Option<&[Point]>, length_s: f64) -> Vec<Point> {
    let mut points: Vec<Point> = match &workload.planned {
        Some(rates) => rates.iter().map(|r| (time(r.at_s), value(r.rps))).collect(),
        None => stages.unwrap_or_default().to_vec(),
    };
    points.retain(|p| p.0 <= length_s);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The rate of a record's only load, moment by moment. Which service each of several loads reaches, its stages do
/// not say.
pub(super) fn by_stages(record: &Record) -> Option<Vec<Point>> {
    let load = record.stages.first().map(|s| s.load.as_str());
    if record.stages.iter().any(|s| Some(s.load.as_str()) != load) {
        return None;
    }
    let mut points = Vec::new();
    for (from, to) in record.stages.iter().flat_map(lines).take(LINES_MAX) {
        let length_s = time(to.0 - from.0);
        let moments = if from.1 == to.1 { 1 } else { (length_s as u32).clamp(1, MOMENTS_MAX) };
        for i in 0..moments {
            let share = f64::from(i) / f64::from(moments);
            points.push((from.0 + length_s * share, from.1 * (1.0 - share) + to.1 * share));
        }
    }
    Some(points)
}

/// A stage's one line, or those between a recorded load's points.
fn lines(stage: &Stage) -> Vec<(Point, Point)> {
    let point = |r: &Rate| (time(r.at_s), value(r.rps));
    match stage.points.as_deref() {
        Some(points @ [_, _, ..]) => {
            points.windows(2).filter_map(|w| Some((point(w.first()?), point(w.last()?)))).collect()
        }
        _ => vec![((time(stage.start_s), value(stage.from_rps)), (time(stage.end_s), value(stage.to_rps)))],
    }
}

/// The fewest replicas for each moment, and at least one for the next request.
pub(super) fn demand(planned: &[Point], sustains_rps: f64) -> Vec<Point> {
    planned.iter().map(|(at_s, rps)| (*at_s, value((rps / sustains_rps).ceil().max(1.0)))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_plan_is_as_recorded_else_the_only_load_s_stages() {
        let ramp = json!({"load": "a", "startS": 0, "endS": 4, "fromRps": 10, "toRps": 30});
        let mut series = ramp.clone();
        series["points"] = json!([{"atS": 0, "rps": 10}, {"atS": 2, "rps": 50}, {"atS": 3, "rps": 50}, {"atS": 4, "rps": 30}]);
        let mut other = ramp.clone();
        other["load"] = json!("b");
        let steps = json!({"planned": [{"atS": 0, "rps": 7}, {"atS": 3, "rps": 61}]});
        let cases: [(Value, Value, &[f64], &[f64]); 5] = [
            (json!([ramp]), json!({}), &[10.0, 15.0, 20.0, 25.0], &[1.0, 1.0, 1.0, 2.0]),
            (json!([series]), json!({}), &[10.0, 30.0, 50.0, 50.0], &[1.0, 2.0, 3.0, 3.0]),
            (json!([ramp, other]), json!({}), &[], &[]),
            (json!([ramp, other]), steps.clone(), &[7.0, 61.0], &[1.0, 4.0]),
            (json!([]), steps, &[7.0, 61.0], &[1.0, 4.0]),
        ];
        for (stages, workload, rates, replicas) in cases {
            let record: Record = serde_json::from_value(json!({"stages": stages})).unwrap();
            let found = of(&serde_json::from_value(workload).unwrap(), by_stages(&record).as_deref(), 10.0);
            assert_eq!(found.iter().map(|p| p.1).collect::<Vec<_>>(), rates, "{stages}");
            assert_eq!(demand(&found, 20.0).iter().map(|p| p.1).collect::<Vec<_>>(), replicas, "{stages}");
        }
    }
}
