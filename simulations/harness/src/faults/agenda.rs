//! What is due when: stages and faults of a scenario in one order. Pure.

use std::time::Duration;

use simulations_scenario::Scenario;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A fault of this index ends. At one moment this is first, so that a fault may follow another on the same part.
    End(usize),
    /// The stage of this name begins.
    Stage(String),
    /// A fault of this index begins.
    Begin(usize),
}

/// Everything that is still to be done.
#[derive(Clone, Debug)]
pub struct Agenda {
    /// Latest first, so that the next is popped from the end.
    items: Vec<(Duration, Step)>,
}

impl Agenda {
    /// All of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let stages = scenario.phase_marks().into_iter();
        let mut items: Vec<_> = stages.map(|(name, at)| (at, Step::Stage(name.to_owned()))).collect();
        for (i, fault) in scenario.faults.iter().enumerate() {
            items.push((fault.at, Step::Begin(i)));
            if fault.ends() {
                items.push((fault.at + fault.lasts, Step::End(i)));
            }
        }
        items.sort_by(|a, b| b.cmp(a));
        Self { items }
    }

    /// When the next step is due.
    pub fn next_at(&self) -> Option<Duration> {
        self.items.last().map(|(at, _)| *at)
    }

    /// The next step and when it is planned, if it is due by `now`.
    pub fn due(&mut self, now: Duration) -> Option<(Duration, Step)> {
        self.items.pop_if(|(at, _)| *at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_faults_come_in_order_and_ends_before_beginnings() {
        let text = "
name: order
clusters: [east]
services: {web: {}}
load:
  to: web
  stages: [{name: a, for: 5s, rate: 1}, {name: b, for: 5s, rate: 1}]
faults:
- {name: second, at: 5s, for: 2s, kind: pause, cluster: east, part: web}
- {name: first, at: 1s, for: 4s, kind: pause, cluster: east, part: web}
- {name: third, at: 5s, kind: kill, cluster: east, part: scrape}
";
        let scenario = thanos_telemetry::cli::parse_yaml(text).unwrap();
        let mut agenda = Agenda::new(&scenario);
        let (stage, s) = (|name: &str| Step::Stage(name.to_owned()), Duration::from_secs);
        for (now, expected) in [
            (s(0), vec![stage("a")]),
            (s(1), vec![Step::Begin(1)]),
            (s(4), vec![]),
            (s(6), vec![Step::End(1), stage("b"), Step::Begin(0), Step::Begin(2)]),
            (s(9), vec![Step::End(0)]),
        ] {
            let due: Vec<Step> = std::iter::from_fn(|| Some(agenda.due(now)?.1)).collect();
            assert_eq!(due, expected, "at {now:?}");
        }
        assert_eq!(agenda.next_at(), None);
    }
}
