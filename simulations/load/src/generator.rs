//! The open loop: a pacer thread that only waits and hands over, and a task for every request, on a thread and
//! executor of their own so that whatever else the process does is not in the latencies.
//!
//! The pacer is a thread of its own because an executor's timers are a millisecond coarse and wait behind
//! other tasks; the send lag that is recorded is what remains, measured inside the request's task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;
use parking_lot::Mutex;
use thanos_telemetry::Shutdown;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::client::{Failure, Target};
use crate::due::Due;
use crate::recorder::{End, Recorder, Summary};
use crate::schedule::{Arrivals, Course, Schedule, Stage};

/// Due requests that wait for the executor; a longer queue is lag, and lag beyond the limit voids the run.
const HANDOVER_QUEUE: usize = 4096;

/// The pacer wakes no more often than this; what falls due meanwhile goes together, late by less. At high rates
/// a wake for every request would cost the core more than the request.
const PACE: Duration = Duration::from_micros(100);

/// What to send, where, and how patiently.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rate over time.
    pub stages: Vec<Stage>,
    /// Lengths of the stretches, in order, that have figures of their own; what is due later counts in the last.
    pub stretches: Vec<Duration>,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// Where the arrivals' randomness starts.
    pub seed: u64,
    /// Where to send, in turn; changes are picked up.
    pub targets: watch::Receiver<Vec<Uri>>,
    /// From the planned time to the last byte.
    pub timeout: Duration,
    /// Requests under way at once; more are dropped and counted.
    pub max_in_flight: usize,
    /// Whether to keep the requests of each second apart, by when they were due ([`Generator::take_due`]).
    pub by_second: bool,
}

/// A second of load, as it happened.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Since the start.
    pub at: Duration,
    /// The rate the stages ask for now.
    pub rate_rps: f64,
    /// Requests that were due, ended or were dropped in this second.
    pub second: Summary,
}

/// A running generator.
#[derive(Debug)]
pub struct Generator {
    shared: Arc<Shared>,
    done: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    total: Mutex<Recorder>,
    second: Mutex<Recorder>,
    /// By end: a request belongs to the stretch in which it was due, whenever it ended.
    stretches: Vec<(Duration, Mutex<Recorder>)>,
    /// By the second in which they were due; what nobody takes grows.
    due: Option<Mutex<BTreeMap<u64, Due>>>,
    course: Course,
    started: Instant,
}

impl Shared {
    fn record(&self, planned: Duration, f: impl Fn(&mut Recorder)) {
        f(&mut self.second.lock());
        let due_in = self.stretches.partition_point(|(end, _)| *end <= planned);
        // An arrival on the very end of the last stretch belongs to it.
        if let Some((_, stretch)) = self.stretches.get(due_in).or(self.stretches.last()) {
            f(&mut stretch.lock());
        }
    }

    fn dropped(&self, planned: Duration) {
        self.record(planned, Recorder::dropped);
        self.in_its_second(planned, Due::dropped);
    }

    fn ended(&self, planned: Duration, latency: Duration, end: End<'_>) {
        self.record(planned, |r| r.ended(latency, end));
        self.in_its_second(planned, |d| d.ended(latency, end));
    }

    fn in_its_second(&self, planned: Duration, f: impl FnOnce(&mut Due)) {
        if let Some(due) = &self.due {
            f(due.lock().entry(planned.as_secs()).or_default());
        }
    }
}

