//! The open loop: a pacer thread that only waits and hands over, and a task for every request, on a thread and
//! executor of their own so that whatever else the process does is not in the latencies.
//!
//! The pacer is a thread of its own because an executor's timers are a millisecond coarse and wait behind
//! other tasks; the send lag that is recorded is what remains, measured inside the request's task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::Uri;
use parking_lot::Mutex;
use thanos_telemetry::Shutdown;
use tokio::sync::{mpsc, oneshot, watch};

use crate::due::Due;
use crate::recorder::{End, NotSent, Recorder, Summary};
use crate::request::Request;
use crate::schedule::{Arrivals, Course, Schedule, Stage};

mod account;
mod pace;
mod send;
mod silence;
mod slots;

pub use account::{Account, State};
pub use slots::{IN_FLIGHT_MAX, slots_for};

use pace::{Paced, pace};
use send::Sender;
pub(crate) use send::TOO_FEW_SLOTS;

/// Due requests that wait for the executor; a longer queue is lag, and lag beyond the limit voids the run.
const HANDOVER_QUEUE: usize = 4096;

/// How often a thread that is about to end is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

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
    /// Requests under way at once; more are not sent, and counted: as the failure of the service, where the slots are
    /// enough ([`slots_for`]) or those who hold them are not answered either; else as the generator's own.
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
    /// The arrivals once more, for the account.
    schedule: (Vec<Stage>, Arrivals, u64),
    pacer: Thread<Paced>,
    sender: Thread<Result<(), String>>,
}

/// A thread, and what became of it.
#[derive(Debug)]
enum Thread<T> {
    /// The channel closes as its work ends, also by a panic.
    Runs(JoinHandle<T>, oneshot::Receiver<()>),
    Ended(Result<T, String>),
}

impl<T: Send + 'static> Thread<T> {
    fn start(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (working, done) = oneshot::channel::<()>();
        let work = move || {
            let _working = working;
            work()
        };
        match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
            Ok(thread) => Self::Runs(thread, done),
            Err(e) => Self::Ended(Err(format!("the {name} has no thread: {e}"))),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Runs(thread, _) => thread.is_finished(),
            Self::Ended(_) => true,
        }
    }

    /// Waits for its end.
    async fn end(&mut self, name: &str) {
        if let Self::Runs(_, done) = self {
            let _ = done.await;
        }
        // What is left is the thread's own end.
        while !self.is_over() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let over = std::mem::replace(self, Self::Ended(Err(String::new())));
        *self = Self::Ended(match over {
            Self::Runs(thread, _) => thread.join().map_err(|panic| {
                let message = panic.downcast_ref::<&str>().map(|m| (*m).to_owned());
                let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
                format!("the {name} panicked: {}", message.unwrap_or_default())
            }),
            Self::Ended(ended) => ended,
        });
    }
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
        self.record_until(planned, |recorder, _| f(recorder));
    }

    /// Each record of a request, with the end of what it is a record of.
    fn record_until(&self, planned: Duration, f: impl Fn(&mut Recorder, Duration)) {
        f(&mut self.second.lock(), self.course.duration());
        let due_in = self.stretches.partition_point(|(end, _)| *end <= planned);
        // An arrival on the very end of the last stretch belongs to it.
        if let Some((end, stretch)) = self.stretches.get(due_in).or(self.stretches.last()) {
            f(&mut stretch.lock(), *end);
        }
    }

    fn not_sent(&self, planned: Duration, why: NotSent<'_>) {
        self.record(planned, |r| r.not_sent(why));
        self.in_its_second(planned, |d| d.not_sent(why));
    }

    fn ended(&self, planned: Duration, lag: Duration, end: End<'_>, also: impl Fn(&mut Recorder)) {
        let now = self.started.elapsed();
        let latency = now.saturating_sub(planned);
        self.record_until(planned, |r, over| {
            r.ended_lagged(latency, lag, end);
            if end == End::Ok && now <= over {
                r.answered_before_the_end();
            }
            also(r);
        });
        self.in_its_second(planned, |d| d.ended_lagged(latency, lag, end));
    }

    fn in_its_second(&self, planned: Duration, f: impl FnOnce(&mut Due)) {
        if let Some(due) = &self.due {
            f(due.lock().entry(planned.as_secs()).or_default());
        }
    }
}

impl Generator {
    /// Starts sending GET requests at once.
    pub fn start(plan: Plan, shutdown: Shutdown) -> Self {
        Self::start_asking(plan, Request::default(), shutdown)
    }

    /// Starts sending these requests at once.
    pub fn start_asking(plan: Plan, request: Request, shutdown: Shutdown) -> Self {
        let stretch = |end: &mut Duration, length: &Duration| {
            *end = end.saturating_add(*length);
            Some((*end, Mutex::default()))
        };
        let schedule = (plan.stages.clone(), plan.arrivals, plan.seed);
        let pacing = Schedule::new(plan.stages.clone(), plan.arrivals, plan.seed);
        let (due, handed_over) = mpsc::channel(HANDOVER_QUEUE);
        let stretches = plan.stretches.iter().scan(Duration::ZERO, stretch).collect();
        let course = Course::new(plan.stages.clone());
        let by_second = plan.by_second.then(Mutex::default);
        // Some of this takes time, for thousands of stages. The clock begins after it.
        let sender = Sender::new(plan, request);
        let started = Instant::now();
        let shared = Arc::new(Shared {
            total: Mutex::default(),
            second: Mutex::default(),
            stretches,
            due: by_second,
            course,
            started,
        });
        let pacer_shared = shared.clone();
        let pacer = Thread::start("pacer", move || pace(pacing, started, &due, &pacer_shared, &shutdown));
        let sender_shared = shared.clone();
        let sender = Thread::start("sender", move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("the load generator has no runtime: {error}"))?;
            runtime.block_on(sender.send_all(handed_over, sender_shared));
            Ok(())
        });
        Self { shared, schedule, pacer, sender }
    }

    /// Closes the current stretch and returns its figures.
    pub fn lap(&self) -> Progress {
        let second = std::mem::take(&mut *self.shared.second.lock());
        self.shared.total.lock().merge(&second);
        let at = self.shared.started.elapsed();
        Progress { at, rate_rps: self.shared.course.rate_at(at), second: second.summary() }
    }

    /// As [`Self::lap`], with what failed or was not sent slower than any latency.
    pub fn lap_of_users(&self) -> Progress {
        let second = std::mem::take(&mut *self.shared.second.lock());
        self.shared.total.lock().merge(&second);
        let at = self.shared.started.elapsed();
        let second = second.failures_as_slowest().summary();
        Progress { at, rate_rps: self.shared.course.rate_at(at), second }
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

    /// Whether every planned request has ended, or the generator itself.
    pub fn is_finished(&self) -> bool {
        self.sender.is_over()
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
        self.sender.end("sender").await;
        self.pacer.end("pacer").await;
        self.lap();
    }

    /// Waits for the last answer and accounts for every request that the schedule holds: whether the generator did
    /// what was planned. What else it recorded stays there to be read.
    pub async fn account(&mut self) -> Account {
        self.drain().await;
        let (Thread::Ended(paced), Thread::Ended(sent)) = (&self.pacer, &self.sender) else {
            return Account::died("it did not end".into(), self.shared.course.duration());
        };
        let (stages, arrivals, seed) = self.schedule.clone();
        let summary = self.so_far().0.summary();
        Account::new(paced, sent, Schedule::new(stages, arrivals, seed), &self.shared.course, &summary)
    }
}

#[cfg(test)]
mod tests;
