use std::time::Duration;

use simulations_load::recorder::End;

use super::*;

fn timeline() -> Timeline {
    let mut t = Timeline::default();
    for (cluster, stage, slow_ms) in
        [("east", None, 400), ("west", None, 100), ("east", Some("step"), 400), ("west", Some("step"), 100)]
    {
        let mut recorder = Recorder::default();
        for i in 0..100u64 {
            recorder.sent(Duration::ZERO);
            let latency = Duration::from_millis(if i < 90 { 10 } else { slow_ms });
            recorder.answered_before_the_end();
            recorder
                .ended(latency, if i == 0 && cluster == "east" { End::Failed("timeout") } else { End::Ok });
        }
        let (cluster, stage) = (cluster.to_owned(), stage.map(str::to_owned));
        let (load, to, lasted) = ("users".into(), "front".into(), Duration::from_secs(10));
        t.push(Duration::ZERO, Event::LoadTotal { cluster, load, to, stage, lasted, recorder });
    }
    t
}

fn held(that: &str, cluster: Option<&str>, stage: Option<&str>) -> bool {
    let that: Condition = that.parse().unwrap();
    let (stage, cluster) = (stage.map(str::to_owned), cluster.map(str::to_owned));
    let t = Threshold { stage, cluster, ..that.into() };
    super::threshold(&t, &timeline()).is_ok()
}

#[test]
fn figures_are_compared_both_ways() {
    for (that, cluster, want) in [
        ("p(95)<200", Some("west"), true),
        ("p(95)<200", Some("east"), false),
        ("p(95)<0.2s", Some("west"), true),
        // The one that failed is not one of the fast.
        ("p(90) <= 11ms", None, false),
        ("p(89) <= 11ms", None, true),
        ("med<11", None, true),
        ("min<=10.01", None, true),
        ("max>300", None, true),
        ("max<300", None, false),
        ("avg<40", Some("west"), true),
        ("avg<40", Some("east"), false),
        ("failed==0", Some("west"), true),
        ("failed==0", None, false),
        ("failed!=1", None, false),
        ("failed<1%", Some("east"), false),
        ("failed<1%", None, true),
        ("count==200", None, true),
        ("count==100", Some("west"), true),
        ("rate>=19.9", None, true),
        ("rate>20", None, false),
    ] {
        assert_eq!(held(that, cluster, None), want, "{that} on {cluster:?}");
    }
    assert!(held("count==100", Some("east"), Some("step")));
    assert!(!held("count>=0", None, Some("never")), "no request proves nothing");
}

#[test]
fn a_service_is_the_one_that_the_load_is_sent_to() {
    for (service, want) in [("front", true), ("web", false)] {
        let that: Condition = "count==200".parse().unwrap();
        let t = Threshold { service: Some(service.into()), ..that.into() };
        assert_eq!(super::threshold(&t, &timeline()).is_ok(), want, "{service}");
    }
}

#[test]
fn a_percentile_is_no_rank_too_high_by_rounding() {
    // 15 of 29 are the median and what is below it.
    for n in [29u64, 31, 57, 101, 2119] {
        let mut recorder = Recorder::default();
        for i in 0..n {
            recorder.sent(Duration::ZERO);
            recorder.ended(Duration::from_millis(if i < n.div_ceil(2) { 10 } else { 900 }), End::Ok);
        }
        assert!(judge(&"med<200".parse().unwrap(), &recorder, Duration::from_secs(1)).is_ok(), "{n}");
    }
}

#[test]
fn failing_fast_is_no_speed() {
    let recorder = |answered_ms: &[u64], failed: u32, dropped: u32| {
        let mut r = Recorder::default();
        for ms in answered_ms {
            r.sent(Duration::ZERO);
            r.ended(Duration::from_millis(*ms), End::Ok);
        }
        for _ in 0..failed {
            r.sent(Duration::ZERO);
            r.ended(Duration::from_millis(1), End::Failed("connect"));
        }
        (0..dropped).for_each(|_| r.dropped());
        r
    };
    for (that, answered, failed, dropped, want) in [
        ("p(95)<200", &[10; 19][..], 0, 0, true),
        ("p(95)<200", &[10; 19], 1, 0, true),
        ("p(95)<200", &[10; 18], 2, 0, false),
        ("p(95)<200", &[10; 18], 0, 2, false),
        ("p(95)<200", &[], 20, 0, false),
        ("med<200", &[], 0, 1, false),
        ("max<19s", &[10], 1, 0, false),
        ("min<19s", &[10], 9, 0, true),
        ("min<19s", &[], 9, 0, false),
        ("avg<1s", &[10; 9], 1, 0, false),
        ("avg<3s", &[10; 9], 1, 0, true),
        // Neither does it help where a latency must be long.
        ("p(95)>200", &[300; 10], 0, 0, true),
        ("min>200", &[300; 10], 1, 0, false),
        ("med>=200", &[300; 5], 6, 0, false),
    ] {
        let found =
            judge(&that.parse().unwrap(), &recorder(answered, failed, dropped), Duration::from_secs(1));
        assert_eq!(found.is_ok(), want, "{that}: {answered:?}, {failed}, {dropped}: {found:?}");
    }
}
