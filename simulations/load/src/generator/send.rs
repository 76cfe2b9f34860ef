//! The sender: a task for every request that is due.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::silence::{Silence, Told};
use super::{IN_FLIGHT_MAX, Plan, Shared, slots_for};
use crate::client::{Client, Failure, Target, Way};
use crate::recorder::{End, NotSent};
use crate::request::Request;

/// Why no slot was free where there were too few of them.
pub(crate) const TOO_FEW_SLOTS: &str = "no slot free: fewer may be in flight than come within a timeout";

/// Why there was no answer, where the generator's lag took most of the time that there was for it.
const SENT_TOO_LATE: &str = "sent too late: most of the timeout had passed";

/// What is sent where, made before the clock begins.
pub(super) struct Sender {
    plan: Plan,
    client: Arc<Client>,
    targets: Vec<Arc<Target>>,
    slots: usize,
    /// Whether the slots are those of all requests of a timeout.
    enough: bool,
}

impl Sender {
    pub(super) fn new(mut plan: Plan, request: Request) -> Self {
        let slots = plan.max_in_flight.min(IN_FLIGHT_MAX);
        let enough = slots >= slots_for(&plan.stages, plan.arrivals, plan.timeout, usize::MAX);
        let client = Arc::new(Client::new(request, slots));
        let targets = targets(&[], &plan.targets.borrow_and_update(), &client);
        Self { plan, client, targets, slots, enough }
    }

    pub(super) async fn send_all(self, mut due: mpsc::Receiver<Duration>, shared: Arc<Shared>) {
        let Self { mut plan, client, mut targets, slots, enough } = self;
        let room = Arc::new(Semaphore::new(slots));
        let silence = Arc::new(Mutex::new(Silence::default()));
        let mut turn = 0usize;
        while let Some(planned) = due.recv().await {
            if plan.targets.has_changed().unwrap_or(false) {
                targets = self::targets(&targets, &plan.targets.borrow_and_update(), &client);
            }
            turn = turn.wrapping_add(1);
            let Some(target) = targets.get(turn % targets.len().max(1)).cloned() else {
                shared.not_sent(planned, NotSent::Own("no target"));
                continue;
            };
            let Ok(permit) = room.clone().try_acquire_owned() else {
                if enough {
                    shared.not_sent(planned, NotSent::Saturated);
                } else {
                    tell(&shared, silence.lock().no_slot(planned));
                }
                continue;
            };
            let lag = shared.started.elapsed().saturating_sub(planned);
            let (shared, silence) = (shared.clone(), silence.clone());
            let flight = Flight { shared, silence, planned, lag, ended: false, _permit: permit };
            let timeout = plan.timeout;
            let well = client.clone();
            tokio::spawn(async move { flight.fly(&target, timeout, &well.request).await });
        }
        // Every permit back means every request has ended.
        let _ = room.acquire_many(u32::try_from(slots).unwrap_or(u32::MAX)).await;
        tell(&shared, silence.lock().over());
    }
}

/// Counts requests that were not sent once it is known whose failure that is.
fn tell(shared: &Shared, told: Told) {
    let why = if told.hangs { NotSent::Saturated } else { NotSent::Own(TOO_FEW_SLOTS) };
    told.planned.into_iter().for_each(|planned| shared.not_sent(planned, why));
}

