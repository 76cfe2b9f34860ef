//! Two clusters, their samples, and what a querier says of them at any time.
//!
//! The value is what a Prometheus would give for `sum(rate(x[window]))`, computed from the samples that have arrived;
//! the samples' times are what it would give for `timestamp(x)`, looking half a minute ahead. Nothing here knows the
//! rules that are judged by it.

use std::ops::Range;

use autoscaler_core::{
    Behavior, ClusterSamples, Decision, FailureKind, Float, History, Input, KnownCluster, MetricHistory,
    Observation, Reading, Rules, Samples, Scale, SelectorSamples, SeriesCount, Settled, StartSamples,
    WindowStart, decide,
};

use crate::build::{NOW_MS, asks_for, both_within, input, scale};

/// What the load at first asks for, and what there is.
pub(crate) const REPLICAS: i32 = 12;
/// How far back an instant selector looks, in milliseconds.
const LOOKBACK_MS: i64 = 300_000;
/// How far ahead samples are looked for, in milliseconds.
const AHEAD_MS: i64 = 30_000;

/// Two clusters of two pods each, half of the load on either; times in milliseconds from the start of the run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) scrape_ms: i64,
    pub(crate) window_ms: i64,
    pub(crate) max_age_ms: i64,
    pub(crate) interval_ms: i64,
    /// Seconds; `None`: no behaviour, and a controller-wide window of zero.
    pub(crate) user_window: Option<i32>,
    /// How much of the first load there is from when on.
    pub(crate) load: (i64, f64),
    pub(crate) cut: Cut,
    pub(crate) lag: Lag,
    /// How far the controller's clock is ahead.
    pub(crate) clock_ms: i64,
    /// A second querier behind the same address, which forgot west, gives one answer in so many; 0: there is none.
    pub(crate) forgetful: i64,
    /// The querier cannot be reached.
    pub(crate) outage: Range<i64>,
    /// The store is away, scrapes nothing, and comes back without what it had before.
    pub(crate) lost: Range<i64>,
    /// Whose samples that store held.
    pub(crate) lost_of: Part,
    /// What it lacks afterwards; `None`: all of before.
    pub(crate) lacks: Option<Range<i64>>,
    /// The controller does not run.
    pub(crate) stall: Range<i64>,
    /// How much later than planned each decision comes, in percent of the interval, round and round.
    pub(crate) jitter: Vec<i64>,
    /// The policy names its clusters.
    pub(crate) named: bool,
    /// What else the policy says.
    pub(crate) terms: fn(&mut Input),
}

/// Samples are not scraped.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) during: Range<i64>,
    pub(crate) of: Part,
    /// The series end with a staleness marker, as when a scrape fails.
    pub(crate) marked: bool,
    /// From one cut to the next, if there are several.
    pub(crate) again_ms: Option<i64>,
}

/// Samples arrive late.
#[derive(Clone, Debug)]
pub(crate) struct Lag {
    /// By so much, always.
    pub(crate) constant_ms: i64,
    /// Later and later during this time, by so much a second; what waits arrives after it.
    pub(crate) growing: (Range<i64>, f64),
    pub(crate) of: Part,
}

/// Whose samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Nobody,
    /// One of west's pods.
    Shard,
    West,
    Both,
}

/// One pod's series.
#[derive(Clone, Copy)]
struct Series {
    is_west: bool,
    pod: i64,
}

impl Part {
    fn has(self, series: Series) -> bool {
        match self {
            Self::Nobody => false,
            Self::Shard => series.is_west && series.pod == 1,
            Self::West => series.is_west,
            Self::Both => true,
        }
    }
}

impl Cut {
    pub(crate) fn none() -> Self {
        Self { during: 0..0, of: Part::Nobody, marked: false, again_ms: None }
    }

    /// The cut that holds `at`.
    fn at(&self, at: i64) -> Option<Range<i64>> {
        let Range { start, end } = self.during;
        let round = self.again_ms.map_or(0, |again| ((at - start) / again).max(0) * again);
        Some(start + round..end + round).filter(|cut| cut.contains(&at))
    }
}

impl Lag {
    pub(crate) fn none() -> Self {
        Self { constant_ms: 0, growing: (0..0, 0.0), of: Part::Nobody }
    }

