//! A circuit breaker: takes an endpoint out of the balancer's choices while it only fails.
//!
//! ```text
//!              7 failures in a row, or under 80 % of ≥5 answers in 10 s, or no connection
//!   Closed ──────────────────────────────────────────────────────────────────────────────► Open
//!     ▲                                                                                     │ pause, doubled
//!     │ success                                                                             ▼ each time
//!     └────────────────────────────────── Probing ◄──── one request ──── due ◄──────────────┘
//!                                            │ failure, or no answer: Open again, for longer
//!                                            └───────────────────────────────────────────►
//! ```
//!
//! The figures are Linkerd's (`consecutive` and `successRate` breakers). A probe is a request like any other, and
//! only one is under way at a time: an endpoint that hangs gets one request a pause, not one a client.
//!
//! The breaker is one endpoint's. That not all endpoints of a service are out at once is [`crate::p2c`]'s business.

use crate::backoff;
use crate::health::Health;

/// Failures in a row that open it.
pub const CONSECUTIVE: u8 = 7;
/// It opens below this share of successes,
pub const SUCCESS_MIN: f64 = 0.8;
/// if at least so many answers of the last ten seconds say so.
pub const ANSWERS_MIN: f64 = 5.0;
/// First and longest pause after failures, in ms.
pub const PAUSE_MS: (u64, u64) = (1_000, 60_000);
/// The same while most endpoints of the service are out.
pub const COMMON_PAUSE_MS: (u64, u64) = (1_000, 5_000);
/// The same after failed connects: nothing was sent, and one that starts listening should not wait for long.
pub const CONNECT_PAUSE_MS: (u64, u64) = (100, 5_000);

/// Closed for this long since the last pause, it starts again with short ones, in ms.
const FORGIVEN_MS: u64 = 10_000;
/// Its clock: 2^20 ns, about a millisecond.
const TIME_SHIFT: u32 = 20;
const TIME_BITS: u32 = 48;
const TIME_MAX: u64 = (1 << TIME_BITS) - 1;

/// Whether an endpoint may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Like any other.
    Closed,
    /// Its pause is over: for one request, which will tell.
    Due,
    /// Not while there is another.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open,
    Probing,
}

/// See the module. Packs into 64 bits, so that it changes by one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Failures since the last success.
    consecutive: u8,
    /// Pauses since it was last forgiven.
    pauses: u8,
    /// Closed: since when. Else: until when.
    time: u64,
}

impl Breaker {
    /// As an endpoint begins.
    pub const CLOSED: Self = Self { state: State::Closed, consecutive: 0, pauses: 0, time: 0 };

    /// Whether the endpoint may be chosen.
    pub fn gate(self, now_ns: u64) -> Gate {
        match self.state {
            State::Closed => Gate::Closed,
            // A probe of which nothing was heard for a pause holds no other up.
            State::Open | State::Probing if time(now_ns) >= self.time => Gate::Due,
            State::Open | State::Probing => Gate::Open,
        }
    }

    /// A request goes to it. Where the gate was due, that request is the probe.
    #[must_use]
    pub fn started(self, now_ns: u64, jitter: u64) -> Self {
        if self.gate(now_ns) != Gate::Due {
            return self;
        }
        Self { state: State::Probing, time: self.until(now_ns, PAUSE_MS, jitter), ..self }
    }

    /// A request succeeded that was given to it under `gate`. Under an open or due one it closes it.
    #[must_use]
    pub fn succeeded(self, gate: Gate, now_ns: u64) -> Self {
        match (self.state, gate) {
            (State::Closed, _) => Self { consecutive: 0, ..self },
            // Given before it opened: old news.
            (_, Gate::Closed) => self,
            (_, Gate::Due | Gate::Open) => {
                Self { state: State::Closed, consecutive: 0, time: time(now_ns), ..self }
            }
        }
    }

    /// A request failed that was given to it under `gate`; `health` with that failure. `pause_ms` is the first and the
    /// longest pause, `jitter` is random.
    #[must_use]
    pub fn failed(self, gate: Gate, health: Health, pause_ms: (u64, u64), now_ns: u64, jitter: u64) -> Self {
        match (self.state, gate) {
            (State::Closed, _) => {
                let counted = Self { consecutive: self.consecutive.saturating_add(1), ..self };
                let rate = health.answers(now_ns) >= ANSWERS_MIN - 0.5 && 1.0 - health.share() < SUCCESS_MIN;
                if counted.consecutive < CONSECUTIVE && !rate {
                    return counted;
                }
                counted.opened(now_ns, pause_ms, jitter)
            }
            (State::Probing, Gate::Due) => self.opened(now_ns, pause_ms, jitter),
            // Others that were on their way, or sent for want of a better: what they say is known.
            (State::Open | State::Probing, _) => self,
        }
    }

    /// It could not be connected to: opens at once.
    #[must_use]
    pub fn unreachable(self, gate: Gate, now_ns: u64, jitter: u64) -> Self {
        match (self.state, gate) {
            (State::Closed, _) | (State::Probing, Gate::Due) => self.opened(now_ns, CONNECT_PAUSE_MS, jitter),
            (State::Open | State::Probing, _) => self,
        }
    }

    /// A request that was given to it under `gate` ended without telling anything: its client left.
    #[must_use]
    pub fn untold(self, gate: Gate, pause_ms: (u64, u64), now_ns: u64, jitter: u64) -> Self {
        match (self.state, gate) {
            // A hanging endpoint whose clients give up is as little use as one that fails.
            (State::Probing, Gate::Due) => self.opened(now_ns, pause_ms, jitter),
            _ => self,
        }
    }

    /// Whether it takes the endpoint out, or may.
    pub fn is_closed(self) -> bool {
        self.state == State::Closed
    }

    fn opened(self, now_ns: u64, pause_ms: (u64, u64), jitter: u64) -> Self {
        let closed_for = time(now_ns).saturating_sub(self.time);
        let forgiven =
            self.state == State::Closed && closed_for > time(FORGIVEN_MS.saturating_mul(1_000_000));
        let earlier = Self { pauses: if forgiven { 0 } else { self.pauses }, ..self };
        Self {
            state: State::Open,
            time: earlier.until(now_ns, pause_ms, jitter),
            pauses: earlier.pauses.saturating_add(1),
            ..self
        }
    }

    fn until(self, now_ns: u64, (min_ms, max_ms): (u64, u64), jitter: u64) -> u64 {
        let pause_ms = backoff::delay_ms(min_ms, max_ms, u32::from(self.pauses), jitter);
        time(now_ns.saturating_add(pause_ms.saturating_mul(1_000_000))).saturating_add(1).min(TIME_MAX)
    }

    /// For an atomic.
    pub fn to_bits(self) -> u64 {
        let state = match self.state {
            State::Closed => 0,
            State::Open => 1,
            State::Probing => 2,
        };
        state << 62
            | u64::from(self.consecutive.min(127)) << 55
            | u64::from(self.pauses.min(127)) << 48
            | self.time.min(TIME_MAX)
    }

    /// From an atomic. Bits that never came from [`Self::to_bits`] are some state.
    pub fn from_bits(bits: u64) -> Self {
        Self {
            state: match bits >> 62 {
                0 => State::Closed,
                1 => State::Open,
                _ => State::Probing,
            },
            consecutive: (bits >> 55) as u8 & 127,
            pauses: (bits >> 48) as u8 & 127,
            time: bits & TIME_MAX,
        }
    }
}

fn time(now_ns: u64) -> u64 {
    now_ns >> TIME_SHIFT
}

#[cfg(test)]
mod tests;
