//! An endpoint's load, shared between threads without a lock.
//!
//! ```text
//!           ┌ what it takes: peak-EWMA of its successes, at least ─┐
//!  cost  =  │ as long as it has answered nothing to those waiting  │ × (in flight ÷ weight + 1)
//!           └ +  5 × what its peers take × blame for failures      ┘
//! ```
//!
//! Speed is read from successes only. A failure is an answer that was not wanted: were its time taken for latency,
//! the endpoint that fails at once would be the fastest and draw all traffic. A client that leaves, and a deadline,
//! tell that the answer would have taken at least so long. An endpoint that tells nothing at all while requests wait
//! for it costs what that silence lasts; who was waiting already when another was answered, a watch for example, is no
//! silence. So that it can show which of both it is, one more request goes to a silent one now and then.
//!
//! Failures are *added*, in units of what the service usually takes, rather than multiplied (Finagle's and Linkerd's
//! biasers divide by the success rate): an estimate of latency decays towards zero while an endpoint is not asked,
//! and a multiple of nothing is nothing, so that it would be asked again ever sooner.

mod outcome;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::breaker::{self, Breaker, Gate};
use crate::ewma::{DECAY_NS, PeakEwma, Typical};
use crate::health::Health;
use crate::p2c::Candidate;
use crate::random::mix;

pub use outcome::{Unanswered, Verdict};
use request::Request;
pub use request::{Streaming, Waiting};

/// What a failure costs: as many answers of its peers.
pub const BLAME: f64 = 5.0;
/// The share of its choices that a newcomer has at once; it grows to all of them over the window.
const WARM_SHARE_MIN: f64 = 0.1;
/// What a newcomer took beyond so many times what its peers take is forgotten over this part of the window: what a cold
/// one takes says little of a warm one, and would be held against it for long.
const COLD: f64 = 1.5;
const COLD_DECAY: f64 = 0.1;
/// A wait of so many answers of its peers counts even where the endpoint answered others meanwhile.
const LONG_WAIT: f64 = 32.0;
/// A silent endpoint is asked once more after a second, doubled by each request that waits, up to half a minute.
const ASK_AGAIN_NS: (u64, u32) = (1_000_000_000, 6);

/// A newcomer's first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowStart {
    /// When it came.
    pub from_ns: u64,
    /// How long its share of choices grows. 0: not at all.
    pub window_ns: u64,
}

/// What the endpoints of one service have in common.
#[derive(Debug, Default)]
pub struct Peers {
    typical: Typical,
    known: AtomicU32,
    out: AtomicU32,
}

/// What the balancer knows of one endpoint.
#[derive(Debug)]
pub struct Load {
    peers: Arc<Peers>,
    warm: SlowStart,
    /// An `f32` over zero; 1 is usual.
    weight: AtomicU32,
    asked: AtomicBool,
    latency: AtomicU64,
    health: AtomicU64,
    breaker: AtomicU64,
    in_flight: AtomicU32,
    /// Answers so far (32 bits, they wrap), and requests that it was given since the last and that still wait.
    unheard: AtomicU64,
    /// When the first of these was given, and the last.
    quiet_since_ns: AtomicU64,
    quiet_last_ns: AtomicU64,
}

impl Peers {
    /// How many of them breakers have out.
    pub fn out(&self) -> u32 {
        self.out.load(Relaxed)
    }

    /// Then the fault is hardly the endpoints'.
    fn most_are_out(&self) -> bool {
        self.out() > self.known.load(Relaxed) / 2
    }
}

impl Load {
    /// An endpoint that was just discovered among `peers`. A weight that is no positive number is 1.
    pub fn new(peers: Arc<Peers>, warm: SlowStart, weight: f32) -> Self {
        peers.known.fetch_add(1, Relaxed);
        Self {
            peers,
            warm,
            weight: AtomicU32::new(sane(weight).to_bits()),
            asked: AtomicBool::new(false),
            latency: AtomicU64::new(PeakEwma::UNKNOWN.to_bits()),
            health: AtomicU64::new(Health::default().to_bits()),
            breaker: AtomicU64::new(Breaker::CLOSED.to_bits()),
            in_flight: AtomicU32::new(0),
            unheard: AtomicU64::new(0),
            quiet_since_ns: AtomicU64::new(0),
            quiet_last_ns: AtomicU64::new(0),
        }
    }

    /// Discovery changed its weight. One that is no positive number is 1.
    pub fn set_weight(&self, weight: f32) {
        self.weight.store(sane(weight).to_bits(), Relaxed);
    }

