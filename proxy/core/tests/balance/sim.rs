//! A client proxy and the endpoints of one service, as events on a heap. No sockets, no clock, one seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use proxy_core::attempts::{Again, Attempts, Failure, Next, Policy};
use proxy_core::budget::Budget;
use proxy_core::load::{Load, Peers, SlowStart, Unanswered, Verdict, Waiting};
use proxy_core::p2c::{self, Candidate};
use proxy_core::random::Seeded;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;

/// What an endpoint does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// Answers after so many ms, give or take a tenth.
    Good(u64),
    /// Answers 503 at once.
    Refuses,
    /// Answers 429 at once.
    Limits,
    /// Closes the connection once it has the request.
    Breaks,
    /// Never answers.
    Hangs,
    /// Takes no connection.
    Unreachable,
    /// Answers 500 at once to that share, and the rest after so many ms.
    Errors(f64, u64),
    /// One request after the other, each for so many ms.
    Serial(u64),
    /// Good and bad, turn by turn, for so many ms each.
    Flaps(u64),
}

/// One endpoint: what it does from which second on.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) from_s: u64,
    pub(crate) does: Vec<(u64, Does)>,
}

pub(crate) fn always(does: Does) -> Endpoint {
    Endpoint { from_s: 0, does: vec![(0, does)] }
}

/// Good but for a while.
pub(crate) fn between(from_s: u64, to_s: u64, does: Does, ms: u64) -> Endpoint {
    Endpoint { from_s: 0, does: vec![(0, Does::Good(ms)), (from_s, does), (to_s, Does::Good(ms))] }
}

/// Comes later.
pub(crate) fn from(from_s: u64, does: Does) -> Endpoint {
    Endpoint { from_s, does: vec![(0, does)] }
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) rps: u64,
    pub(crate) secs: u64,
    /// When clients give up, in ms.
    pub(crate) patience_ms: u64,
    /// Whether requests may be repeated.
    pub(crate) idempotent: bool,
    pub(crate) seed: u64,
}

impl World {
    pub(crate) fn new(endpoints: Vec<Endpoint>, rps: u64, secs: u64) -> Self {
        Self { endpoints, rps, secs, patience_ms: 60_000, idempotent: false, seed: 1 }
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When each request reached which endpoint, retries included.
    pub(crate) sent: Vec<(u64, usize)>,
    /// When each request was over for its client, and whether well.
    pub(crate) over: Vec<(u64, bool)>,
    /// When each answer came, and what it took in ms.
    pub(crate) took: Vec<(u64, u64)>,
}

impl Seen {
    fn sent_in(&self, secs: std::ops::Range<u64>) -> impl Iterator<Item = usize> {
        self.sent.iter().filter(move |(t, _)| secs.contains(&(t / S))).map(|(_, e)| *e)
    }

    /// Of the requests sent in these seconds, the share that went to an endpoint.
    pub(crate) fn share(&self, endpoint: usize, secs: std::ops::Range<u64>) -> f64 {
        let all = self.sent_in(secs.clone()).count();
        self.sent_in(secs).filter(|e| *e == endpoint).count() as f64 / all.max(1) as f64
    }

    /// Of the requests over in these seconds, the share that failed.
    pub(crate) fn failed(&self, secs: std::ops::Range<u64>) -> f64 {
        let of: Vec<_> = self.over.iter().filter(|(t, _)| secs.contains(&(t / S))).collect();
        of.iter().filter(|(_, ok)| !ok).count() as f64 / of.len().max(1) as f64
    }

    /// The median latency of answers in these seconds, in ms.
    pub(crate) fn median_ms(&self, secs: std::ops::Range<u64>) -> u64 {
        let mut of: Vec<_> = self.took.iter().filter(|(t, _)| secs.contains(&(t / S))).map(|t| t.1).collect();
        of.sort_unstable();
        of.get(of.len() / 2).copied().unwrap_or(0)
    }

    /// When an endpoint got its first request.
    pub(crate) fn first_ns(&self, endpoint: usize) -> Option<u64> {
        self.sent.iter().find(|(_, e)| *e == endpoint).map(|(t, _)| *t)
    }
}

struct Request {
    attempts: Attempts,
    arrived_ns: u64,
    tried: Vec<usize>,
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    Good(usize),
    Judged(usize, bool),
    Broke(usize),
    Unreachable(usize),
    Left(usize),
}

struct Sim<'a> {
    world: &'a World,
    random: Seeded,
    budget: Budget,
    loads: Vec<Arc<Load>>,
    requests: Vec<Request>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    /// When a serial endpoint is done with what it was given.
    free_ns: Vec<u64>,
    seen: Seen,
}

/// Runs a world to its end.
pub(crate) fn run(world: &World) -> Seen {
    let peers: Arc<Peers> = Arc::default();
    // In the order of their coming, so that those present are the first of the list.
    assert!(world.endpoints.is_sorted_by_key(|e| e.from_s));
    let load = |e: &Endpoint| {
        let window_ns = if e.from_s == 0 { 0 } else { 10 * S };
        Arc::new(Load::new(peers.clone(), SlowStart { from_ns: e.from_s * S, window_ns }, 1.0))
    };
    let mut sim = Sim {
        world,
        random: Seeded::new(world.seed),
        budget: Budget::default(),
        loads: world.endpoints.iter().map(load).collect(),
        requests: Vec::new(),
        events: BinaryHeap::new(),
        order: 0,
        free_ns: vec![0; world.endpoints.len()],
        seen: Seen::default(),
    };
    sim.at(0, Event::Arrival);
    while let Some(Reverse((now, _, event))) = sim.events.pop() {
        if now >= world.secs * S {
            break;
        }
        sim.step(now, event);
    }
    sim.seen
}

