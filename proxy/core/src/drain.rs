//! How a proxy ends without failing a request.
//!
//! ```text
//!  Serving ─ begin ─► Lingering ─ delay over ─► Finishing ─ nothing open, or deadline ─► Done
//!  ready              not ready                  accepts nothing
//!  accepts            accepts, asks clients      closes idle connections,
//!                     to close their connections  lets requests in flight finish
//! ```
//!
//! Why linger: Kubernetes sends SIGTERM and removes the endpoint at the same moment, so other proxies go on choosing
//! this one until the removal has reached them. Closing the port at once would refuse their connections.

/// Times of a drain, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long to go on accepting.
    pub delay_ms: u64,
    /// When to stop waiting for requests in flight, from the beginning.
    pub timeout_ms: u64,
    /// Whether lingering starts anew with each use: for a side that local work, itself ending, still needs.
    pub until_quiet: bool,
}

/// Where a drain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Business as usual.
    Serving,
    /// Not ready, still accepting; responses ask clients to close.
    Lingering,
    /// Not accepting; what is in flight finishes.
    Finishing,
    /// Over.
    Done,
}

/// What is still going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Connections accepted and not closed.
    pub connections: usize,
    /// Requests in flight.
    pub in_flight: u64,
    /// When the last request arrived, in ms.
    pub last_used_ms: u64,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Drain {
    config: Config,
    phase: Phase,
    began_ms: u64,
}

impl Drain {
    /// A proxy that serves.
    pub fn new(config: Config) -> Self {
        Self { config, phase: Phase::Serving, began_ms: 0 }
    }

    /// Asked to end. A second time changes nothing.
    pub fn begin(&mut self, now_ms: u64) {
        if self.phase == Phase::Serving {
            self.phase = Phase::Lingering;
            self.began_ms = now_ms;
        }
    }

    /// Moves on as far as time and what is open allow.
    pub fn step(&mut self, now_ms: u64, seen: Observed) -> Phase {
        let late = now_ms >= self.deadline_ms();
        if self.phase == Phase::Lingering && (late || now_ms >= self.linger_until_ms(seen)) {
            self.phase = Phase::Finishing;
        }
        if self.phase == Phase::Finishing && (late || seen.connections == 0) {
            self.phase = Phase::Done;
        }
        self.phase
    }

    /// When to step next if nothing closes before; `None` if no time is being waited for.
    pub fn wake_ms(&self, seen: Observed) -> Option<u64> {
        match self.phase {
            Phase::Serving | Phase::Done => None,
            Phase::Lingering => Some(self.linger_until_ms(seen).min(self.deadline_ms())),
            Phase::Finishing => Some(self.deadline_ms()),
        }
    }

    fn deadline_ms(&self) -> u64 {
        self.began_ms.saturating_add(self.config.timeout_ms.max(self.config.delay_ms))
    }

    fn linger_until_ms(&self, seen: Observed) -> u64 {
        if !self.config.until_quiet {
            return self.began_ms.saturating_add(self.config.delay_ms);
        }
        if seen.in_flight > 0 {
            return self.deadline_ms();
        }
        self.began_ms.max(seen.last_used_ms).saturating_add(self.config.delay_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: Config = Config { delay_ms: 1_000, timeout_ms: 10_000, until_quiet: false };

    fn open(connections: usize) -> Observed {
        Observed { connections, in_flight: connections as u64, last_used_ms: 0 }
    }

    #[test]
    fn lingers_then_finishes_then_is_done() {
        let mut d = Drain::new(CONFIG);
        assert_eq!(d.step(5_000, open(0)), Phase::Serving);
        d.begin(100);
        d.begin(900);
        assert_eq!(d.step(1_099, open(0)), Phase::Lingering);
        assert_eq!(d.wake_ms(open(0)), Some(1_100));
        assert_eq!(d.step(1_100, open(3)), Phase::Finishing);
        assert_eq!(d.wake_ms(open(3)), Some(10_100));
        assert_eq!(d.step(1_200, open(0)), Phase::Done);
    }

    #[test]
    fn the_deadline_ends_what_does_not_finish() {
        let mut d = Drain::new(CONFIG);
        d.begin(0);
        assert_eq!(d.step(9_999, open(1)), Phase::Finishing);
        assert_eq!(d.step(10_000, open(1)), Phase::Done);
    }

    #[test]
    fn until_quiet_waits_for_the_last_use() {
        let mut d = Drain::new(Config { until_quiet: true, ..CONFIG });
        d.begin(0);
        let used = |last_used_ms, in_flight| Observed { connections: 1, in_flight, last_used_ms };
        assert_eq!(d.step(1_500, used(900, 0)), Phase::Lingering);
        assert_eq!(d.step(3_000, used(900, 1)), Phase::Lingering);
        assert_eq!(d.step(3_900, used(3_000, 0)), Phase::Lingering);
        assert_eq!(d.step(4_000, used(3_000, 0)), Phase::Finishing);
    }

    proptest! {
        #[test]
        fn only_forward_and_over_by_the_deadline(
            delay_ms in 0u64..5_000, timeout_ms in 0u64..20_000, until_quiet: bool,
            steps in proptest::collection::vec((0u64..2_000, 0usize..3, 0u64..30_000), 0..40)
        ) {
            let mut d = Drain::new(Config { delay_ms, timeout_ms, until_quiet });
            d.begin(0);
            let (mut now, mut last) = (0u64, Phase::Lingering);
            for (dt, connections, last_used_ms) in steps {
                now += dt;
                let seen = Observed { connections, in_flight: connections as u64, last_used_ms };
                let phase = d.step(now, seen);
                prop_assert!(phase >= last);
                prop_assert!(phase != Phase::Finishing || now >= delay_ms || now >= timeout_ms.max(delay_ms));
                prop_assert!(now < timeout_ms.max(delay_ms) || phase == Phase::Done);
                last = phase;
            }
        }
    }
}