impl Generator {
    /// Starts sending at once.
    pub fn start(plan: Plan, shutdown: Shutdown) -> Self {
        let started = Instant::now();
        let stretch = |end: &mut Duration, length: &Duration| {
            *end = end.saturating_add(*length);
            Some((*end, Mutex::default()))
        };
        let shared = Arc::new(Shared {
            total: Mutex::default(),
            second: Mutex::default(),
            stretches: plan.stretches.iter().scan(Duration::ZERO, stretch).collect(),
            due: plan.by_second.then(Mutex::default),
            course: Course::new(plan.stages.clone()),
            started,
        });
        let (due, handed_over) = mpsc::channel(HANDOVER_QUEUE);
        let schedule = Schedule::new(plan.stages.clone(), plan.arrivals, plan.seed);
        let pacer_shared = shared.clone();
        let pacer_shutdown = shutdown.clone();
        std::thread::spawn(move || pace(schedule, started, &due, &pacer_shared, &pacer_shutdown));
        let (finished, done) = oneshot::channel();
        let sender_shared = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(send_all(plan, handed_over, sender_shared)),
                Err(error) => tracing::error!(%error, "the load generator has no runtime"),
            }
            // Nobody waits any more if this fails.
            let _ = finished.send(());
        });
        Self { shared, done }
    }

    /// Closes the current stretch and returns its figures.
    pub fn lap(&self) -> Progress {
        let second = std::mem::take(&mut *self.shared.second.lock());
        self.shared.total.lock().merge(&second);
        let at = self.shared.started.elapsed();
        Progress { at, rate_rps: self.shared.course.rate_at(at), second: second.summary() }
    }

    /// The distributions so far, of the whole and of each stretch by when a request was due. What is under way is
    /// not in the latencies yet.
    pub fn so_far(&self) -> (Recorder, Vec<Recorder>) {
        let mut total = self.shared.total.lock().clone();
        total.merge(&self.shared.second.lock());
        (total, self.shared.stretches.iter().map(|(_, s)| s.lock().clone()).collect())
    }

    /// Takes the requests that were due in seconds before this one, counted from the start. Whoever wants them
    /// whole waits until those have ended: as long as a request may take.
    pub fn take_due(&self, before: u64) -> BTreeMap<u64, Due> {
        let Some(due) = &self.shared.due else { return BTreeMap::new() };
        let mut due = due.lock();
        let later = due.split_off(&before);
        std::mem::replace(&mut *due, later)
    }

    /// Whether every planned request has ended.
    pub fn is_finished(&self) -> bool {
        !self.done.is_empty() || self.done.is_terminated()
    }

    /// Waits for the last answer and returns the whole run's figures.
    pub async fn finish(self) -> Summary {
        self.finish_recorded().await.0.summary()
    }

    /// Waits for the last answer and returns the whole run's distributions, and each stretch's by when a request
    /// was due.
    pub async fn finish_recorded(mut self) -> (Recorder, Vec<Recorder>) {
        self.drain().await;
        self.so_far()
    }

    /// Waits for the last answer.
    pub async fn drain(&mut self) {
        // The sender never panics on input; if it did, what it recorded still counts.
        if !self.done.is_terminated() && (&mut self.done).await.is_err() {
            tracing::error!("the load generator broke off");
        }
        self.lap();
    }
}

/// Waits for each planned time and hands the request over. Never waits for the executor.
fn pace(
    schedule: Schedule,
    started: Instant,
    due: &mpsc::Sender<Duration>,
    shared: &Shared,
    shutdown: &Shutdown,
) {
    wake_on_time();
    for planned in schedule {
        loop {
            let now = started.elapsed();
            if shutdown.is_started() {
                return;
            }
            let Some(wait) = planned.checked_sub(now).filter(|w| !w.is_zero()) else { break };
            #[expect(clippy::disallowed_methods, reason = "this thread exists to wait")]
            std::thread::sleep(wait.clamp(PACE, Duration::from_millis(100)));
        }
        match due.try_send(planned) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => shared.dropped(planned),
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// The kernel may wake a thread 50 µs late to wake several at once; this one says that it minds.
fn wake_on_time() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
        tracing::debug!(%error, "the pacer's timers stay coarse");
    }
}

async fn send_all(mut plan: Plan, mut due: mpsc::Receiver<Duration>, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(plan.max_in_flight));
    let mut targets = targets(&[], &plan.targets.borrow_and_update());
    let mut turn = 0usize;
    while let Some(planned) = due.recv().await {
        if plan.targets.has_changed().unwrap_or(false) {
            targets = self::targets(&targets, &plan.targets.borrow_and_update());
        }
        turn = turn.wrapping_add(1);
        let target = targets.get(turn % targets.len().max(1)).cloned();
        let (Ok(permit), Some(target)) = (room.clone().try_acquire_owned(), target) else {
            shared.dropped(planned);
            continue;
        };
        let (shared, timeout) = (shared.clone(), plan.timeout);
        tokio::spawn(async move {
            let lag = shared.started.elapsed().saturating_sub(planned);
            shared.record(planned, |r| r.sent(lag));
            let end = tokio::time::timeout(timeout.saturating_sub(lag), target.get()).await;
            let latency = shared.started.elapsed().saturating_sub(planned);
            match end.unwrap_or(Err(Failure::Timeout)) {
                Ok(()) => shared.ended(planned, latency, End::Ok),
                Err(failure) => shared.ended(planned, latency, End::Failed(&failure.cause())),
            }
            drop(permit);
        });
    }
    // Every permit back means every request has ended.
    let _ = room.acquire_many(u32::try_from(plan.max_in_flight).unwrap_or(u32::MAX)).await;
}