    /// A request is given to it. `jitter` is random.
    pub fn start(self: &Arc<Self>, now_ns: u64, jitter: u64) -> Waiting {
        // Nearly always set already: a load is cheaper than a store on a shared line.
        if !self.asked.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
        let gate = self.breaker().gate(now_ns);
        // Of several that see it due at the same moment one is the probe; the others went out under an open gate.
        let gate = match gate {
            Gate::Due if !self.claim(now_ns, jitter) => Gate::Open,
            gate => gate,
        };
        self.in_flight.fetch_add(1, Relaxed);
        let before = self.unheard.fetch_add(1, Relaxed);
        if before as u32 == 0 {
            self.quiet_since_ns.store(now_ns, Relaxed);
        }
        self.quiet_last_ns.store(now_ns, Relaxed);
        let answers = (before >> 32) as u32;
        Waiting::new(Request { load: self.clone(), started_ns: now_ns, gate, answers })
    }

    /// Requests given to it and not over.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Latency estimate in ns: its own, or while it has none its peers', and no less than its silence.
    pub fn rtt_ns(&self, now_ns: u64) -> f64 {
        let latency = PeakEwma::from_bits(self.latency.load(Relaxed));
        let own = latency.estimate_ns(now_ns, self.decay_ns(latency, now_ns));
        own.unwrap_or_else(|| self.peers.typical.ns()).max(self.silence_ns(now_ns) as f64)
    }

    /// The balancer's measure: finite, not negative.
    pub fn cost(&self, now_ns: u64) -> f64 {
        let blame = Health::from_bits(self.health.load(Relaxed)).blame(now_ns);
        let failures_ns = if blame > 0.0 { BLAME * blame * self.peers.typical.ns() } else { 0.0 };
        // Who weighs twice as much carries twice as many; an idle one is no better for its weight, for it is drawn by it.
        let carried = f64::from(self.in_flight()) / f64::from(f32::from_bits(self.weight.load(Relaxed)));
        (self.rtt_ns(now_ns) + failures_ns) * (carried + 1.0)
    }

    /// What the balancer may do with it. `random` decides which choices a newcomer sits out.
    pub fn candidate(&self, now_ns: u64, random: u64) -> Candidate {
        match self.breaker().gate(now_ns) {
            Gate::Open => return Candidate::Out,
            Gate::Due => return Candidate::Due,
            Gate::Closed if !self.asked.load(Relaxed) => return Candidate::Due,
            Gate::Closed => {}
        }
        if self.ask_again(now_ns) {
            return Candidate::Due;
        }
        let share = self.warmth(now_ns);
        if share < 1.0 && unit(mix(random)) >= share.max(WARM_SHARE_MIN) {
            return Candidate::Resting;
        }
        Candidate::Ready
    }

    /// How long requests have heard nothing since its last answer.
    fn silence_ns(&self, now_ns: u64) -> u64 {
        if self.unheard.load(Relaxed) as u32 == 0 {
            return 0;
        }
        now_ns.saturating_sub(self.quiet_since_ns.load(Relaxed))
    }

    fn ask_again(&self, now_ns: u64) -> bool {
        let unheard = self.unheard.load(Relaxed) as u32;
        let since_last_ns = now_ns.saturating_sub(self.quiet_last_ns.load(Relaxed));
        unheard > 0 && since_last_ns >= ASK_AGAIN_NS.0 << (unheard.min(ASK_AGAIN_NS.1) - 1)
    }

    /// It answered: who still waits does so for another reason than its silence.
    fn heard(&self) {
        update_bits(&self.unheard, |bits| Some(u64::from(((bits >> 32) as u32).wrapping_add(1)) << 32));
    }

    /// One that was given after so many answers waits no longer. Returns whether none came meanwhile.
    fn gone(&self, answers: u32) -> bool {
        let since = |bits: u64| (bits >> 32) as u32 == answers && bits as u32 > 0;
        self.unheard.fetch_update(Relaxed, Relaxed, |bits| since(bits).then(|| bits - 1)).is_ok()
    }

    /// Whether its breaker has it in.
    pub fn is_in(&self) -> bool {
        self.breaker().is_closed()
    }

    fn breaker(&self) -> Breaker {
        Breaker::from_bits(self.breaker.load(Relaxed))
    }

    fn claim(&self, now_ns: u64, jitter: u64) -> bool {
        let claim = |bits| {
            let breaker = Breaker::from_bits(bits);
            (breaker.gate(now_ns) == Gate::Due).then(|| breaker.started(now_ns, jitter).to_bits())
        };
        self.breaker.fetch_update(Relaxed, Relaxed, claim).is_ok()
    }

