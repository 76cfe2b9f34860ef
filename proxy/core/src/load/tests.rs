use super::*;
use crate::classify::Eos;
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const OLD: SlowStart = SlowStart { from_ns: 0, window_ns: 0 };

fn load() -> Arc<Load> {
    Arc::new(Load::new(Arc::default(), OLD, 1.0))
}

/// An answer after `rtt_ms`, from `at_ms` on; over at once.
fn answer(load: &Arc<Load>, at_ms: u64, rtt_ms: u64, verdict: Verdict) {
    let now = (at_ms + rtt_ms) * MS;
    if let Some(s) = load.start(at_ms * MS, u64::MAX).answered(Some(verdict), now, u64::MAX) {
        s.over(verdict, now, u64::MAX);
    }
}

#[test]
fn cost_is_latency_times_one_more_than_in_flight_by_weight() {
    let peers = Arc::default();
    let load = Arc::new(Load::new(Arc::clone(&peers), OLD, 1.0));
    answer(&load, 0, 10, Verdict::Good);
    let idle = load.cost(10 * MS);
    let two = (load.start(10 * MS, 0), load.start(10 * MS, 0));
    assert!((load.cost(10 * MS) / idle - 3.0).abs() < 1e-6);
    drop(two.0);
    assert!((load.cost(10 * MS) / idle - 2.0).abs() < 1e-6);
    drop(two.1);
    assert_eq!((load.in_flight(), load.cost(10 * MS)), (0, idle));
    let heavy = Arc::new(Load::new(peers, OLD, 2.0));
    answer(&heavy, 0, 10, Verdict::Good);
    assert!((heavy.cost(10 * MS) / idle - 1.0).abs() < 1e-3);
    let _two = (heavy.start(10 * MS, 0), heavy.start(10 * MS, 0));
    assert!((heavy.cost(10 * MS) / idle - 2.0).abs() < 1e-3);
    heavy.set_weight(f32::NAN);
    assert!((heavy.cost(10 * MS) / idle - 3.0).abs() < 1e-3);
}

#[test]
fn speed_is_read_from_successes_only() {
    let quick_failures = [
        (Some(Verdict::Failed), None),
        (Some(Verdict::Declined), None),
        (None, Some(Unanswered::Broken)),
        (None, Some(Unanswered::Unreachable)),
        (None, Some(Unanswered::Declined)),
        (None, Some(Unanswered::TimedOut)),
        (None, Some(Unanswered::Canceled)),
    ];
    for case in quick_failures {
        let load = load();
        answer(&load, 0, 20, Verdict::Good);
        let (rtt, cost) = (load.rtt_ns(20 * MS), load.cost(20 * MS));
        let waiting = load.start(20 * MS, 0);
        match case {
            (Some(verdict), _) => drop(waiting.answered(Some(verdict), 21 * MS, 0)),
            (_, Some(how)) => waiting.unanswered(how, 21 * MS, 0),
            _ => unreachable!(),
        }
        assert!(load.rtt_ns(20 * MS) >= rtt, "{case:?}");
        let blamed = load.cost(20 * MS) > cost * 3.0;
        assert_eq!(blamed, case.1 != Some(Unanswered::Canceled), "{case:?}");
        assert_eq!(load.in_flight(), 0);
    }
}

#[test]
fn a_client_that_leaves_and_a_deadline_tell_at_least_so_long() {
    for how in [Unanswered::Canceled, Unanswered::TimedOut, Unanswered::Broken] {
        let load = load();
        answer(&load, 0, 2, Verdict::Good);
        load.start(2 * MS, 0).unanswered(how, 202 * MS, 0);
        assert!((load.rtt_ns(202 * MS) / MS as f64 - 200.0).abs() < 1.0, "{how:?}");
    }
}