/// The targets of these addresses; those that were there before keep their connections.
fn targets(before: &[Arc<Target>], uris: &[Uri]) -> Vec<Arc<Target>> {
    let kept = |uri: &Uri| before.iter().find(|t| t.uri == *uri).cloned();
    uris.iter().map(|u| kept(u).unwrap_or_else(|| Arc::new(Target::new(u.clone())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use axum::{Router, routing::get};

    async fn serve(router: Router) -> (watch::Receiver<Vec<Uri>>, watch::Sender<Vec<Uri>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (tx, rx) = watch::channel(vec![uri]);
        (rx, tx)
    }

    fn plan(targets: watch::Receiver<Vec<Uri>>, stage: &str) -> Plan {
        Plan {
            stages: vec![stage.parse().unwrap()],
            stretches: vec![],
            arrivals: Arrivals::Even,
            seed: 1,
            targets,
            timeout: Duration::from_secs(5),
            max_in_flight: 1000,
            by_second: true,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stall_of_the_server_is_in_the_latency_of_every_request_it_delayed() {
        // Closed-loop generators wait with the server and report one slow request: coordinated omission.
        let opened = Instant::now();
        let stall_until = opened + Duration::from_millis(600);
        let router = Router::new().route(
            "/",
            get(move || async move {
                tokio::time::sleep_until(stall_until.into()).await;
                "ok"
            }),
        );
        let (targets, _keep) = serve(router).await;
        let summary = Generator::start(plan(targets, "600ms@100"), Shutdown::new()).finish().await;
        assert_eq!((summary.planned, summary.completed), (60, 60), "{summary:?}");
        // The requests were due evenly over the stall, so half of them waited longer than half of it.
        assert!(summary.latency_p50_ms > 200.0 && summary.latency_max_ms > 500.0, "{summary:?}");
    }

    #[tokio::test]
    async fn a_request_counts_in_the_stage_in_which_it_was_due() {
        let late = get(async || tokio::time::sleep(Duration::from_millis(150)).await);
        let (targets, _keep) = serve(Router::new().route("/", late)).await;
        let mut plan = plan(targets, "100ms@50");
        plan.stages.push("100ms@100".parse().unwrap());
        plan.stretches = vec![Duration::from_millis(100); 2];
        let (total, stages) = Generator::start(plan, Shutdown::new()).finish_recorded().await;
        let planned: Vec<u64> = stages.iter().map(|s| s.summary().planned).collect();
        // The fifth is due exactly where the second stage begins.
        assert_eq!((total.summary().completed, planned), (15, vec![4, 11]));
    }

    #[tokio::test]
    async fn a_request_is_kept_with_the_second_in_which_it_was_due_whenever_it_ended() {
        // Even arrivals at 10 a second: 0.1, … 1.0, … 1.5. Those of the first second end in the next.
        let late = get(async || tokio::time::sleep(Duration::from_millis(950)).await);
        let (targets, _keep) = serve(Router::new().route("/", late)).await;
        let mut generator = Generator::start(plan(targets, "1500ms@10"), Shutdown::new());
        generator.drain().await;
        assert_eq!(generator.so_far().0.summary().completed, 15);
        let first = generator.take_due(1);
        let counts: Vec<(u64, u64)> = first.iter().map(|(second, d)| (*second, d.requests())).collect();
        assert_eq!(counts, [(0, 9)]);
        assert_eq!((first[&0].worse_than(Some(900.0)), first[&0].worse_than(Some(20_000.0))), (9, 0));
        assert_eq!(first[&0].recorder().summary().completed, 9);
        let rest: Vec<u64> = generator.take_due(u64::MAX).values().map(Due::requests).collect();
        assert_eq!(rest, [6], "what was taken is gone");
    }

    #[tokio::test]
    async fn failures_are_told_apart_and_nothing_is_left_out() {
        let router = Router::new().route("/", get(async || StatusCode::SERVICE_UNAVAILABLE));
        let (targets, set) = serve(router).await;
        let summary = Generator::start(plan(targets.clone(), "100ms@50"), Shutdown::new()).finish().await;
        assert_eq!((summary.planned, summary.causes["status 503"]), (5, 5));

        // A port that was just closed refuses.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        set.send_replace(vec![format!("http://{free}/").parse().unwrap()]);
        let summary = Generator::start(plan(targets.clone(), "100ms@50"), Shutdown::new()).finish().await;
        assert_eq!((summary.planned, summary.causes["connect"]), (5, 5));

        set.send_replace(vec![]);
        let summary = Generator::start(plan(targets, "100ms@50"), Shutdown::new()).finish().await;
        assert_eq!((summary.planned, summary.dropped), (5, 5));
    }
}
