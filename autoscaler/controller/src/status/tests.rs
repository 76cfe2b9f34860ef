use super::*;

fn status(change: impl FnOnce(&mut ScalingPolicyStatus)) -> ScalingPolicyStatus {
    let mut status = ScalingPolicyStatus {
        desired_replicas: Some(2),
        metrics: vec![MetricStatus {
            name: "m".into(),
            value: Some("1".into()),
            sufficient: true,
            ..Default::default()
        }],
        ..Default::default()
    };
    say(
        &mut status.conditions,
        vec![Said::new("AbleToScale", true, "ReadyForNewScale", "1 s old")],
        None,
        Timestamp::UNIX_EPOCH,
    );
    change(&mut status);
    status
}

#[test]
fn what_matters_is_written_at_once_and_what_drifts_seldom() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let refresh = Duration::from_secs(10);
    let written = status(|_| {});
    let drifted = status(|s| {
        s.metrics[0].value = Some("2".into());
        s.conditions[0].message = "2 s old".into();
    });
    let replicas = status(|s| s.desired_replicas = Some(3));
    let lost = status(|s| s.metrics[0].sufficient = false);
    let reason = status(|s| s.conditions[0].reason = "ScaleDownStabilized".into());
    let cases = [
        (status(|_| {}), 60_000, false),
        (drifted.clone(), 9_999, false),
        (drifted, 10_000, true),
        (replicas.clone(), 999, false),
        (replicas, 1_000, true),
        (lost, 1_000, true),
        (reason, 1_000, true),
    ];
    for (i, (new, ms, due)) in cases.iter().enumerate() {
        assert_eq!(is_due(Some(&written), new, Some(start), at(*ms), refresh), *due, "case {i}");
    }
    assert!(is_due(None, &written, None, start, refresh));
    assert!(!is_due(None, &written, Some(start), at(999), refresh), "a failed write is not repeated at once");
}

#[test]
fn transition_times_move_with_the_status_only() {
    let later = Timestamp::from_second(100).unwrap();
    let mut conditions = status(|_| {}).conditions;
    let said = |status, reason: &str| vec![Said::new("AbleToScale", status, reason, "")];
    assert_eq!(say(&mut conditions, said(true, "ReadyForNewScale"), Some(2), later), []);
    assert_eq!(conditions[0].observed_generation, Some(2));
    assert_eq!(
        say(&mut conditions, said(true, "SucceededRescale"), None, later).len(),
        1,
        "the reason changed"
    );
    assert_eq!(conditions[0].last_transition_time.0, Timestamp::UNIX_EPOCH);
    assert_eq!(say(&mut conditions, said(false, "FailedGetScale"), None, later).len(), 1);
    assert_eq!((conditions.len(), conditions[0].last_transition_time.0), (1, later));
}

#[test]
fn decisions_are_bounded_and_only_news_is_kept() {
    let summary = |to| DecisionSummary {
        time: Time(Timestamp::UNIX_EPOCH),
        from: 1,
        to,
        written: true,
        cause: String::new(),
        limits: Vec::new(),
        digest: String::new(),
    };
    let mut decisions = Vec::new();
    for to in 0..20 {
        remember(&mut decisions, summary(to));
    }
    assert_eq!((decisions.len(), decisions[0].to), (MAX_DECISIONS, 19));
    assert!(!is_news(decisions.first(), 19, &[]));
    assert!(is_news(decisions.first(), 18, &[]));
    assert!(is_news(decisions.first(), 19, &["TooManyReplicas 30→19".into()]));
    assert!(is_news(None, 19, &[]));
}

#[test]
fn a_limit_whose_number_drifts_is_no_news_every_second() {
    let mut held = DecisionSummary {
        time: Time(Timestamp::UNIX_EPOCH),
        from: 9,
        to: 9,
        written: false,
        cause: String::new(),
        limits: vec!["ScaleDownStabilized 7→9".into()],
        digest: String::new(),
    };
    assert!(!is_news(Some(&held), 9, &["ScaleDownStabilized 6→9".into()]));
    assert!(is_news(Some(&held), 9, &["EvidenceTooShort 6→9".into()]));
    held.limits.clear();
    assert!(is_news(Some(&held), 9, &["ScaleDownStabilized 6→9".into()]));
}