#[test]
fn silence_counts_while_somebody_waits_and_a_long_watch_does_not() {
    let load = load();
    answer(&load, 0, 2, Verdict::Good);
    let hanging = load.start(2 * MS, 0);
    assert!(load.rtt_ns(5_002 * MS) >= 5_000.0 * MS as f64);
    // It answers others: then the one that waits is a watch.
    answer(&load, 5_002, 2, Verdict::Good);
    assert!(load.rtt_ns(5_005 * MS) < 3.0 * MS as f64);
    answer(&load, 9_998, 2, Verdict::Good);
    hanging.unanswered(Unanswered::Canceled, 10_000 * MS, 0);
    assert!(load.rtt_ns(10_000 * MS) < 100.0 * MS as f64, "{}", load.rtt_ns(10_000 * MS));
}

#[test]
fn a_silent_one_is_asked_once_more_and_what_it_answers_tells_a_watch_from_a_hang() {
    let load = load();
    answer(&load, 0, 2, Verdict::Good);
    let watch = load.start(2 * MS, 0);
    assert_eq!(load.candidate(900 * MS, 0), Candidate::Ready);
    assert_eq!(load.candidate(1_002 * MS, 0), Candidate::Due);
    // It hangs: the next after two seconds, then four.
    let second = load.start(1_002 * MS, 0);
    assert_eq!(load.candidate(1_003 * MS, 0), Candidate::Ready);
    assert_eq!(load.candidate(2_900 * MS, 0), Candidate::Ready);
    assert_eq!(load.candidate(3_002 * MS, 0), Candidate::Due);
    let third = load.start(3_002 * MS, 0);
    assert!(load.rtt_ns(3_003 * MS) > 2_900.0 * MS as f64);
    // It answers: those that wait are watches.
    drop(third.answered(Some(Verdict::Good), 3_004 * MS, 0));
    assert!(load.rtt_ns(60_000 * MS) < 1_000.0 * MS as f64);
    assert_eq!(load.candidate(60_000 * MS, 0), Candidate::Ready);
    drop((watch, second));
    assert_eq!((load.in_flight(), load.silence_ns(60_000 * MS)), (0, 0));
}

#[test]
fn a_slow_upload_is_not_held_against_the_endpoint() {
    let load = load();
    answer(&load, 0, 2, Verdict::Good);
    let mut waiting = load.start(2 * MS, 0);
    waiting.heard(5_000 * MS);
    drop(waiting.answered(Some(Verdict::Good), 5_003 * MS, 0));
    assert!(load.rtt_ns(5_003 * MS) < 4.0 * MS as f64);
}

#[test]
fn what_trailers_tell_counts_when_they_come() {
    let load = load();
    answer(&load, 0, 20, Verdict::Good);
    let head = |at: u64| load.start(at * MS, 0).answered(None, (at + 1) * MS, 0).unwrap();
    head(20).over(Verdict::Failed, 22 * MS, 0);
    assert!(load.rtt_ns(22 * MS) > 19.9 * MS as f64);
    assert!(load.cost(22 * MS) > 50.0 * MS as f64);
    let fresh = self::load();
    let streaming = fresh.start(0, 0).answered(None, 5 * MS, 0).unwrap();
    assert_eq!(fresh.in_flight(), 1);
    streaming.over(Verdict::Good, 100 * MS, 0);
    assert_eq!(fresh.in_flight(), 0);
    assert!((fresh.rtt_ns(100 * MS) / MS as f64 - 5.0).abs() < 0.1, "its head's time, not its stream's");
}

#[test]
fn unreachable_is_out_longer_each_time_until_it_answers() {
    let load = load();
    answer(&load, 0, 10, Verdict::Good);
    load.start(10 * MS, u64::MAX).unanswered(Unanswered::Unreachable, 10 * MS, u64::MAX);
    assert_eq!(load.candidate(20 * MS, 0), Candidate::Out);
    assert_eq!((load.peers.out(), load.is_in()), (1, false));
    assert_eq!(load.candidate(120 * MS, 0), Candidate::Due);
    let probe = load.start(120 * MS, u64::MAX);
    assert_eq!(load.candidate(120 * MS, 0), Candidate::Out, "one probe at a time");
    probe.unanswered(Unanswered::Unreachable, 121 * MS, u64::MAX);
    assert_eq!(load.candidate(300 * MS, 0), Candidate::Out);
    answer(&load, 400, 10, Verdict::Good);
    assert_eq!(load.candidate(410 * MS, 0), Candidate::Ready);
    assert!(load.cost(410 * MS) < 11.0 * MS as f64, "what made it open is over");
    assert_eq!((load.peers.out(), load.is_in()), (0, true));
}

