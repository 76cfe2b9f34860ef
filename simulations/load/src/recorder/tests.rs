use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn figures_add_up_over_merged_stretches() {
    let mut a = Recorder::default();
    a.sent(Duration::from_micros(100));
    a.ended(ms(10), End::Ok);
    a.answer(200, 5);
    let mut b = Recorder::default();
    b.sent(Duration::from_micros(200));
    b.ended(ms(1000), End::Failed("status 503"));
    b.answer(503, 7);
    b.retried();
    b.not_sent(NotSent::Saturated);
    b.not_sent(NotSent::Own("no slot"));
    b.sent(Duration::ZERO);
    b.ended(ms(1), End::Own("EMFILE"));
    a.merge(&b);
    let s = a.summary();
    assert_eq!((s.planned, s.completed, s.failed, s.dropped), (5, 1, 1, 3));
    assert_eq!((s.saturated, s.own_failures), (1, 2));
    assert_eq!((s.causes["status 503"], s.own_causes["no slot"], s.own_causes["EMFILE"]), (1, 1, 1));
    assert_eq!(s.statuses, BTreeMap::from([(200, 1), (503, 1)]));
    assert_eq!((s.retried, s.received_bytes), (1, 12));
    assert!((9.9..10.1).contains(&s.latency_p50_ms) && s.latency_max_ms >= 999.0);
}

#[test]
fn late_sending_and_own_failures_make_a_run_invalid_and_a_service_that_hangs_does_not() {
    let mut late = Recorder::default();
    (0..100).for_each(|_| late.sent(ms(6)));
    assert!(matches!(late.summary().invalid(), Some(Invalid::Late(p99)) if p99 > 5.9));
    assert!(late.summary().validity().unwrap_err().contains("sent late"));
    late.not_sent(NotSent::Own("no slot"));
    assert!(late.summary().validity().unwrap_err().contains("1 × no slot"), "the worst is told");
    let mut full = Recorder::default();
    full.dropped();
    assert!(full.summary().validity().unwrap_err().contains("could not be sent"));
    let mut descriptors = Recorder::default();
    descriptors.sent(Duration::ZERO);
    descriptors.ended(ms(1), End::Own("too many open files"));
    assert!(descriptors.summary().validity().unwrap_err().contains("1 × too many open files"));
    let mut hangs = Recorder::default();
    hangs.sent(Duration::ZERO);
    hangs.ended(ms(10_000), End::Failed("timeout"));
    hangs.not_sent(NotSent::Saturated);
    assert_eq!(hangs.summary().validity(), Ok(()));
}

#[test]
fn failures_count_as_slowest() {
    // Latencies of those answered well, how many failed fast, how many were not sent; share; what it is.
    for (answered, failed, not_sent, share, want) in [
        (&[10, 20, 30, 40][..], 0, 0, 1.0, 40.0),
        (&[10, 20, 30, 40], 1, 0, 0.8, 40.0),
        (&[10, 20, 30, 40], 1, 0, 0.81, f64::INFINITY),
        (&[10, 20, 30, 40], 0, 1, 1.0, f64::INFINITY),
        (&[10, 20, 30, 40], 2, 2, 0.5, 40.0),
        (&[10, 20, 30, 40], 2, 2, 0.0, 10.0),
        (&[], 3, 0, 0.0, f64::INFINITY),
    ] {
        let mut r = Recorder::default();
        for latency in answered {
            r.sent(Duration::ZERO);
            r.ended(ms(*latency), End::Ok);
        }
        for _ in 0..failed {
            r.sent(Duration::ZERO);
            r.ended(ms(1), End::Failed("connect refused"));
        }
        (0..not_sent).for_each(|_| r.not_sent(NotSent::Saturated));
        let slowest = r.failures_as_slowest();
        let found = slowest.latency_ms(share);
        let near = found == want || (found / want - 1.0).abs() < 0.01;
        assert!(near, "{answered:?} {failed} {not_sent} {share}: {found}");
        let (before, after) = (r.summary(), slowest.summary());
        assert_eq!(
            (before.planned, before.failed, before.dropped),
            (after.planned, after.failed, after.dropped)
        );
        assert_eq!(slowest.latency_mean_ms().is_infinite(), failed + not_sent > 0);
        assert_eq!(after.latency_max_ms.is_infinite(), failed + not_sent > 0);
        if failed > 0 {
            assert!(r.latency_ms(0.0) < 1.1, "beside it, the failure's own latency");
        }
    }
    // Merged, and what is under way is neither answered nor failed.
    let mut under_way = Recorder::default();
    under_way.sent(Duration::ZERO);
    under_way.sent(Duration::ZERO);
    under_way.ended(ms(7), End::Ok);
    assert!(under_way.failures_as_slowest().latency_ms(1.0) < 7.1);
}

#[test]
fn lag_decides_where_the_judgement_falls_between_with_and_without_it() {
    for (latency, lag, bound, decides) in [
        (150, 20, 200.0, false),
        (190, 5, 200.0, false),
        (210, 5, 200.0, false),
        (210, 20, 200.0, true),
        (500, 20, 200.0, false),
        (201, 400, 200.0, true),
    ] {
        let mut r = Recorder::default();
        // One in ten is slow and late; the others neither.
        for i in 0..100 {
            let (latency, lag) = if i % 10 == 0 { (latency, lag) } else { (50, 0) };
            r.sent(ms(lag));
            r.ended_lagged(ms(latency), ms(lag), End::Ok);
        }
        assert_eq!(r.lag_decides_percentile(0.95, bound), decides, "{latency} {lag}");
        assert!(!r.lag_decides_percentile(0.5, bound), "the median was never late");
        assert_eq!(r.send_lag_ms(0.99) > 0.9 * lag as f64, lag > 0);
    }
    // What failed is as late as it may be, and lag has no part in it.
    let mut refused = Recorder::default();
    refused.sent(ms(9));
    refused.ended_lagged(ms(10), ms(9), End::Failed("connect refused"));
    assert!(!refused.failures_as_slowest().lag_decides_percentile(0.95, 200.0));
    assert!(refused.lag_decides_percentile(0.95, 5.0));
}

#[test]
fn causes_are_bounded() {
    let mut r = Recorder::default();
    (0..1000).for_each(|i| r.ended(ms(1), End::Failed(&format!("cause {i}"))));
    let causes = r.summary().causes;
    assert_eq!((causes.len(), causes.values().sum::<u64>()), (CAUSES_MAX + 1, 1000));
}
