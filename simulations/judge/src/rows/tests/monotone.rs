//! Whatever goes wrong in addition turns no row that failed into one that held.

use proptest::prelude::*;
use simulations_load::recorder::{End, Recorder};

use super::*;

/// Something bad that happens in addition.
#[derive(Clone, Copy, Debug)]
enum Bad {
    /// A request that fails after so many milliseconds.
    Failed(u64),
    /// A request that is not sent.
    NotSent,
    /// A second of which the slo does not hold.
    Second(u64),
    /// A moment without any ready replica, from then until then.
    Down(u64, u64),
    /// A lowering that is taken back.
    Lowered(u64),
    /// A value that is low and believed.
    Believed(u64),
    /// A fault that hit nothing.
    Missed,
}

fn bad() -> impl Strategy<Value = Bad> {
    prop_oneof![
        (0..30_000u64).prop_map(Bad::Failed),
        Just(Bad::NotSent),
        (0..30u64).prop_map(Bad::Second),
        (1..29u64, 1..5u64).prop_map(|(from, long)| Bad::Down(from, from + long)),
        (1..29u64).prop_map(Bad::Lowered),
        (1..29u64).prop_map(Bad::Believed),
        Just(Bad::Missed),
    ]
}

/// What happened: latencies of requests, and `(second, wanted, ready)` of web.
#[derive(Clone, Debug)]
struct Run {
    answered_ms: Vec<u64>,
    replicas: Vec<(u64, i32, i32)>,
    bad: Vec<Bad>,
}

impl Run {
    fn timeline(&self) -> Timeline {
        let mut t = Timeline::default();
        for (at, name) in [(0, "quiet"), (10, "step"), (20, "later"), (30, "end")] {
            mark_at(&mut t, at, name);
        }
        policy(&mut t, 0, 200.0, true);
        let mut recorder = Recorder::default();
        for ms in &self.answered_ms {
            recorder.sent(Duration::ZERO);
            recorder.ended(Duration::from_millis(*ms), End::Ok);
        }
        let state = |at: u64| {
            let before = self.replicas.iter().rfind(|(s, ..)| *s <= at);
            before.map_or((2, 2), |(_, w, r)| (*w, *r))
        };
        // What one time without any ends, another may go on with.
        let downs = || {
            self.bad.iter().filter_map(|b| if let Bad::Down(from, to) = b { Some(*from..*to) } else { None })
        };
        let state = |at: u64| {
            let (wanted, ready) = state(at);
            (wanted, if downs().any(|down| down.contains(&at)) { 0 } else { ready })
        };
        let times = self.replicas.iter().map(|(at, ..)| *at).chain(downs().flat_map(|d| [d.start, d.end]));
        let mut changes: Vec<(u64, i32, i32)> = times.map(|at| (at, state(at).0, state(at).1)).collect();
        let mut seconds: Vec<Second> =
            (0..30).map(|second| Second { second, due: 9, over: 0, held: true }).collect();
        for bad in &self.bad {
            match bad {
                Bad::Failed(ms) => {
                    recorder.sent(Duration::ZERO);
                    recorder.ended(Duration::from_millis(*ms), End::Failed("broken"));
                }
                Bad::NotSent => recorder.dropped(),
                Bad::Second(second) => {
                    let second = &mut seconds[*second as usize];
                    (second.over, second.held) = (second.due, false);
                }
                Bad::Down(..) => {}
                Bad::Lowered(at) => {
                    changes.push((*at, state(*at).0 - 1, state(*at).1));
                    changes.push((*at, state(*at).0, state(*at).1));
                }
                Bad::Believed(at) => policy(&mut t, *at, 1.0, true),
                Bad::Missed => t.push(s(1), Event::Missed { fault: "f".into(), why: "none".into() }),
            }
        }
        changes.sort_by_key(|(s, ..)| *s);
        changes.into_iter().for_each(|(at, wanted, ready)| replicas(&mut t, at, wanted, ready));
        let total = |recorder| Event::LoadTotal {
            cluster: "east".into(),
            load: "web".into(),
            to: "web".into(),
            stage: None,
            lasted: s(30),
            recorder,
        };
        t.push(s(30), total(recorder));
        for second in seconds {
            t.push(s(30), Event::Slo { cluster: "east".into(), service: "web".into(), second });
        }
        t
    }
}

/// Rows that ask for something good.
const ROWS: &str = "
name: good
clusters: [east]
services: {web: {slo: p(95)<200}}
load: {to: web, stages: [{name: quiet, for: 10s, rate: 9}, {name: step, for: 10s, rate: 9}, {name: later, for: 10s, rate: 9}]}
thresholds: [p(95)<200, p(50)<=100, med<50, max<5s, avg<300, min<60, failed<3, failed<=5%, failed==0, rate>=1, p(50)>10]
expect:
- sloViolations: {service: web, atMost: 5%}
- sloViolations: {service: web, atMost: 5%, of: requests}
- neverBelow: {workload: east/web, atLeast: 2, from: quiet, to: end}
- neverLowered: {from: quiet, to: end}
- settles: {workload: east/web, after: step, within: 9s}
- neverLowered: {from: step, to: later, unless: askedBefore}
- doubts: {policy: east/web-scaler, from: step, to: end, share: 0.5}
";

proptest! {
    #[test]
    fn what_goes_wrong_in_addition_turns_no_failed_row_into_one_that_held(
        answered_ms in proptest::collection::vec(1..6_000u64, 1..40),
        replicas in proptest::collection::vec((0..30u64, 1..6i32, 0..6i32), 0..6),
        already in proptest::collection::vec(bad(), 0..4),
        more in bad(),
    ) {
        let scenario: Scenario = thanos_telemetry::cli::parse_yaml(ROWS).unwrap();
        let mut replicas = [vec![(0, 2, 2)], replicas].concat();
        replicas.sort_by_key(|(s, ..)| *s);
        replicas.dedup_by_key(|(s, ..)| *s);
        let before = Run { answered_ms, replicas, bad: already };
        let mut after = before.clone();
        after.bad.push(more);
        let named = |run: &Run| -> Vec<Row> {
            judge(&scenario, &run.timeline()).into_iter().filter(|r| r.key != "fault").collect()
        };
        for (was, is) in named(&before).iter().zip(named(&after)) {
            prop_assert!(was.held || !is.held, "{}: {} became {} by {:?}", is.expectation, was.found, is.found, more);
        }
    }
}