#[test]
fn a_newcomer_gets_one_request_at_once_and_then_a_growing_share() {
    let peers: Arc<Peers> = Arc::default();
    peers.typical.observe(MS as f64, 0);
    let new = Arc::new(Load::new(peers, SlowStart { from_ns: 0, window_ns: 10_000 * MS }, 1.0));
    assert_eq!(new.candidate(0, 0), Candidate::Due);
    assert!((new.cost(0) / MS as f64 - 1.0).abs() < 1e-3, "as its peers");
    let first = new.start(0, 0);
    assert_ne!(new.candidate(0, 0), Candidate::Due);
    drop(first.answered(Some(Verdict::Good), MS, 0));
    let ready =
        |at_ms: u64| (0..10_000).filter(|r| new.candidate(at_ms * MS, mix(*r)) == Candidate::Ready).count();
    assert!((900..1_100).contains(&ready(0)), "{}", ready(0));
    assert!((4_800..5_200).contains(&ready(5_000)), "{}", ready(5_000));
    assert_eq!(ready(10_000), 10_000);
}

#[test]
fn seven_quick_failures_take_it_out() {
    for verdict in [Verdict::Failed, Verdict::Declined] {
        let load = load();
        for i in 0..20 {
            answer(&load, i, 1, verdict);
        }
        // A limit is no fault.
        let expected = if verdict == Verdict::Failed { Candidate::Out } else { Candidate::Ready };
        assert_eq!(load.candidate(30 * MS, 0), expected);
    }
}

#[test]
fn verdicts() {
    let http = |status| Verdict::of_head(Eos::start(status, false, None));
    for (status, verdict) in [
        (200, Verdict::Good),
        (404, Verdict::Good),
        (429, Verdict::Declined),
        (500, Verdict::Failed),
        (503, Verdict::Failed),
    ] {
        assert_eq!(http(status), Some(verdict), "{status}");
    }
    assert_eq!(Verdict::of_head(Eos::start(200, true, None)), None);
    assert_eq!(Verdict::of_head(Eos::start(200, true, Some(b"14"))), Some(Verdict::Failed));
    assert_eq!(Verdict::of_head(Eos::start(200, true, Some(b"8"))), Some(Verdict::Declined));
    assert_eq!(Verdict::of_head(Eos::start(200, true, Some(b"5"))), Some(Verdict::Good));
}

proptest! {
    #[test]
    fn whatever_happens_the_cost_is_finite_and_nothing_stays_in_flight(
        events in proptest::collection::vec((0u8..10, any::<u64>(), any::<u64>()), 0..80), weight: f32, window_ns: u64, from_ns: u64
    ) {
        let load = Arc::new(Load::new(Arc::default(), SlowStart { from_ns, window_ns }, weight));
        let (mut waiting, mut streaming) = (Vec::new(), Vec::new());
        // Times are any: forwards, backwards, far away.
        for (event, now, random) in events {
            match event {
                0..=2 => waiting.push(load.start(now, random)),
                3 => drop(waiting.pop()),
                4..=6 => if let Some(w) = waiting.pop() {
                    let verdict = [Some(Verdict::Good), Some(Verdict::Failed), None][usize::from(event - 4)];
                    streaming.extend(w.answered(verdict, now, random));
                },
                7 => if let Some(w) = waiting.pop() { w.unanswered(Unanswered::TimedOut, now, random) },
                8 => if let Some(w) = waiting.pop() { w.unanswered(Unanswered::Unreachable, now, random) },
                _ => if let Some(s) = streaming.pop() { s.over(Verdict::Failed, now, random) },
            }
            for t in [now, 0, u64::MAX, random] {
                prop_assert!(load.cost(t).is_finite() && load.cost(t) >= 0.0);
                load.candidate(t, random);
            }
            prop_assert_eq!(load.in_flight() as usize, waiting.len() + streaming.len());
        }
        drop((waiting, streaming));
        prop_assert_eq!((load.in_flight(), load.peers.out()), (0, u32::from(!load.is_in())));
    }
}
