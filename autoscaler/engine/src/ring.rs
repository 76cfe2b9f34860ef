//! The Receive ring of one policy: a pure function of what watches see.
//!
//! ```text
//!  pods, ConfigMap, replicas wanted ─► arrange ─► ring as it should be ─► a write of the ConfigMap
//!                                              └► replicas that may be written
//! ```
//!
//! Invariants:
//! - ring first, replicas second: a pod that is still in the ring is never removed by a scale-down;
//! - neither ring nor replicas go below the replication factor;
//! - the ring shrinks for a scale-down only while every member that stays is ready;
//! - a member that stops being ready stays for [`arrange::GRACE_MS`]: a restart moves no series, and replication
//!   covers the gap. After that it leaves, if enough others remain;
//! - a ring that is not known lets replicas rise, not fall; a decision that is held moves no member.
//!
//! Modules in reading order: [`mod@arrange`], [`mod@file`].

pub mod arrange;
pub mod file;

use std::collections::BTreeMap;

use autoscaler_api::RingStatus;
use autoscaler_api::conditions::reasons;

use crate::objects::{self, ConfigMap, RingTerms, Target, is_newer};
use arrange::{View, Wanted, addresses, arrange};

/// Most pods of one StatefulSet that are looked at.
const MAX_PODS: usize = 2_000;

/// A pod of the StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The number in its name.
    pub ordinal: u32,
    /// `IP:port`; `None` before it has an IP.
    pub address: Option<String>,
    /// Ready and not on its way out.
    pub ready: bool,
}

/// A member of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its pod's ordinal; `None` if the file names an address that belongs to no pod we know.
    pub ordinal: Option<u32>,
    /// As in the file.
    pub address: String,
}

/// What is remembered from one evaluation to the next; a new leader forgets it and waits anew.
#[derive(Debug, Default)]
pub struct Memory {
    unready_since_ms: BTreeMap<String, i64>,
    shrinking_to: Option<i32>,
    /// The ring last seen, and since when.
    seen: Option<(Vec<Member>, u64)>,
    /// A write is under way, or its end has not been seen yet: the version that it was based on.
    pending: Option<Option<String>>,
}

/// What watches see of a ring. `None`: not listed yet.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The ConfigMap; `Some(None)`: there is none.
    pub map: Option<Option<&'a ConfigMap>>,
    /// The target's pods.
    pub pods: Option<&'a [objects::Pod]>,
    /// The target.
    pub target: &'a Target,
    /// Its name.
    pub name: &'a str,
}

/// A change of the ring, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The version that the ConfigMap must have; `None`: it must not be there.
    pub resource_version: Option<String>,
    /// The key's text.
    pub text: String,
    /// The annotation's text.
    pub notes: String,
    /// What changed, for an event.
    pub told: String,
}

/// What is to be done, and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Replicas that may be written now.
    pub write: Option<i32>,
    /// A change of the ring.
    pub order: Option<Order>,
    /// For the policy's status; `None` if the ring is not known.
    pub status: Option<RingStatus>,
    /// Whether ring and replicas agree.
    pub settled: bool,
    /// Why not, or that they do.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

impl Memory {
    /// Looks, and says what to do. `may_write` is whether the ring may be changed.
    pub fn consider(
        &mut self,
        terms: &RingTerms,
        sight: Sight<'_>,
        wanted: Wanted,
        now_ms: u64,
        may_write: bool,
    ) -> Next {
        self.attempt(terms, sight, wanted, now_ms, may_write).unwrap_or_else(|message| {
            let raise = match wanted {
                Wanted::Replicas(w) if w > sight.target.spec_replicas => Some(w),
                _ => None,
            };
            let reason = reasons::RING_UNAVAILABLE;
            Next { write: raise, order: None, status: None, settled: false, reason, message }
        })
    }

    /// The write of an [`Order`] ended, and will be seen if `done`.
    pub fn ended(&mut self, done: bool) {
        if !done {
            self.pending = None;
        }
    }

    fn attempt(
        &mut self,
        terms: &RingTerms,
        sight: Sight<'_>,
        wanted: Wanted,
        now_ms: u64,
        may_write: bool,
    ) -> Result<Next, String> {
        let ring = &terms.spec;
        let (Some(map), Some(pods)) = (sight.map, sight.pods) else {
            return Err(format!("ConfigMap {} and the pods have not been listed yet", ring.config_map));
        };
        let pods: Vec<Pod> =
            pods.iter().take(MAX_PODS).filter_map(|p| numbered(p, sight.name, ring.port)).collect();
        let current = match map {
            Some(map) => file::read(map, ring, &pods, sight.name)
                .map_err(|e| format!("ConfigMap {}: {e}", ring.config_map))?,
            None => file::Current::default(),
        };
        let version = map.map(|m| m.resource_version.clone());
        if self.pending.as_ref().is_some_and(|based_on| has_moved(based_on, &version)) {
            self.pending = None;
        }
        let since_ms = match &self.seen {
            Some((members, since_ms)) if *members == current.members => *since_ms,
            _ => now_ms,
        };
        self.seen = Some((current.members.clone(), since_ms));
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let next = arrange(&View {
            now_ms: signed(now_ms),
            replication_factor: ring.replication_factor.max(1).unsigned_abs(),
            settle_ms: terms.settle_ms,
            ordered_start: sight.target.ordered_start,
            pods: &pods,
            members: &current.members,
            unchanged_ms: signed(now_ms.saturating_sub(since_ms)),
            unready_since_ms: &self.unready_since_ms,
            replicas: sight.target.spec_replicas,
            wanted,
            shrinking_to: self.shrinking_to,
        });
        self.unready_since_ms = next.unready_since_ms;
        self.shrinking_to = next.shrinking_to;
        let differs = addresses(&next.members) != addresses(&current.members);
        let mut counted = current.version;
        let mut order = None;
        if differs && may_write && self.pending.is_none() {
            counted = counted.saturating_add(1);
            let members = addresses(&next.members).join(" ");
            order = Some(Order {
                resource_version: version.clone(),
                text: file::write(map, ring, &next.members)?,
                notes: file::notes(counted, &next.members),
                told: format!(
                    "Ring version {counted}: {} members, was {}: {members}",
                    next.members.len(),
                    current.members.len()
                ),
            });
            self.pending = Some(version);
        }
        // Until what was written is seen, nothing may lean on it.
        let raises = |w: &i32| *w > sight.target.spec_replicas;
        let write = next.write.filter(|w| self.pending.is_none() || raises(w));
        let members = next.members.iter().map(|m| m.address.clone()).collect();
        Ok(Next {
            write,
            order,
            status: Some(RingStatus { version: counted, members }),
            settled: next.settled && self.pending.is_none(),
            reason: next.reason,
            message: next.message,
        })
    }
}

/// Whether an object has a version that is not the one before, nor an older one seen late.
fn has_moved(before: &Option<String>, now: &Option<String>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => is_newer(now, before),
        (None, None) => false,
        _ => true,
    }
}

fn numbered(pod: &objects::Pod, target: &str, port: u16) -> Option<Pod> {
    let ordinal = pod.name.strip_prefix(target)?.strip_prefix('-')?.parse().ok()?;
    let bracketed =
        |ip: &String| if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    let address = pod.ip.as_ref().filter(|ip| !ip.is_empty()).map(bracketed);
    Some(Pod { ordinal, address, ready: pod.ready })
}

#[cfg(test)]
mod tests;
