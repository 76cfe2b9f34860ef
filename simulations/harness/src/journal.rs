//! The timeline while it is being written, and its clock: the one that loads are sent by, marks are planned by, and
//! everything that is seen is dated by.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use simulations_judge::timeline::{Event, Timeline};

/// A timeline that is being written.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    started: Arc<OnceLock<Instant>>,
    timeline: Arc<Mutex<Timeline>>,
}

impl Journal {
    /// Time starts now. What was seen before is how things were at the start; what happened before is not of the run.
    pub fn start(&self) {
        let mut timeline = self.timeline.lock();
        // Of what was so before, the newest is how it begins.
        let mut newest = Timeline::default();
        let seen: Vec<Event> = timeline.events().iter().map(|(_, event)| event.clone()).collect();
        for (i, event) in seen.iter().enumerate() {
            let later = seen.get(i + 1..).unwrap_or_default();
            if !later.iter().any(|other| is_of_the_same(event, other)) {
                newest.push(Duration::ZERO, event.clone());
            }
        }
        *timeline = newest;
        timeline.started_ms = Timestamp::now().as_millisecond();
        self.started.get_or_init(Instant::now);
    }

    /// Since the start; nothing before it.
    pub fn elapsed(&self) -> Duration {
        self.started.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// Writes something that is seen now.
    pub fn write(&self, event: Event) {
        let mut timeline = self.timeline.lock();
        let state = matches!(event, Event::Replicas { .. } | Event::Policy { .. });
        if state || self.started.get().is_some() {
            // Under the lock, so that offsets ascend.
            timeline.push(self.elapsed(), event);
        }
    }

    /// Makes a mark at the time that it was planned for: what the load does then it does by its own schedule.
    pub fn mark_as_planned(&self, name: &str, planned: Duration) {
        self.timeline.lock().push(planned, Event::Mark { name: name.to_owned(), planned });
    }

    /// Makes a mark of something that is done now and was planned for another time.
    pub fn mark_now(&self, name: &str, planned: Duration) {
        self.write(Event::Mark { name: name.to_owned(), planned });
    }

    /// Reads without stopping the writers for long.
    pub fn read<T>(&self, f: impl FnOnce(&Timeline) -> T) -> T {
        f(&self.timeline.lock())
    }
}

/// Whether both say how one workload, or one policy, is.
fn is_of_the_same(a: &Event, b: &Event) -> bool {
    match (a, b) {
        (Event::Replicas { target: a, .. }, Event::Replicas { target: b, .. }) => a == b,
        (Event::Policy { policy: a, .. }, Event::Policy { policy: b, .. }) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_so_at_the_start_counts_and_what_happened_before_it_does_not() {
        let journal = Journal::default();
        let replicas = |n| Event::Replicas { target: ("east".into(), "web".into()), wanted: n, ready: n };
        journal.write(replicas(1));
        journal.write(replicas(2));
        journal.write(Event::Restart { container: "east/web-1/web".into(), count: 1 });
        journal.start();
        journal.write(Event::Restart { container: "east/web-1/web".into(), count: 2 });
        let told = journal.read(|t| t.events().iter().map(|(_, e)| format!("{e:?}")).collect::<Vec<_>>());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("wanted: 2") && told[1].contains("count: 2"), "{told:?}");
    }
}
