//! Whether a service's `slo` held, second by second and request by request. Pure.
//!
//! A second is one of one cluster: the requests that were due in it, whenever they ended, of the loads that are sent
//! to the service; where none is, of those that reach it through `calls`, as their users see them. A second in which
//! no request was due is nobody's. Its percentile is over a second's requests, so at few of them it is the slowest.

use std::collections::BTreeMap;
use std::time::Duration;

use simulations_load::due::Due;
use simulations_scenario::{Condition, Scenario};

use crate::threshold::judge;
use crate::timeline::{Event, Second, Timeline};

/// Judges a second; none where nothing was due. A request that failed, or was not sent, took as long as can be.
pub fn second(second: u64, slo: &Condition, due: &Due) -> Option<Second> {
    let requests = due.requests();
    let held = judge(slo, &due.recorder(), Duration::from_secs(1)).is_ok();
    let over = due.worse_than(slo.latency_bound_ms());
    (requests > 0).then_some(Second { second, due: requests, over, held })
}

/// The seconds of every service with an slo, from what generators took, as `(cluster, to, seconds)`.
pub fn seconds(scenario: &Scenario, taken: &[(&str, &str, BTreeMap<u64, Due>)]) -> Vec<Event> {
    let mut events = Vec::new();
    for (service, slo) in scenario.services.iter().filter_map(|(name, s)| Some((name, s.slo.as_ref()?))) {
        let entries = scenario.entries(service);
        let mut merged: BTreeMap<(u64, &str), Due> = BTreeMap::new();
        for (cluster, _, seconds) in taken.iter().filter(|(_, to, _)| entries.contains(to)) {
            for (second, due) in seconds {
                merged.entry((*second, cluster)).or_default().merge(due.clone());
            }
        }
        let event = |((second, cluster), due): (&(u64, &str), &Due)| {
            let second = self::second(*second, slo, due)?;
            Some(Event::Slo { cluster: (*cluster).to_owned(), service: service.clone(), second })
        };
        events.extend(merged.iter().filter_map(event));
    }
    events
}

/// How often a service's slo did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// Seconds of clusters in which requests were due.
    pub seconds: u64,
    /// Those in which it did not hold.
    pub bad_seconds: u64,
    /// Requests that were due.
    pub requests: u64,
    /// Those that were slower than it says, or failed.
    pub bad_requests: u64,
}

impl Violations {
    /// Of a service; none where none of its seconds was seen.
    pub fn of(timeline: &Timeline, service: &str) -> Option<Self> {
        let mut v = Self::default();
        for (_, event) in timeline.events() {
            if let Event::Slo { service: of, second, .. } = event
                && of == service
            {
                v.seconds += 1;
                v.bad_seconds += u64::from(!second.held);
                v.requests += second.due;
                v.bad_requests += second.over;
            }
        }
        (v.seconds > 0).then_some(v)
    }

    /// Of the seconds.
    pub fn seconds_percent(&self) -> f64 {
        100.0 * self.bad_seconds as f64 / self.seconds.max(1) as f64
    }

    /// Of the requests.
    pub fn requests_percent(&self) -> f64 {
        100.0 * self.bad_requests as f64 / self.requests.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use simulations_load::recorder::End;

    use super::*;

    fn due(answered_ms: &[u64], failed_ms: &[u64], dropped: u32) -> Due {
        let mut due = Due::default();
        answered_ms.iter().for_each(|ms| due.ended(Duration::from_millis(*ms), End::Ok));
        failed_ms.iter().for_each(|ms| due.ended(Duration::from_millis(*ms), End::Failed("timeout")));
        (0..dropped).for_each(|_| due.dropped());
        due
    }

    #[test]
    fn a_second_is_judged_on_its_requests() {
        let mut many = vec![10; 19];
        many.push(300);
        for (slo, due, want) in [
            ("p(95)<200", due(&[10, 20], &[], 0), Some((2, 0, true))),
            // One of twenty is beyond the 95th percentile, one of two is not.
            ("p(95)<200", due(&many, &[], 0), Some((20, 1, true))),
            ("p(95)<200", due(&[10, 300], &[], 0), Some((2, 1, false))),
            // A fast failure is as bad as a slow answer, and a slow failure is one request.
            ("p(95)<200", due(&[10], &[5, 900], 0), Some((3, 2, false))),
            ("p(95)<200", due(&[10], &[], 3), Some((4, 3, false))),
            // Refused at once, all of them: nobody was served.
            ("p(95)<200", due(&[], &[5, 5], 0), Some((2, 2, false))),
            ("med<200", due(&[10], &[1, 1], 0), Some((3, 2, false))),
            ("max<1s", due(&[10; 99], &[1], 0), Some((100, 1, false))),
            ("avg<1s", due(&[10; 9], &[1], 0), Some((10, 1, false))),
            // One of twenty may fail where one of twenty may be slow.
            ("p(95)<200", due(&[10; 19], &[1], 0), Some((20, 1, true))),
            ("failed<1%", due(&[900], &[], 0), Some((1, 0, true))),
            ("failed<1%", due(&[900], &[1], 1), Some((3, 2, false))),
            ("p(95)<200", due(&[], &[], 0), None),
        ] {
            let found = second(7, &slo.parse().unwrap(), &due);
            assert_eq!(found.map(|s| (s.due, s.over, s.held)), want, "{slo} {due:?}");
        }
    }

    fn scenario(loads: &str) -> Scenario {
        let text = format!(
            "{{name: s, clusters: [east], services: {{web: {{slo: p(95)<200}}, front: {{calls: web}}, other: {{}}}}, \
             load: {loads}}}"
        );
        thanos_telemetry::cli::parse_yaml(&text).unwrap()
    }

    #[test]
    fn the_loads_that_are_sent_to_it_count_else_those_that_reach_it() {
        let load =
            |to: &str| format!("{{name: {to}, to: {to}, stages: [{{name: {to}, for: 10s, rate: 1}}]}}");
        let (front, web, other) = (load("front"), load("web"), load("other"));
        for (loads, want) in [
            (front.clone(), vec!["front"]),
            (format!("[{front}, {other}]"), vec!["front"]),
            (format!("[{front}, {web}]"), vec!["web"]),
            (other, vec![]),
        ] {
            let s = scenario(&loads);
            assert_eq!(s.entries("web").into_iter().collect::<Vec<_>>(), want, "{loads}");
        }
    }

    #[test]
    fn shares_are_of_seconds_of_clusters_and_of_requests() {
        let s = scenario("{to: front, stages: [{name: a, for: 10s, rate: 1}]}");
        let east = BTreeMap::from([(0, due(&[10; 9], &[], 0)), (1, due(&[500], &[], 0))]);
        let west = BTreeMap::from([(1, due(&[10; 6], &[], 0)), (2, due(&[], &[], 1))]);
        let mut t = Timeline::default();
        for event in seconds(
            &s,
            &[("east", "front", east), ("west", "front", west), ("east", "other", BTreeMap::new())],
        ) {
            t.push(Duration::ZERO, event);
        }
        let v = Violations::of(&t, "web").unwrap();
        assert_eq!(v, Violations { seconds: 4, bad_seconds: 2, requests: 17, bad_requests: 2 });
        assert_eq!((v.seconds_percent(), (v.requests_percent() * 100.0).round()), (50.0, 1176.0));
        assert_eq!(Violations::of(&t, "front"), None);
    }
}
