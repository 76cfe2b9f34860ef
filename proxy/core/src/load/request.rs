//! One request of an endpoint: every way in which it ends is told to the endpoint's load.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Load, Unanswered, Verdict};
use crate::breaker::Gate;

/// A request that an endpoint has not answered. Its end has to be told; dropped without, it counts as a client that
/// left, of whose waiting nothing is known.
#[derive(Debug)]
#[must_use = "how the request went has to be told"]
pub struct Waiting(Option<Request>);

/// A request whose response is on its way.
#[derive(Debug)]
#[must_use = "it is in flight until this is dropped"]
pub struct Streaming {
    request: Request,
    /// What its head took, while what it was worth is not known.
    rtt_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) load: Arc<Load>,
    pub(super) started_ns: u64,
    pub(super) gate: Gate,
    /// The endpoint's answers before it.
    pub(super) answers: u32,
}

impl Waiting {
    pub(super) fn new(request: Request) -> Self {
        Self(Some(request))
    }

    /// The client sent something of the request at `at_ns`: the endpoint's time counts from then.
    pub fn heard(&mut self, at_ns: u64) {
        if let Some(request) = &mut self.0 {
            request.started_ns = request.started_ns.max(at_ns);
        }
    }

    /// The response's head came. `verdict` is `None` where its trailers will tell.
    pub fn answered(mut self, verdict: Option<Verdict>, now_ns: u64, jitter: u64) -> Option<Streaming> {
        let request = self.0.take()?;
        let load = &request.load;
        let rtt_ns = now_ns.saturating_sub(request.started_ns);
        load.heard();
        match verdict {
            Some(Verdict::Good) => load.took(rtt_ns, now_ns),
            _ => load.took_at_least(rtt_ns, true, now_ns),
        }
        if let Some(verdict) = verdict {
            load.judge(verdict, request.gate, now_ns, jitter);
        }
        Some(Streaming { request, rtt_ns: verdict.is_none().then_some(rtt_ns) })
    }

    /// It ended without one.
    pub fn unanswered(mut self, how: Unanswered, now_ns: u64, jitter: u64) {
        let Some(request) = self.0.take() else { return };
        let load = &request.load;
        let elapsed_ns = now_ns.saturating_sub(request.started_ns);
        let silent = load.gone(request.answers);
        match how {
            Unanswered::Broken | Unanswered::TimedOut => {
                load.took_at_least(elapsed_ns, silent, now_ns);
                load.judge(Verdict::Failed, request.gate, now_ns, jitter);
            }
            Unanswered::Unreachable => load.unreachable(request.gate, now_ns, jitter),
            Unanswered::Declined => load.judge(Verdict::Declined, request.gate, now_ns, jitter),
            Unanswered::Canceled => {
                load.took_at_least(elapsed_ns, silent, now_ns);
                load.change_breaker(|b| b.untold(request.gate, load.pause_ms(), now_ns, jitter));
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(request) = &self.0 {
            request.load.gone(request.answers);
        }
    }
}

impl Streaming {
    /// The response is over, or broke: what is in flight ends with this.
    pub fn over(self, verdict: Verdict, now_ns: u64, jitter: u64) {
        let Request { load, gate, .. } = &self.request;
        match (self.rtt_ns, verdict) {
            // Judged by its head; that its body came is no second success.
            (None, Verdict::Good | Verdict::Declined) => {}
            (None, Verdict::Failed) => load.judge(verdict, *gate, now_ns, jitter),
            (Some(rtt_ns), _) => {
                if verdict == Verdict::Good {
                    load.took(rtt_ns, now_ns);
                }
                load.judge(verdict, *gate, now_ns, jitter);
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Relaxed);
    }
}
