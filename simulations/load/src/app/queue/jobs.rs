//! Jobs: those that wait, and those that a worker has. Without a clock; times are since the queue's start.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A job's number, in the order of arrival.
pub(crate) type JobId = u64;

/// How many jobs there are, and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Waiting.
    pub(crate) ready: usize,
    /// A worker has them and has not said that they are done.
    pub(crate) unacked: usize,
    /// Ever taken in.
    pub(crate) published: u64,
    /// Done.
    pub(crate) acked: u64,
    /// Waiting again, because their worker said nothing for too long.
    pub(crate) redelivered: u64,
}

/// The jobs of one queue, first come, first served.
#[derive(Debug)]
pub(crate) struct Jobs {
    ready: VecDeque<JobId>,
    /// When their workers will have lost them.
    taken: BTreeMap<JobId, Duration>,
    next: JobId,
    length_max: usize,
    ack_within: Duration,
    acked: u64,
    redelivered: u64,
}

impl Jobs {
    /// At most so many jobs, each to be done so long after it was taken.
    pub(crate) fn new(length_max: usize, ack_within: Duration) -> Self {
        Self {
            ready: VecDeque::new(),
            taken: BTreeMap::new(),
            next: 0,
            length_max,
            ack_within,
            acked: 0,
            redelivered: 0,
        }
    }

    /// Takes a job in; none if the queue is full.
    pub(crate) fn publish(&mut self) -> Option<JobId> {
        if self.ready.len() + self.taken.len() >= self.length_max {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.ready.push_back(id);
        Some(id)
    }

    /// The oldest job, for a worker.
    pub(crate) fn take(&mut self, now: Duration) -> Option<JobId> {
        self.expire(now);
        let id = self.ready.pop_front()?;
        self.taken.insert(id, now.saturating_add(self.ack_within));
        Some(id)
    }

    /// A job is done; not if it was before. One whose worker was late, and that waits again, is done too.
    pub(crate) fn done(&mut self, id: JobId) -> bool {
        let known = self.taken.remove(&id).is_some() || {
            let waits = self.ready.iter().position(|other| *other == id);
            waits.and_then(|at| self.ready.remove(at)).is_some()
        };
        self.acked += u64::from(known);
        known
    }

    /// What was taken too long ago goes back to the front, the oldest first. Returns how many.
    pub(crate) fn expire(&mut self, now: Duration) -> usize {
        let overdue: Vec<JobId> =
            self.taken.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        for id in overdue.iter().rev() {
            self.taken.remove(id);
            self.ready.push_front(*id);
        }
        self.redelivered += overdue.len() as u64;
        overdue.len()
    }

    /// How many there are.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.len(),
            unacked: self.taken.len(),
            published: self.next,
            acked: self.acked,
            redelivered: self.redelivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACK_WITHIN: Duration = Duration::from_secs(10);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_job_is_given_out_in_order_and_again_if_its_worker_is_lost() {
        let mut jobs = Jobs::new(3, ACK_WITHIN);
        assert_eq!([jobs.publish(), jobs.publish(), jobs.publish()], [Some(0), Some(1), Some(2)]);
        assert_eq!(jobs.publish(), None, "full");
        assert_eq!((jobs.take(s(0)), jobs.take(s(1))), (Some(0), Some(1)));
        assert_eq!(jobs.publish(), None, "those that workers have count too");
        assert!(jobs.done(1) && !jobs.done(1) && !jobs.done(99));
        assert_eq!(jobs.take(s(9)), Some(2));
        assert_eq!(jobs.take(s(10)), Some(0), "given out again");
        assert!(jobs.done(0));
        assert_eq!(jobs.expire(s(19)), 1);
        assert!(jobs.done(2), "late, but before anybody else had it");
        let counts = Counts { ready: 0, unacked: 0, published: 3, acked: 3, redelivered: 2 };
        assert_eq!(jobs.counts(), counts);
    }

    proptest! {
        /// Whatever workers do, each job is waiting, taken or done, and done once.
        #[test]
        fn no_job_is_lost_or_done_twice(steps in proptest::collection::vec((0u8..4, 0u64..30), 0..200)) {
            let mut jobs = Jobs::new(20, ACK_WITHIN);
            let (mut now, mut done) = (Duration::ZERO, std::collections::BTreeSet::new());
            for (what, n) in steps {
                match what {
                    0 => drop(jobs.publish()),
                    1 => drop(jobs.take(now)),
                    2 => if jobs.done(n) {
                        prop_assert!(done.insert(n), "{n} twice");
                    },
                    _ => now += Duration::from_secs(n),
                }
                let c = jobs.counts();
                prop_assert_eq!(c.published, c.ready as u64 + c.unacked as u64 + c.acked);
                prop_assert!(c.ready + c.unacked <= 20);
            }
        }
    }
}
