use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

use super::*;

const TIMING: Timing =
    Timing { lease: Duration::from_secs(8), renew: Duration::from_secs(5), retry: Duration::from_secs(1) };

fn lease(holder: &str, seconds: i32, renewed_s: i64) -> Lease {
    Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(seconds),
            renew_time: Timestamp::from_second(renewed_s).ok().map(MicroTime),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    }
}

fn me() -> Election {
    Election::new("me".into(), TIMING)
}

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn an_absent_or_released_lease_is_taken_at_once() {
    let start = Instant::now();
    assert_eq!(me().observe(None, start), Step::Acquire);
    assert_eq!(me().observe(Some(&lease("", 1, 1)), start), Step::Acquire);
}

#[test]
fn our_own_lease_is_renewed() {
    assert_eq!(me().observe(Some(&lease("me", 8, 1)), Instant::now()), Step::Renew);
}

#[test]
fn anothers_lease_is_respected_until_it_stood_still_for_its_duration_here() {
    let start = Instant::now();
    let mut election = me();
    let theirs = lease("you", 8, 1);
    assert_eq!(election.observe(Some(&theirs), start), Step::Wait);
    assert_eq!(election.observe(Some(&theirs), at(start, 7)), Step::Wait);
    // They renewed: it counts anew from when we saw it.
    let renewed = lease("you", 8, 2);
    assert_eq!(election.observe(Some(&renewed), at(start, 8)), Step::Wait);
    assert_eq!(election.observe(Some(&renewed), at(start, 15)), Step::Wait);
    assert_eq!(election.observe(Some(&renewed), at(start, 16)), Step::Acquire);
}

/// What others write beside the spec, to ask for it, makes a lease no younger.
#[test]
fn asking_for_a_lease_does_not_keep_it() {
    let start = Instant::now();
    for asker in ["somebody", "me"] {
        let mut election = me();
        let theirs = lease("you", 8, 1);
        election.observe(Some(&theirs), start);
        let mut asked = share::ask(theirs, asker);
        asked.metadata.resource_version = Some("2".into());
        assert_eq!(election.observe(Some(&asked), at(start, 7)), Step::Wait);
        assert!(!election.is_kept(at(start, 7)));
        assert_eq!(election.observe(Some(&asked), at(start, 8)), Step::Acquire);
    }
}

#[test]
fn what_was_given_back_is_left_to_who_asked() {
    let start = Instant::now();
    let mut election = me();
    let given = share::ask(lease("", 1, 1), "you");
    assert_eq!(election.observe(Some(&given), start), Step::Wait);
    assert_eq!(election.observe(Some(&given), at(start, 7)), Step::Wait);
    assert_eq!(election.observe(Some(&given), at(start, 8)), Step::Acquire);
    assert_eq!(me().observe(Some(&share::ask(lease("", 1, 1), "me")), start), Step::Acquire);
}

#[test]
fn the_holders_longer_duration_counts_and_garbage_does_not_lock_out() {
    let start = Instant::now();
    for (seconds, respected) in [(60, 60), (1, 8), (-5, 8), (0, 8), (i32::MAX, 600)] {
        let mut election = me();
        let theirs = lease("you", seconds, 1);
        election.observe(Some(&theirs), start);
        assert_eq!(election.observe(Some(&theirs), at(start, respected - 1)), Step::Wait, "{seconds}");
        assert_eq!(election.observe(Some(&theirs), at(start, respected)), Step::Acquire, "{seconds}");
    }
}

#[test]
fn the_fence_closes_before_anybody_else_may_take_over() {
    let start = Instant::now();
    let fence = Fence::default();
    assert!(!fence.holds(start));
    fence.set(Some(me().valid_until(start)));
    assert!(fence.holds(at(start, 4)));
    assert_eq!(fence.left(at(start, 4)), Some(Duration::from_secs(1)));
    assert!(!fence.holds(at(start, 5)), "three seconds before the lease may be taken");
    assert_eq!(
        (fence.closed_for(at(start, 4)), fence.closed_for(at(start, 6))),
        (None, Some(Duration::from_secs(1)))
    );
    fence.set(None);
    assert!(!fence.holds(start));
}

#[test]
fn a_lease_of_a_fraction_is_written_as_no_less() {
    for (ms, seconds) in [(1_000, 1), (1_001, 2), (1_900, 2), (8_000, 8), (0, 1)] {
        assert_eq!(Timing { lease: Duration::from_millis(ms), ..TIMING }.lease_seconds(), seconds);
    }
}