    /// When a sample of `at` arrives; never before one that is older.
    fn arrival(&self, at: i64) -> i64 {
        let (Range { start, end }, a_second) = &self.growing;
        let at_end = ((end - start) as f64 * a_second) as i64;
        let grown = if at < *start {
            0
        } else if at < *end {
            ((at - start) as f64 * a_second) as i64
        } else {
            (at_end - (at - end)).max(0)
        };
        at + self.constant_ms + grown
    }
}

impl World {
    /// A scrape and a decision a second, a window of 30 s, a `maxAge` of 20 s, no window of the user's.
    pub(crate) fn demo() -> Self {
        Self {
            scrape_ms: 1_000,
            window_ms: 30_000,
            max_age_ms: 20_000,
            interval_ms: 1_000,
            user_window: Some(0),
            load: (0, 1.0),
            cut: Cut::none(),
            lag: Lag::none(),
            clock_ms: 0,
            forgetful: 0,
            outage: 0..0,
            lost: 0..0,
            lost_of: Part::Both,
            lacks: None,
            stall: 0..0,
            jitter: vec![0],
            named: true,
            terms: |_| (),
        }
    }

    /// Scrapes of one pod have their own phase.
    fn phase(&self, series: Series) -> i64 {
        (series.pod * self.scrape_ms * 2 / 5) + if series.is_west { self.scrape_ms / 5 } else { 0 }
    }

    fn is_scraped(&self, series: Series, at: i64) -> bool {
        let is_cut = self.cut.of.has(series) && self.cut.at(at).is_some();
        let is_lost = self.lost_of.has(series) && self.lost.contains(&at);
        !(is_cut || is_lost)
    }

    fn has_arrived(&self, series: Series, at: i64, now: i64) -> bool {
        let arrival = if self.lag.of.has(series) { self.lag.arrival(at) } else { at };
        arrival <= now
    }

    /// A series' samples' times within `times`, end included, as far as they arrived by `now`; newest first.
    fn samples(&self, series: Series, times: Range<i64>, now: i64) -> impl Iterator<Item = i64> {
        let phase = self.phase(series);
        let last = (times.end.min(now) - phase).div_euclid(self.scrape_ms);
        let first = (times.start - phase).div_euclid(self.scrape_ms) + 1;
        let scrapes = (first..=last).rev().map(move |scrape| scrape * self.scrape_ms + phase);
        let emptied = !self.lost.is_empty() && now >= self.lost.end && self.lost_of.has(series);
        scrapes
            .filter(move |at| {
                let is_lacked = self.lacks.as_ref().map_or(*at < self.lost.start, |lacks| lacks.contains(at));
                !(emptied && is_lacked)
            })
            .filter(move |at| self.is_scraped(series, *at) && self.has_arrived(series, *at, now))
    }

    /// Its newest sample that an instant selector at `at` sees by `now`.
    fn newest(&self, series: Series, at: i64, now: i64) -> Option<i64> {
        let newest = self.samples(series, at - LOOKBACK_MS..at, now).next()?;
        // The first scrape that failed wrote a marker.
        let failed = newest + self.scrape_ms;
        let ends = self.cut.marked && failed <= at.min(now) && !self.is_scraped(series, failed);
        Some(newest).filter(|_| !(ends && self.has_arrived(series, failed, now)))
    }

    /// The true load up to `at` since the start.
    fn served(&self, at: i64) -> f64 {
        let (from, share) = self.load;
        (at.min(from) as f64 + (at - from).max(0) as f64 * share) / 1000.0 * f64::from(REPLICAS) * 10.0 / 4.0
    }

    /// Prometheus' extrapolated rate of one series at `at`, from what arrived by `now`.
    fn rate(&self, series: Series, at: i64, now: i64) -> Option<f64> {
        let start = at - self.window_ms;
        let (mut last, mut first, mut count) = (None, 0, 0);
        for sample in self.samples(series, start..at, now) {
            last.get_or_insert(sample);
            (first, count) = (sample, count + 1);
        }
        let last = last.filter(|_| count > 1)?;
        let sampled = (last - first) as f64;
        let average = sampled / f64::from(count - 1);
        let up_to = |edge: i64| if edge as f64 >= average * 1.1 { average / 2.0 } else { edge as f64 };
        let factor = (sampled + up_to(first - start) + up_to(at - last)) / sampled;
        Some((self.served(last) - self.served(first)) * factor / (self.window_ms as f64 / 1000.0))
    }

