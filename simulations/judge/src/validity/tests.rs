use std::time::Duration;

use simulations_load::recorder::{End, NotSent, Recorder};

use super::*;

const STRICT: Lateness = Lateness { max: SEND_LAG_P99_MAX, only_where_it_matters: false };
const LENIENT: Lateness = Lateness { only_where_it_matters: true, ..STRICT };

/// A load of 100 requests, so many of them late, and what became of its generator.
fn run(late: u64, lag_ms: u64, sent: Option<Event>) -> Timeline {
    let mut recorder = Recorder::default();
    for i in 0..100 {
        recorder.sent(Duration::from_millis(if i < late { lag_ms } else { 0 }));
        recorder.ended(Duration::from_millis(20), End::Ok);
    }
    of(recorder, sent)
}

fn of(recorder: Recorder, sent: Option<Event>) -> Timeline {
    let mut t = Timeline::default();
    let total = |stage: Option<&str>, recorder| Event::LoadTotal {
        cluster: "east".into(),
        load: "users".into(),
        to: "web".into(),
        stage: stage.map(str::to_owned),
        lasted: Duration::from_secs(1),
        recorder,
    };
    t.push(Duration::ZERO, total(None, recorder));
    if let Some(sent) = sent {
        t.push(Duration::ZERO, sent);
    }
    t
}

fn sent(broke: Option<&str>) -> Option<Event> {
    let broke = broke.map(str::to_owned);
    Some(Event::Sent { cluster: "east".into(), load: "users".into(), broke })
}

fn scenario(thresholds: &str) -> Scenario {
    let text = format!(
        "{{name: s, clusters: [east], services: {{web: {{}}}}, thresholds: [{thresholds}], load: {{name: users, to: web, \
         stages: [{{name: a, for: 1s, rate: 100}}]}}}}"
    );
    thanos_telemetry::cli::parse_yaml(&text).unwrap()
}

fn held(t: &Timeline, thresholds: &str, lateness: Lateness) -> (bool, usize) {
    let scenario = scenario(thresholds);
    let found = judge(&scenario, t, &crate::rows::judge(&scenario, t), lateness);
    (found.rows.iter().all(|r| r.held), found.warnings.len())
}

#[test]
fn a_generator_that_did_not_send_as_planned_makes_the_run_invalid() {
    let mut no_descriptor = Recorder::default();
    no_descriptor.sent(Duration::ZERO);
    no_descriptor.ended(Duration::ZERO, End::Own("too many open files"));
    // A service that hangs holds every slot: its rows say so, and the run is valid.
    let mut hanging = Recorder::default();
    hanging.not_sent(NotSent::Saturated);
    for (t, want) in [
        (run(0, 0, sent(None)), true),
        (run(0, 0, sent(Some("the pacer panicked"))), false),
        (run(0, 0, None), false),
        (run(1, 50, sent(None)), true),
        (run(2, 50, sent(None)), false),
        (of(no_descriptor, sent(None)), false),
        (of(hanging, sent(None)), true),
        (Timeline::default(), false),
    ] {
        assert_eq!(held(&t, "", STRICT).0, want, "{t:?}");
    }
}

#[test]
fn what_the_harness_did_late_makes_the_run_invalid() {
    let mut t = run(0, 0, sent(None));
    t.push(Duration::ZERO, Event::Late { what: "fault \"cut\"".into(), how: "began 1.3 s late".into() });
    for lateness in [STRICT, LENIENT] {
        assert!(!held(&t, "", lateness).0);
    }
}

#[test]
fn how_late_is_too_late_can_be_said() {
    let t = run(50, 13, sent(None));
    for (max_ms, want) in [(5, false), (12, false), (14, true)] {
        let lateness = Lateness { max: Duration::from_millis(max_ms), ..STRICT };
        assert_eq!(held(&t, "", lateness).0, want, "{max_ms}");
    }
}

#[test]
fn a_stage_may_not_be_late_as_a_whole() {
    let mut t = run(0, 0, sent(None));
    let mut recorder = Recorder::default();
    (0..10).for_each(|_| recorder.sent(Duration::from_millis(40)));
    t.push(
        Duration::ZERO,
        Event::LoadTotal {
            cluster: "east".into(),
            load: "users".into(),
            to: "web".into(),
            stage: Some("short".into()),
            lasted: Duration::from_secs(1),
            recorder,
        },
    );
    assert!(!held(&t, "", STRICT).0);
}

#[test]
fn lateness_is_a_warning_where_asked_for_and_where_it_changed_no_row() {
    let late = |ms| run(50, ms, sent(None));
    for (t, thresholds, want) in [
        (late(13), "failed==0", (true, 1)),
        (late(13), "p(95)<100", (true, 1)),
        // It might have held.
        (late(13), "p(95)<10", (false, 0)),
        // It has failed for another reason.
        (late(13), "failed>1", (true, 1)),
        (late(300), "failed==0", (false, 0)),
        (run(0, 0, sent(None)), "p(95)<10", (true, 0)),
        // What is worse than late is no warning.
        (run(50, 13, sent(Some("the pacer panicked"))), "failed==0", (false, 0)),
    ] {
        assert_eq!(held(&t, thresholds, LENIENT), want, "{thresholds}");
    }
}
