//! Whether a generator did what was planned.

use std::time::Duration;

use super::pace::{How, Paced};
use crate::recorder::Summary;
use crate::schedule::{Course, Schedule};

/// What was sent beside what was planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// How it ended.
    pub state: State,
    /// Arrivals of the schedule: up to where it was interrupted, else all of them.
    pub scheduled: u64,
    /// Requests that were due, as recorded; the same number where the generator did what was planned.
    pub planned: u64,
    /// Of these, requests whose end is not recorded; none where the generator did what was planned.
    pub lost: u64,
    /// How long the load is, as planned.
    pub length: Duration,
    /// How much of it was played.
    pub ran: Duration,
    /// Arrivals that are expected in the whole.
    pub expected: f64,
}

/// How a generator ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Every arrival of the schedule was due.
    Complete,
    /// It was asked to end before that; what was due by then is recorded.
    Interrupted,
    /// It ended by itself before that: why.
    Died(String),
}

impl Account {
    pub(super) fn died(why: String, length: Duration) -> Self {
        let (scheduled, planned, lost) = (0, 0, 0);
        Self { state: State::Died(why), scheduled, planned, lost, length, ran: Duration::ZERO, expected: 0.0 }
    }

    pub(super) fn new(
        paced: &Result<Paced, String>,
        sent: &Result<Result<(), String>, String>,
        schedule: Schedule,
        course: &Course,
        recorded: &Summary,
    ) -> Self {
        let length = course.duration();
        // The sender's death is the cause of what the pacer then says.
        let state = match (sent, paced) {
            (Err(why) | Ok(Err(why)), _) | (_, Err(why)) => State::Died(why.clone()),
            (_, Ok(Paced { how: How::NobodyTakes, .. })) => State::Died("the sender broke off".into()),
            (_, Ok(Paced { how: How::Interrupted, .. })) => State::Interrupted,
            (_, Ok(Paced { how: How::Complete, .. })) => State::Complete,
        };
        let ran = match (&state, paced) {
            // Nothing is played where nothing is due.
            (State::Complete, _) => course.busy_until(),
            (_, Ok(paced)) => paced.at.min(length),
            (_, Err(_)) => length,
        };
        let scheduled = match (&state, paced) {
            (State::Interrupted, Ok(Paced { first_left: Some(planned), handed_over, .. })) => {
                // Of those due in the same nanosecond, some may have been handed over.
                let (mut before, mut at) = (0, 0);
                for due in schedule.take_while(|due| due <= planned) {
                    if due < *planned { before += 1 } else { at += 1 }
                }
                (*handed_over).clamp(before, before + at)
            }
            _ => schedule.count() as u64,
        };
        let planned = recorded.planned;
        let lost = planned.saturating_sub(recorded.completed + recorded.failed + recorded.dropped);
        Self { state, scheduled, planned, lost, length, ran, expected: course.arrivals() }
    }

    /// Whether the generator did what was planned, as far as it was let; or why not.
    ///
    /// # Errors
    /// One sentence.
    pub fn validity(&self) -> Result<(), String> {
        let Self { scheduled, planned, lost, .. } = self;
        if let State::Died(why) = &self.state {
            return Err(format!(
                "invalid run: the generator died ({why}): {planned} requests of the {scheduled} that were planned were due"
            ));
        }
        if planned != scheduled {
            return Err(format!("invalid run: {planned} requests were due where {scheduled} were planned"));
        }
        if *lost > 0 {
            return Err(format!("invalid run: what became of {lost} requests is not known"));
        }
        Ok(())
    }