/// A request under way: whatever becomes of its task, its end is counted once.
struct Flight {
    shared: Arc<Shared>,
    silence: Arc<Mutex<Silence>>,
    planned: Duration,
    lag: Duration,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Flight {
    async fn fly(mut self, target: &Target, timeout: Duration, request: &Request) {
        self.lag = self.shared.started.elapsed().saturating_sub(self.planned);
        let (planned, lag) = (self.planned, self.lag);
        self.shared.record(planned, |r| r.sent(lag));
        if lag >= timeout {
            // The service has not had any of the time.
            self.ended = true;
            return self.failed(&Failure::Own(SENT_TOO_LATE), false);
        }
        let sent = planned.saturating_add(lag);
        self.silence.lock().sent(sent);
        let way = Way::default();
        let end = tokio::time::timeout(timeout.saturating_sub(lag), target.ask(&way)).await;
        let too_late = end.is_err() && lag > timeout / 2;
        let told = match &end {
            // Says nothing of the service, and no other may wait for what it would have said.
            _ if too_late => self.silence.lock().broken(),
            Err(_) => self.silence.lock().timed_out(sent),
            Ok(Err(failure)) if failure.is_silence() => self.silence.lock().timed_out(sent),
            Ok(_) => self.silence.lock().broken(),
        };
        tell(&self.shared, told);
        let in_vain = || if too_late { Failure::Own(SENT_TOO_LATE) } else { way.timed_out() };
        let answer = end.unwrap_or_else(|_| Err(in_vain()));
        let retried = way.was_retried();
        self.ended = true;
        match answer {
            Ok(answer) => {
                let status = answer.status;
                let failed = (!request.ok.contains(status)).then(|| format!("status {status}"));
                let end = failed.as_deref().map_or(End::Ok, End::Failed);
                self.shared.ended(planned, lag, end, |r| {
                    r.answer(status, answer.body_bytes);
                    if retried {
                        r.retried();
                    }
                });
            }
            Err(failure) => self.failed(&failure, retried),
        }
    }

    fn failed(&self, failure: &Failure, retried: bool) {
        let end = match failure.counted() {
            (true, cause) => End::Own(cause),
            (false, cause) => End::Failed(cause),
        };
        self.shared.ended(self.planned, self.lag, end, |r| {
            if retried {
                r.retried();
            }
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.ended(self.planned, self.lag, End::Own("the generator's task broke off"), |_| {});
        }
    }
}

/// The targets of these addresses; those that were there before keep their connections.
fn targets(before: &[Arc<Target>], uris: &[Uri], client: &Arc<Client>) -> Vec<Arc<Target>> {
    let kept = |uri: &Uri| before.iter().find(|t| t.uri == *uri).cloned();
    uris.iter().map(|u| kept(u).unwrap_or_else(|| Arc::new(Target::new(u.clone(), client.clone())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;
    use crate::schedule::Course;
    use std::time::Instant;

    /// Whose failure a request to a service that hangs is, sent so late; and whether it came there at all.
    async fn failed_of(lag: Duration, timeout: Duration) -> (Recorder, bool) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let request = Request::default();
        let target = Target::new(uri, Arc::new(Client::new(request.clone(), 1)));
        let shared = Arc::new(Shared {
            total: Mutex::default(),
            second: Mutex::default(),
            stretches: Vec::new(),
            due: None,
            course: Course::new(Vec::new()),
            started: Instant::now().checked_sub(lag).unwrap(),
        });
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let flight = Flight {
            shared: shared.clone(),
            silence: Arc::default(),
            planned: Duration::ZERO,
            lag: Duration::ZERO,
            ended: false,
            _permit: permit,
        };
        flight.fly(&target, timeout, &request).await;
        let came = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_ok();
        let recorder = shared.second.lock().clone();
        (recorder, came)
    }

    #[tokio::test]
    async fn a_timeout_that_the_generator_s_lag_used_up_is_its_own_failure() {
        let second = Duration::from_secs(1);
        for (lag, timeout, own, comes) in [
            (Duration::ZERO, second / 5, 0, true),
            (second, 3 * second, 0, true),
            (2 * second, second * 21 / 10, 1, true),
            (second, second, 1, false),
            (60 * second, second, 1, false),
        ] {
            let (recorder, came) = failed_of(lag, timeout).await;
            let s = recorder.summary();
            assert_eq!(
                (s.planned, s.own_failures, s.failed, came),
                (1, own, 1 - own, comes),
                "{lag:?}: {s:?}"
            );
            assert_eq!(s.own_causes.contains_key(SENT_TOO_LATE), own > 0, "{lag:?}: {s:?}");
        }
    }
}