    /// The query's value at `at`, as a querier with or without west gives it at `now`.
    pub(crate) fn value(&self, at: i64, now: i64, knows_west: bool) -> Reading {
        let rates: Vec<f64> =
            self.series(knows_west).filter_map(|series| self.rate(series, at, now)).collect();
        match rates.is_empty() {
            true => Reading::Failed { kind: FailureKind::Empty, message: String::new() },
            false => Reading::Value(Float::new(rates.iter().sum())),
        }
    }

    fn series(&self, knows_west: bool) -> impl Iterator<Item = Series> {
        let all = [(false, 0), (false, 1), (true, 0), (true, 1)];
        let series = all.into_iter().map(|(is_west, pod)| Series { is_west, pod });
        series.filter(move |series| knows_west || !series.is_west)
    }

    /// What a querier says at `now`, on the question of the controller's clock.
    pub(crate) fn observe(
        &self,
        now: i64,
        settled_ms: Option<i64>,
        starts: &[WindowStart],
        nth: i64,
    ) -> Observation {
        let asked = now + self.clock_ms;
        let failed = |kind| Reading::Failed { kind, message: String::new() };
        let mut observation = Observation {
            name: "requests".into(),
            newest: failed(FailureKind::Unreachable),
            settled: None,
            samples: Samples::Unknown("unreachable".to_owned()),
            starts: Vec::new(),
            warnings: Vec::new(),
            incomplete: None,
        };
        if self.outage.contains(&now) || (self.lost.contains(&now) && self.lost_of == Part::Both) {
            return observation;
        }
        let knows_west = self.forgetful == 0 || nth % self.forgetful != 0;
        observation.newest = self.value(asked, now, knows_west);
        observation.settled =
            settled_ms.map(|at_ms| Settled { at_ms, reading: self.value(at_ms - NOW_MS, now, knows_west) });
        let clusters = [("east", false), ("west", true)].into_iter().filter_map(|(cluster, is_west)| {
            let series = self.series(knows_west).filter(|series| series.is_west == is_west);
            let newest: Vec<i64> =
                series.filter_map(|series| self.newest(series, asked + AHEAD_MS, now)).collect();
            let fresh = newest.iter().copied().filter(|at| *at > asked - self.max_age_ms);
            Some(ClusterSamples {
                cluster: cluster.into(),
                newest_ms: NOW_MS + newest.iter().max()?,
                slowest_ms: fresh.clone().min().map(|at| NOW_MS + at),
                pods: fresh.clone().count() as u32,
                silent_pods: (newest.len() - fresh.count()) as u32,
            })
        });
        let count = |(nth, start): (usize, &WindowStart)| {
            let end = settled_ms.map(|at_ms| WindowStart { at_ms, ..*start });
            let next = if nth == 0 { end } else { starts.first().copied() };
            self.start_samples(*start, next, now, knows_west)
        };
        observation.starts = starts.iter().enumerate().map(count).collect();
        observation.samples = Samples::Seen(vec![SelectorSamples {
            selector: "x".into(),
            pinned: false,
            scope: Default::default(),
            clusters: clusters.collect(),
        }]);
        observation
    }

    /// How many series have a sample where a window begins; and how many of these are fresh and not at `next`.
    fn start_samples(
        &self,
        start: WindowStart,
        next: Option<WindowStart>,
        now: i64,
        knows_west: bool,
    ) -> StartSamples {
        let has = |series: Series, start: WindowStart| {
            let at = start.at_ms - NOW_MS;
            self.samples(series, at - start.back_ms..at, now).next().is_some()
        };
        let asked = now + self.clock_ms;
        let is_fresh = |series: Series| {
            self.newest(series, asked + AHEAD_MS, now).is_some_and(|at| at > asked - self.max_age_ms)
        };
        let count = |is_counted: &dyn Fn(Series) -> bool| {
            let of = |(cluster, is_west): (&str, bool)| {
                let all = self.series(knows_west).filter(|series| series.is_west == is_west);
                let series = all.filter(|series| has(*series, start) && is_counted(*series)).count() as u32;
                (series > 0).then(|| SeriesCount { cluster: cluster.into(), series })
            };
            [("east", false), ("west", true)].into_iter().filter_map(of).collect()
        };
        let broken = next.map(|next| count(&|series| is_fresh(series) && !has(series, next)));
        StartSamples { start, selectors: vec![count(&|_| true)], broken: broken.into_iter().collect() }
    }

