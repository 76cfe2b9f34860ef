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
    t.judge(&timeline()).is_ok()
}

#[test]
fn figures_are_compared_both_ways() {
    for (that, cluster, want) in [
        ("p(95)<200", Some("west"), true),
        ("p(95)<200", Some("east"), false),
        ("p(95)<0.2s", Some("west"), true),
        ("p(90) <= 11ms", None, true),
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
        assert_eq!(t.judge(&timeline()).is_ok(), want, "{service}");
    }
}

#[test]
fn what_may_still_come_to_hold_breaks_no_run_off() {
    for (text, want) in [
        ("p(95)<200", true),
        ("avg<200", true),
        ("max<200", true),
        ("failed==0", true),
        ("failed<5", true),
        ("failed<1%", true),
        ("count<100", true),
        ("rate<100", true),
        ("rate>100", false),
        ("count>=100", false),
        ("count==100", false),
        ("failed>1", false),
        ("max>1", false),
        ("min<1", false),
        ("p(95)!=1", false),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap().may_abort().is_ok(), want, "{text}");
    }
}

#[test]
fn what_is_no_threshold_says_what_would_be() {
    for (text, says) in [
        ("p(95)", "no operator"),
        ("p(95)<", "no number"),
        ("p(95)<-1", "no number"),
        ("p(101)<1", "no figure"),
        ("fialed==0", "`failed`"),
        ("p(95)<200rps", "not a unit of time"),
        ("rate>100ms", "no unit"),
        ("failed<1s", "no unit"),
        ("", "no operator"),
        ("<1", "no figure"),
        ("é<1", "no figure"),
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert!(error.contains(says) && error.contains("write for example"), "{text}: {error}");
    }
}
