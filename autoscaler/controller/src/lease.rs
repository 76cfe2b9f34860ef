//! Leadership of one cluster by a `coordination.k8s.io/v1` Lease, and the fence before every write.
//!
//! ```text
//!  observe(lease, now) ─► Step: Acquire | Renew | Wait ─► PUT with the resourceVersion just read
//!                                                              │ accepted
//!  Fence.holds(now) ◄── valid until (time before the PUT) + renew deadline ◄┘
//! ```
//!
//! Invariants:
//! - clocks of different machines are never compared: a lease has expired when *this* process has watched it
//!   unchanged for its whole duration (as client-go's `leaderelection` does);
//! - the fence closes before anybody else may take over: it counts from before the request, and with the
//!   renew deadline, which is shorter than the lease;
//! - a lease is only ever written with the resourceVersion that was read, so of two takers one gets a conflict;
//! - of several leases of a cluster each process has about as many as any other (`share`).

mod elector;
mod share;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use elector::Elector;
pub(crate) use share::Share;

/// How long things take. `retry < renew < lease`.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a lease is respected after its last renewal.
    pub lease: Duration,
    /// How long the holder believes in it without a successful renewal.
    pub renew: Duration,
    /// Time between attempts.
    pub retry: Duration,
}

impl Timing {
    /// The lease in the whole seconds that its object has, rounded up: nobody takes over before it is due.
    fn lease_seconds(&self) -> i32 {
        i32::try_from(self.lease.as_nanos().div_ceil(1_000_000_000).max(1)).unwrap_or(i32::MAX)
    }
}

/// Whether writes are allowed right now. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub(crate) struct Fence(watch::Sender<Option<Instant>>);

impl Default for Fence {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Fence {
    /// Time that is left to write in; `None` if there is none.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let left = (*self.0.borrow())?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Whether this process leads.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.left(now).is_some()
    }

    /// For how long nothing was allowed; `None`: it is, or never was.
    pub(crate) fn closed_for(&self, now: Instant) -> Option<Duration> {
        now.checked_duration_since((*self.0.borrow())?)
    }

    /// Opens it until then, or closes it.
    pub(crate) fn set(&self, until: Option<Instant>) {
        self.0.send_replace(until);
    }

    /// Tells each time when it is opened, kept open or closed; that it ran out is not told.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Instant>> {
        self.0.subscribe()
    }
}

/// What to do about the lease now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is free, expired or absent: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Somebody else has it.
    Wait,
}

/// What this process knows of the lease. Time is an argument.
#[derive(Debug)]
pub(crate) struct Election {
    identity: String,
    timing: Timing,
    /// What was last written, and since when it has been so.
    seen: Option<(Written, Instant)>,
}

/// What tells one write of a lease from another.
#[derive(Debug, PartialEq)]
struct Written {
    version: Option<String>,
    asked_by: Option<String>,
    spec: LeaseSpec,
}

impl Written {
    /// Whether somebody wrote that it is wanted, and nothing else.
    fn is_asked_after(&self, before: &Self) -> bool {
        self.spec == before.spec && self.asked_by.is_some() && self.asked_by != before.asked_by
    }
}

impl Election {
    pub(crate) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, seen: None }
    }

    /// Looks at the lease as just read; `None`: there is none.
    pub(crate) fn observe(&mut self, lease: Option<&Lease>, now: Instant) -> Step {
        let Some(lease) = lease else {
            self.seen = None;
            return Step::Acquire;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let written = Written {
            version: lease.metadata.resource_version.clone(),
            asked_by: share::asked_by(lease, "").map(str::to_owned),
            spec: spec.clone(),
        };
        // Who asks for it makes it no younger.
        let since = match &self.seen {
            Some((seen, since)) if *seen == written || written.is_asked_after(seen) => *since,
            _ => now,
        };
        self.seen = Some((written, since));
        match spec.holder_identity.as_deref() {
            // It was given back for somebody who asked.
            None | Some("") if share::asked_by(lease, &self.identity).is_some() => {
                if now.saturating_duration_since(since) >= self.timing.lease {
                    Step::Acquire
                } else {
                    Step::Wait
                }
            }
            None | Some("") => Step::Acquire,
            Some(holder) if holder == self.identity => Step::Renew,
            Some(_) => {
                // The holder's own duration counts, within reason: garbage must not lock everybody out.
                let seconds = spec.lease_duration_seconds.unwrap_or(0).clamp(1, 600);
                let respected = Duration::from_secs(u64::from(seconds.unsigned_abs())).max(self.timing.lease);
                if now.saturating_duration_since(since) >= respected { Step::Acquire } else { Step::Wait }
            }
        }
    }

    /// Whether the holder wrote it lately, so that it is alive.
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|(_, since)| now.saturating_duration_since(*since) <= self.timing.renew)
    }

    /// Until when a write that was sent at `sent` and accepted gives the right to act.
    pub(crate) fn valid_until(&self, sent: Instant) -> Instant {
        sent + self.timing.renew
    }
}

#[cfg(test)]
mod tests;