    pub(crate) fn start(&self) -> Input {
        let mut start = input(REPLICAS, vec![asks_for("requests", REPLICAS)]);
        start.history = History::default();
        start.cluster = "west".into();
        // What an average is divided by are all; west's own are two.
        start.scale = Scale { ready_replicas: 2, ..scale(REPLICAS) };
        start.policy.interval_ms = self.interval_ms;
        start.policy.metrics[0].evidence = both_within(self.max_age_ms);
        start.policy.metrics[0].evidence.window_ms = self.window_ms;
        if !self.named {
            start.policy.metrics[0].evidence.clusters.clear();
            // Both have answered before, to whoever led then.
            let known = ["east", "west"].map(|cluster| KnownCluster::new(cluster.into(), NOW_MS - 60_000));
            let clusters = known.to_vec();
            start.history.metrics =
                vec![MetricHistory { clusters, ..MetricHistory::new(&start.policy.metrics[0]) }];
        }
        start.policy.behavior = self.user_window.map(|seconds| {
            let rules = Rules { stabilization_window_seconds: Some(seconds), ..Rules::default() };
            Behavior { scale_up: None, scale_down: Some(rules) }
        });
        (self.terms)(&mut start);
        start
    }

    /// Long after everything is over.
    pub(crate) fn end(&self) -> i64 {
        let (growing, a_second) = &self.lag.growing;
        let caught_up = growing.end + ((growing.end - growing.start) as f64 * a_second) as i64;
        let ends = [self.cut.during.end, self.outage.end, self.lost.end, self.stall.end, caught_up];
        let quiet = ends.into_iter().max().unwrap_or(0).max(0);
        quiet + 2 * (self.window_ms + self.max_age_ms + self.interval_ms)
    }

    /// When each decision is made.
    fn ticks(&self, end: i64) -> impl Iterator<Item = i64> {
        let late = self.jitter.iter().cycle();
        let ticks = (0..end / self.interval_ms).zip(late);
        let ticks = ticks.map(|(tick, late)| tick * self.interval_ms + late * self.interval_ms / 100);
        ticks.filter(|at| !self.stall.contains(at))
    }

    /// Decides until `end`, each time with the first replicas there.
    pub(crate) fn decide(&self, end: i64) -> impl Iterator<Item = (i64, Decision)> {
        self.decide_with(end, |_, _| ())
    }

    /// The same, with an input that is changed before each decision.
    fn decide_with(
        &self,
        end: i64,
        change: impl Fn(&mut Input, i64),
    ) -> impl Iterator<Item = (i64, Decision)> {
        let mut run = self.start();
        self.ticks(end).enumerate().map(move |(nth, now)| {
            run.now_ms = NOW_MS + now + self.clock_ms;
            change(&mut run, now);
            let starts = run.history.starts(&run.policy, "requests", run.now_ms);
            let settled_ms = run.history.settled_ms("requests");
            run.observations = vec![self.observe(now, settled_ms, &starts, nth as i64)];
            let decision = decide(&run);
            run.history.clone_from(&decision.history);
            (now, decision)
        })
    }

    /// The lowest that was desired until `end`, and when.
    pub(crate) fn lowest(&self, end: i64) -> Option<(i32, i64)> {
        self.decide(end).map(|(now, decision)| (decision.desired_replicas, now)).min()
    }

    pub(crate) fn lowest_with(&self, end: i64, change: impl Fn(&mut Input, i64)) -> Option<(i32, i64)> {
        self.decide_with(end, change).map(|(now, decision)| (decision.desired_replicas, now)).min()
    }
}