impl Sim<'_> {
    fn at(&mut self, ns: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((ns, self.order, event)));
    }

    fn unit(&self) -> f64 {
        (self.random.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn step(&mut self, now: u64, event: Event) {
        let jitter = self.random.next();
        match event {
            Event::Arrival => {
                // Poisson: as clients that know nothing of each other arrive.
                let next = now + (-(1.0 - self.unit()).ln() / self.world.rps as f64 * S as f64) as u64;
                self.at(next, Event::Arrival);
                self.budget.request(now);
                let policy = Policy { attempts_max: 4, resends_max: 2, elsewhere: true };
                let attempts = Attempts::new(policy);
                self.requests.push(Request { attempts, arrived_ns: now, tried: Vec::new(), waiting: None });
                self.send(self.requests.len() - 1, now);
            }
            Event::Good(r) => self.answered(r, Verdict::Good, now),
            Event::Judged(r, limit) => {
                self.answered(r, if limit { Verdict::Declined } else { Verdict::Failed }, now);
            }
            Event::Broke(r) => {
                self.waiting(r).unanswered(Unanswered::Broken, now, jitter);
                self.again(r, Failure::Broken { reused: false }, now);
            }
            Event::Unreachable(r) => {
                self.waiting(r).unanswered(Unanswered::Unreachable, now, jitter);
                self.again(r, Failure::NotProcessed, now);
            }
            Event::Left(r) => {
                self.waiting(r).unanswered(Unanswered::Canceled, now, jitter);
                self.seen.over.push((now, false));
            }
        }
    }

    fn waiting(&mut self, r: usize) -> Waiting {
        self.requests[r].waiting.take().unwrap()
    }

    fn answered(&mut self, r: usize, verdict: Verdict, now: u64) {
        let jitter = self.random.next();
        let streaming = self.waiting(r).answered(Some(verdict), now, jitter).unwrap();
        streaming.over(verdict, now, jitter);
        self.seen.over.push((now, verdict == Verdict::Good));
        self.seen.took.push((now, (now - self.requests[r].arrived_ns) / MS));
    }

    fn again(&mut self, r: usize, failure: Failure, now: u64) {
        let again = Again { whole: true, idempotent: self.world.idempotent };
        match self.requests[r].attempts.failed(failure, again, false, &self.budget, now) {
            Next::GiveUp => self.seen.over.push((now, false)),
            Next::Elsewhere | Next::Here => self.send(r, now),
        }
    }

    fn send(&mut self, r: usize, now: u64) {
        let known = self.world.endpoints.iter().take_while(|e| e.from_s * S <= now).count();
        let random = self.random.next();
        let candidate = |i: usize| {
            if self.requests[r].tried.contains(&i) {
                return Candidate::Tried;
            }
            self.loads[i].candidate(now, random ^ i as u64)
        };
        let e = p2c::choose(known, p2c::pair(known, random), random, candidate, |i| self.loads[i].cost(now));
        let e = e.unwrap();
        self.requests[r].waiting = Some(self.loads[e].start(now, self.random.next()));
        self.requests[r].tried.push(e);
        self.seen.sent.push((now, e));
        let does = self.world.endpoints[e].does.iter().rev().find(|(s, _)| s * S <= now).unwrap().1;
        let (after, event) = match does {
            Does::Serial(ms) => {
                self.free_ns[e] = self.free_ns[e].max(now) + ms * MS;
                (self.free_ns[e] - now, Event::Good(r))
            }
            does => self.answer(does, r, now),
        };
        let leaves = self.requests[r].arrived_ns + self.world.patience_ms * MS;
        if now.saturating_add(after) > leaves {
            self.at(leaves, Event::Left(r));
        } else {
            self.at(now + after, event);
        }
    }

    fn answer(&self, does: Does, r: usize, now: u64) -> (u64, Event) {
        match does {
            Does::Good(ms) | Does::Serial(ms) => {
                ((ms as f64 * (0.9 + 0.2 * self.unit()) * MS as f64) as u64, Event::Good(r))
            }
            Does::Refuses => (MS / 5, Event::Judged(r, false)),
            Does::Limits => (MS / 5, Event::Judged(r, true)),
            Does::Breaks => (MS / 5, Event::Broke(r)),
            Does::Hangs => (u64::MAX, Event::Broke(r)),
            Does::Unreachable => (MS / 5, Event::Unreachable(r)),
            Does::Errors(share, ms) => {
                let next = if self.unit() < share { Does::Refuses } else { Does::Good(ms) };
                self.answer(next, r, now)
            }
            Does::Flaps(ms) => {
                let next = if (now / MS / ms).is_multiple_of(2) { Does::Good(2) } else { Does::Refuses };
                self.answer(next, r, now)
            }
        }
    }
}
