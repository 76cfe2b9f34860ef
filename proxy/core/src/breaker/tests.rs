use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;
/// No jitter: the whole pause.
const FULL: u64 = u64::MAX;

fn fail(b: Breaker, gate: Gate, now_ms: u64) -> Breaker {
    b.failed(gate, Health::default().observe(true, now_ms * MS), PAUSE_MS, now_ms * MS, FULL)
}

/// One that just opened, at the given time.
fn open_at(now_ms: u64) -> Breaker {
    (0..7).fold(Breaker::CLOSED, |b, _| fail(b, Gate::Closed, now_ms))
}

#[test]
fn opens_on_the_seventh_failure_in_a_row() {
    let six = (0..6).fold(Breaker::CLOSED, |b, _| fail(b, Gate::Closed, 0));
    assert_eq!(six.gate(0), Gate::Closed);
    assert_eq!(fail(six, Gate::Closed, 0).gate(0), Gate::Open);
    let interrupted = fail(six.succeeded(Gate::Closed, 0), Gate::Closed, 0);
    assert_eq!(interrupted.gate(0), Gate::Closed);
}

#[test]
fn opens_below_the_success_rate_but_not_on_too_few_answers() {
    let run = |answers: &[bool]| {
        let (mut b, mut h) = (Breaker::CLOSED, Health::default());
        for (i, ok) in answers.iter().enumerate() {
            let now = i as u64 * 100 * MS;
            h = h.observe(!ok, now);
            b = if *ok {
                b.succeeded(Gate::Closed, now)
            } else {
                b.failed(Gate::Closed, h, PAUSE_MS, now, FULL)
            };
        }
        b.is_closed()
    };
    assert!(run(&[false, true, false, true]));
    assert!(!run(&[false, true, false, true, false]));
    let one_in_ten: Vec<_> = (0..200).map(|i| i % 10 != 9).collect();
    assert!(run(&one_in_ten));
    let three_in_ten: Vec<_> = (0..200).map(|i| i % 10 < 7).collect();
    assert!(!run(&three_in_ten));
}

#[test]
fn one_probe_a_pause_and_each_pause_doubles() {
    let (mut b, mut now_ms) = (open_at(0), 0u64);
    for pause_ms in [1_000u64, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        assert_eq!(b.gate((now_ms + pause_ms * 9 / 10) * MS), Gate::Open, "{pause_ms}");
        now_ms += pause_ms + 10;
        assert_eq!(b.gate(now_ms * MS), Gate::Due, "{pause_ms}");
        b = b.started(now_ms * MS, FULL);
        assert_eq!(b.gate(now_ms * MS), Gate::Open, "one probe is under way");
        b = fail(b, Gate::Due, now_ms);
    }
    let closed = b.started((now_ms + 61_000) * MS, FULL).succeeded(Gate::Due, (now_ms + 61_000) * MS);
    assert_eq!(closed.gate((now_ms + 61_000) * MS), Gate::Closed);
}

#[test]
fn a_probe_that_tells_nothing_opens_it_again_and_a_lost_one_holds_nobody_up() {
    let probing = open_at(0).started(1_010 * MS, FULL);
    assert_eq!(probing.untold(Gate::Due, PAUSE_MS, 1_200 * MS, FULL).gate(1_300 * MS), Gate::Open);
    assert_eq!(probing.gate(1_300 * MS), Gate::Open);
    assert_eq!(probing.gate(10_000 * MS), Gate::Due);
}

#[test]
fn flapping_keeps_the_long_pauses_and_a_good_while_forgets_them() {
    let close = |b: Breaker, now_ms: u64| b.started(now_ms * MS, FULL).succeeded(Gate::Due, now_ms * MS);
    let again = |b: Breaker, now_ms: u64| (0..7).fold(b, |b, _| fail(b, Gate::Closed, now_ms));
    let soon = again(close(open_at(0), 1_010), 1_500);
    assert_eq!(soon.gate(3_000 * MS), Gate::Open, "the second pause is two seconds");
    let late = again(close(open_at(0), 1_010), 20_000);
    assert_eq!(late.gate(21_010 * MS), Gate::Due, "the first again");
}

#[test]
fn what_was_sent_before_it_opened_neither_closes_nor_prolongs() {
    let b = open_at(0);
    assert_eq!(b.succeeded(Gate::Closed, MS), b);
    assert_eq!(fail(b, Gate::Closed, 1), b);
    // Sent for want of a better, and it worked.
    assert_eq!(b.succeeded(Gate::Open, MS).gate(MS), Gate::Closed);
}

#[test]
fn a_failed_connect_opens_at_once_but_not_for_long() {
    let mut b = Breaker::CLOSED.unreachable(Gate::Closed, 0, FULL);
    assert_eq!(b.gate(90 * MS), Gate::Open);
    let mut now_ms = 0;
    for _ in 0..20 {
        now_ms += 5_010;
        assert_eq!(b.gate(now_ms * MS), Gate::Due);
        b = b.started(now_ms * MS, FULL).unreachable(Gate::Due, now_ms * MS, FULL);
    }
    assert_eq!(b.gate((now_ms + 4_900) * MS), Gate::Open);
}

proptest! {
    #[test]
    fn any_bits_and_times_are_some_state(bits: u64, jitter: u64, events in proptest::collection::vec((0u8..6, any::<u64>()), 0..60)) {
        let mut b = Breaker::from_bits(bits);
        prop_assert_eq!(Breaker::from_bits(b.to_bits()), b);
        for (event, now) in events {
            let gate = b.gate(now);
            b = match event {
                0 => b.started(now, jitter),
                1 => b.succeeded(gate, now),
                2 => b.failed(gate, Health::default().observe(true, now), PAUSE_MS, now, jitter),
                3 => b.unreachable(gate, now, jitter),
                4 => b.untold(gate, PAUSE_MS, now, jitter),
                _ => b.failed(Gate::Closed, Health::from_bits(jitter), PAUSE_MS, now, jitter),
            };
            // The largest count that packs stands for all beyond.
            prop_assert_eq!(Breaker::from_bits(b.to_bits()).gate(now), b.gate(now));
        }
    }

    #[test]
    fn never_out_for_more_than_a_minute(events in proptest::collection::vec((0u8..5, 0u64..100_000, any::<u64>()), 0..80)) {
        let (mut b, mut now) = (Breaker::CLOSED, 0u64);
        for (event, dt_ms, jitter) in events {
            now += dt_ms * MS;
            let gate = b.gate(now);
            b = match event {
                0 => b.started(now, jitter),
                1 => b.succeeded(gate, now),
                2 => b.failed(gate, Health::default().observe(true, now), PAUSE_MS, now, jitter),
                3 => b.unreachable(gate, now, jitter),
                _ => b.untold(gate, PAUSE_MS, now, jitter),
            };
            prop_assert_ne!(b.gate(now + 60_010 * MS), Gate::Open);
        }
    }
}