    /// How much of its slow start is over, up to 1.
    fn warmth(&self, now_ns: u64) -> f64 {
        let age_ns = now_ns.saturating_sub(self.warm.from_ns);
        if age_ns >= self.warm.window_ns { 1.0 } else { age_ns as f64 / self.warm.window_ns as f64 }
    }

    /// How fast an estimate is forgotten.
    fn decay_ns(&self, latency: PeakEwma, now_ns: u64) -> u64 {
        let observed_ns = now_ns.saturating_sub(latency.age_ns(now_ns));
        let cold = self.warmth(observed_ns) < 1.0 && latency.last_ns() > self.peers.typical.ns() * COLD;
        if !cold {
            return DECAY_NS;
        }
        ((self.warm.window_ns as f64 * COLD_DECAY) as u64).min(DECAY_NS)
    }

    fn took(&self, rtt_ns: u64, now_ns: u64) {
        let mut latency = PeakEwma::UNKNOWN;
        update_bits(&self.latency, |bits| {
            let old = PeakEwma::from_bits(bits);
            latency = old.observe(rtt_ns, now_ns, self.decay_ns(old, now_ns));
            Some(latency.to_bits())
        });
        self.peers.typical.observe(latency.estimate_ns(now_ns, DECAY_NS).unwrap_or(rtt_ns as f64), now_ns);
    }

    /// A request was not answered within `elapsed_ns`. Where the endpoint was not `silent` meanwhile, a long wait is as
    /// likely the request's own and does not count in full.
    fn took_at_least(&self, elapsed_ns: u64, silent: bool, now_ns: u64) {
        let most_ns = if silent { u64::MAX } else { (self.peers.typical.ns() * LONG_WAIT) as u64 };
        let rtt_ns = elapsed_ns.min(most_ns);
        update_bits(&self.latency, |bits| {
            let old = PeakEwma::from_bits(bits);
            Some(old.at_least(rtt_ns, now_ns, self.decay_ns(old, now_ns)).to_bits())
        });
    }

    fn judge(&self, verdict: Verdict, gate: Gate, now_ns: u64, jitter: u64) {
        let mut health = Health::default();
        let failed = verdict != Verdict::Good;
        update_bits(&self.health, |bits| {
            health = Health::from_bits(bits).observe(failed, now_ns);
            Some(health.to_bits())
        });
        let change = |b: Breaker| match verdict {
            Verdict::Good => b.succeeded(gate, now_ns),
            // It lives, which is what a probe asks.
            Verdict::Declined if gate != Gate::Closed => b.succeeded(gate, now_ns),
            Verdict::Declined => b,
            Verdict::Failed => b.failed(gate, health, self.pause_ms(), now_ns, jitter),
        };
        if self.change_breaker(change) == Some(true) {
            // What made it open is over, and would open it again on the next failure.
            self.health.store(Health::default().to_bits(), Relaxed);
        }
    }

    /// Where most are out, none should miss for long that the service is back.
    fn pause_ms(&self) -> (u64, u64) {
        if self.peers.most_are_out() { breaker::COMMON_PAUSE_MS } else { breaker::PAUSE_MS }
    }

    fn unreachable(&self, gate: Gate, now_ns: u64, jitter: u64) {
        update_bits(&self.health, |bits| Some(Health::from_bits(bits).observe(true, now_ns).to_bits()));
        self.change_breaker(|b| b.unreachable(gate, now_ns, jitter));
    }

    /// Whether that closed it, or opened it; `None` if neither.
    fn change_breaker(&self, change: impl Fn(Breaker) -> Breaker) -> Option<bool> {
        let mut seen = (true, true);
        update_bits(&self.breaker, |bits| {
            let (old, new) = (Breaker::from_bits(bits), change(Breaker::from_bits(bits)));
            seen = (old.is_closed(), new.is_closed());
            (new != old).then(|| new.to_bits())
        });
        match seen {
            (true, false) => self.peers.out.fetch_add(1, Relaxed),
            (false, true) => self.peers.out.fetch_sub(1, Relaxed),
            _ => return None,
        };
        Some(seen.1)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.peers.known.fetch_sub(1, Relaxed);
        if !self.is_in() {
            self.peers.out.fetch_sub(1, Relaxed);
        }
    }
}

fn sane(weight: f32) -> f32 {
    // Subnormal ones are no weights, and would not divide.
    if weight.is_normal() && weight > 0.0 { weight } else { 1.0 }
}

/// Where the closure gives nothing, nothing is written.
fn update_bits(atomic: &AtomicU64, update: impl FnMut(u64) -> Option<u64>) {
    let _ = atomic.fetch_update(Relaxed, Relaxed, update);
}

/// A random number from 0 to 1, without 1.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