    /// What part ran, of a run that was interrupted.
    pub fn interrupted(&self) -> Option<String> {
        let Self { planned, expected, ran, length, .. } = self;
        (self.state == State::Interrupted).then(|| {
            let (ran, length) = (ran.as_secs_f64(), length.as_secs_f64());
            format!("interrupted after {ran:.1} of {length:.1} s: {planned} of about {expected:.0} requests were due")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Arrivals, Stage};

    fn account(
        how: How,
        first_left: Option<Duration>,
        sent: Result<(), String>,
        recorded: &Summary,
    ) -> Account {
        let stages = vec![Stage::steady(Duration::from_secs(10), 10.0)];
        let course = Course::new(stages.clone());
        let paced = Ok(Paced { how, first_left, handed_over: recorded.planned, at: Duration::from_secs(2) });
        Account::new(&paced, &Ok(sent), Schedule::new(stages, Arrivals::Even, 1), &course, recorded)
    }

    #[test]
    fn what_was_sent_is_held_against_what_was_planned() {
        let recorded = |planned, completed| Summary { planned, completed, ..Summary::default() };
        let at = Some(Duration::from_millis(2050));
        let died = Err("no runtime".to_owned());
        for (how, first_left, sent, recorded, want) in [
            (How::Complete, None, Ok(()), recorded(100, 100), ""),
            (How::Complete, None, Ok(()), recorded(99, 99), "99 requests were due where 100 were planned"),
            (How::Complete, None, Ok(()), recorded(100, 98), "what became of 2 requests is not known"),
            (How::Complete, None, died, recorded(0, 0), "died (no runtime): 0 requests of the 100"),
            (
                How::NobodyTakes,
                at,
                Ok(()),
                recorded(20, 20),
                "died (the sender broke off): 20 requests of the 100",
            ),
            (How::Interrupted, at, Ok(()), recorded(20, 20), ""),
            (How::Interrupted, at, Ok(()), recorded(0, 0), "0 requests were due where 20 were planned"),
        ] {
            let account = account(how, first_left, sent, &recorded);
            match account.validity() {
                Ok(()) => assert_eq!(want, "", "{account:?}"),
                Err(why) => assert!(!want.is_empty() && why.contains(want), "{want:?} is not in {why:?}"),
            }
        }
    }

    #[test]
    fn a_load_whose_end_is_empty_ran_until_then() {
        for (stages, ran_s) in [
            (&["5s@10"][..], 5),
            (&["5s@10", "5s@0"], 5),
            (&["5s@0", "5s@10", "5s@0", "5s@0"], 10),
            (&["5s@0", "5s@10"], 10),
            (&["5s@10", "5s@10..0"], 10),
        ] {
            let stages: Vec<Stage> = stages.iter().map(|s| s.parse().unwrap()).collect();
            let schedule = || Schedule::new(stages.clone(), Arrivals::Even, 1);
            let due = schedule().count() as u64;
            let paced = Paced { how: How::Complete, first_left: None, handed_over: due, at: Duration::ZERO };
            let recorded = Summary { planned: due, completed: due, ..Summary::default() };
            let course = Course::new(stages.clone());
            let account = Account::new(&Ok(paced), &Ok(Ok(())), schedule(), &course, &recorded);
            assert_eq!(account.ran, Duration::from_secs(ran_s), "{stages:?}");
            assert_eq!(account.validity(), Ok(()));
        }
    }

    #[test]
    fn of_a_burst_in_one_moment_any_part_may_have_been_handed_over() {
        let stages = vec![Stage { duration: Duration::from_nanos(100_000), from_rps: 1e6, to_rps: 1e6 }];
        let course = Course::new(stages.clone());
        let schedule = |seed| Schedule::new(stages.clone(), Arrivals::Bursty { cv: 20.0 }, seed);
        // The first left is one of several in a nanosecond, whichever of them it is.
        let several = |seed| {
            let at: Vec<Duration> = schedule(seed).collect();
            let i = at.windows(2).position(|w| w[0] == w[1]).filter(|i| *i > 0)?;
            Some((seed, i as u64, at[i]))
        };
        let (seed, i, left) = (0..1000).find_map(several).unwrap();
        for (handed_over, well) in [(i, true), (i + 1, true), (i - 1, false)] {
            let recorded = Summary { planned: handed_over, completed: handed_over, ..Summary::default() };
            let paced = Ok(Paced { how: How::Interrupted, first_left: Some(left), handed_over, at: left });
            let account = Account::new(&paced, &Ok(Ok(())), schedule(seed), &course, &recorded);
            assert_eq!(account.validity().is_ok(), well, "{account:?}");
        }
    }

    #[test]
    fn an_interrupted_run_says_what_part_ran() {
        let recorded = Summary { planned: 20, completed: 20, ..Summary::default() };
        let left = Some(Duration::from_millis(2050));
        let part = account(How::Interrupted, left, Ok(()), &recorded).interrupted().unwrap();
        assert_eq!(part, "interrupted after 2.0 of 10.0 s: 20 of about 100 requests were due");
        assert_eq!(account(How::Complete, None, Ok(()), &recorded).interrupted(), None);
    }
}
