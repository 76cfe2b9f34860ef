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
    let that = that.parse().unwrap();
    let t = Threshold { that, stage: stage.map(str::to_owned), cluster: cluster.map(str::to_owned) };
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
