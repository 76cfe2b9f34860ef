//! Who is in the ring, and when replicas may fall.

use std::collections::BTreeMap;

use autoscaler_api::conditions::reasons;

use super::{Member, Pod};

/// How long a member that is not ready keeps its place, in milliseconds.
pub const GRACE_MS: i64 = 30_000;

/// What is there.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// A steady clock, that of `unready_since_ms`.
    pub now_ms: i64,
    /// Copies of each sample.
    pub replication_factor: u32,
    /// How long members may take to learn of a smaller ring.
    pub settle_ms: i64,
    /// Whether pods start one after the other, each waiting for the one before to be ready.
    pub ordered_start: bool,
    /// All pods.
    pub pods: &'a [Pod],
    /// The ring as it is, empty if there is none.
    pub members: &'a [Member],
    /// For how long this process has watched the ring as it is. A restart waits anew rather than trust
    /// another machine's clock.
    pub unchanged_ms: i64,
    /// Since when a member has not been ready, by address.
    pub unready_since_ms: &'a BTreeMap<String, i64>,
    /// The StatefulSet's replicas.
    pub replicas: i32,
    /// What the decision wants.
    pub wanted: Wanted,
    /// For how many replicas the ring was made smaller, while they wait ([`Next::shrinking_to`]).
    pub shrinking_to: Option<i32>,
}

/// What a decision wants of the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing is known that would speak for or against: the ring stays as it is, a smaller one included.
    Held,
    /// What is there: a ring that was made smaller grows back.
    Present,
    /// So many.
    Replicas(i32),
}

/// What should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The ring, by ordinal.
    pub members: Vec<Member>,
    /// For the next view.
    pub unready_since_ms: BTreeMap<String, i64>,
    /// For the next view.
    pub shrinking_to: Option<i32>,
    /// Replicas that may be written once the ring stands.
    pub write: Option<i32>,
    /// Whether ring and replicas agree.
    pub settled: bool,
    /// Why not, or that they do.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// Decides on the ring.
#[must_use]
pub fn arrange(view: &View<'_>) -> Next {
    let factor = i32::try_from(view.replication_factor).unwrap_or(i32::MAX);
    let asked = match view.wanted {
        Wanted::Replicas(replicas) => Some(replicas),
        Wanted::Held | Wanted::Present => None,
    };
    let wanted = asked.map(|w| w.max(factor)).filter(|w| *w != view.replicas);
    let clamped = asked.is_some_and(|w| w < factor);
    let shrinking_to = match view.wanted {
        Wanted::Held => view.shrinking_to.filter(|to| *to < view.replicas),
        Wanted::Present | Wanted::Replicas(_) => wanted.filter(|w| *w < view.replicas),
    };
    // Ordinals from here on are leaving.
    let limit = view.replicas.min(wanted.unwrap_or(view.replicas)).max(factor).unsigned_abs();

    if view.members.is_empty() {
        return bootstrap(view, limit, wanted);
    }
    let (mut members, unready_since_ms) = carry_over(view);
    // Whoever left for a lowering that is held does not come back for that: moving series there and away again for an
    // answer that got lost serves nobody.
    let joins = shrinking_to.map_or(limit, |to| limit.min(to.max(factor).unsigned_abs()));
    for pod in view.pods.iter().filter(|p| p.ready && p.ordinal < joins) {
        if let Some(address) = &pod.address
            && !members.iter().any(|m| m.ordinal == Some(pod.ordinal))
        {
            members.retain(|m| m.address != *address);
            members.push(Member { ordinal: Some(pod.ordinal), address: address.clone() });
        }
    }
    members.sort_by(|a, b| {
        (a.ordinal.unwrap_or(u32::MAX), &a.address).cmp(&(b.ordinal.unwrap_or(u32::MAX), &b.address))
    });
    evict_overdue(view, &mut members, &unready_since_ms, limit);

    let shrinking = wanted.is_some_and(|w| w < view.replicas);
    let stays = |m: &Member| m.ordinal.is_some_and(|o| o < limit);
    let staying: Vec<&Member> = members.iter().filter(|m| stays(m)).collect();
    let not_ready =
        staying.iter().find(|m| unready_since_ms.contains_key(&m.address)).map(|m| m.address.clone());
    let staying = staying.len();
    let enough = staying >= view.replication_factor as usize;
    // Pods beyond the StatefulSet's own replicas go whatever we say; those between are ours to release.
    let may_release = enough && (!shrinking || not_ready.is_none());
    let hold = (!may_release).then(|| match &not_ready {
        Some(address) => format!("{address} is not ready"),
        None => format!("only {staying} members would stay, fewer than the replication factor"),
    });
    if may_release {
        members.retain(stays);
    }
    let changed = addresses(&members) != addresses(view.members);
    let (write, settled, reason, message) = match (wanted, hold) {
        (Some(w), Some(why)) if shrinking => {
            (None, false, reasons::RING_HELD, format!("{w} replicas wait: {why}"))
        }
        (Some(w), None) if shrinking => {
            let elapsed_ms = if changed { 0 } else { view.unchanged_ms };
            if !changed && elapsed_ms >= view.settle_ms {
                (Some(w), true, reasons::RING_IN_SYNC, format!("{} members; replicas follow", members.len()))
            } else {
                let left_s = view.settle_ms.saturating_sub(elapsed_ms) as f64 / 1000.0;
                let message = format!("the ring has {} members; {w} replicas in {left_s:.0}s", members.len());
                (None, false, reasons::RING_SETTLING, message)
            }
        }
        (wanted, _) if clamped => (
            wanted,
            true,
            reasons::RING_AT_REPLICATION_FACTOR,
            format!("fewer replicas than the replication factor, {factor}, were wanted"),
        ),
        (None, _) if shrinking_to.is_some() => {
            let (n, to) = (members.len(), shrinking_to.unwrap_or_default());
            let message = format!(
                "the ring keeps its {n} members: {to} replicas were wanted, which waits for evidence"
            );
            (None, false, reasons::RING_HELD, message)
        }
        (wanted, _) => in_sync(&members, not_ready.as_deref(), wanted, view),
    };
    Next { members, unready_since_ms, shrinking_to, write, settled, reason, message }
}

fn in_sync(
    members: &[Member],
    not_ready: Option<&str>,
    wanted: Option<i32>,
    view: &View<'_>,
) -> (Option<i32>, bool, &'static str, String) {
    let n = members.len();
    match not_ready {
        Some(address) => {
            let message = format!("{address} is not ready; it keeps its place for {}s", GRACE_MS / 1000);
            (wanted, false, reasons::RING_HELD, message)
        }
        None if i64::try_from(n).unwrap_or(i64::MAX) < i64::from(view.replicas) => {
            let message = format!("{n} of {} pods are members; the others join when ready", view.replicas);
            (wanted, false, reasons::RING_SETTLING, message)
        }
        None => (wanted, true, reasons::RING_IN_SYNC, format!("{n} members, all ready")),
    }
}

/// There is no ring, so no pod can have become ready by one: readiness cannot be asked for.
fn bootstrap(view: &View<'_>, limit: u32, wanted: Option<i32>) -> Next {
    let candidates = |ready_only: bool| -> Vec<Member> {
        let pods = view.pods.iter().filter(|p| p.ordinal < limit && (p.ready || !ready_only));
        let member = |p: &Pod| p.address.clone().map(|address| Member { ordinal: Some(p.ordinal), address });
        let mut members: Vec<Member> = pods.filter_map(member).collect();
        members.sort_by_key(|m| m.ordinal);
        members
    };
    let factor = view.replication_factor as usize;
    let ready = candidates(true);
    let members = if ready.len() >= factor { ready } else { candidates(false) };
    // Replicas may rise before there is a ring, not fall.
    let write = wanted.filter(|w| *w > view.replicas);
    if members.len() < factor && (members.is_empty() || !view.ordered_start) {
        let message = format!("no ring yet: {} of {factor} pods have an address", members.len());
        return Next {
            members: Vec::new(),
            unready_since_ms: BTreeMap::new(),
            shrinking_to: None,
            write,
            settled: false,
            reason: reasons::RING_UNAVAILABLE,
            message,
        };
    }
    let message = format!("first ring of {} members", members.len());
    let unready_since_ms = BTreeMap::new();
    let reason = reasons::RING_SETTLING;
    Next { members, unready_since_ms, shrinking_to: None, write, settled: false, reason, message }
}

/// The members that were, at their pods' present addresses, and since when they have not been ready.
fn carry_over(view: &View<'_>) -> (Vec<Member>, BTreeMap<String, i64>) {
    let mut members: Vec<Member> = Vec::with_capacity(view.members.len());
    let mut unready = BTreeMap::new();
    for old in view.members {
        let pod = old.ordinal.and_then(|o| view.pods.iter().find(|p| p.ordinal == o));
        let ready_at = pod.filter(|p| p.ready).and_then(|p| p.address.clone());
        let address = match ready_at {
            Some(address) => address,
            None => {
                let since = view.unready_since_ms.get(&old.address).copied().unwrap_or(view.now_ms);
                unready.insert(old.address.clone(), since.min(view.now_ms));
                old.address.clone()
            }
        };
        if !members.iter().any(|m| m.address == address) {
            members.push(Member { ordinal: old.ordinal, address });
        }
    }
    (members, unready)
}

/// Removes members that were not ready for too long, longest first, while enough remain.
fn evict_overdue(view: &View<'_>, members: &mut Vec<Member>, unready: &BTreeMap<String, i64>, limit: u32) {
    let mut overdue: Vec<(i64, String)> = unready
        .iter()
        .filter(|(_, since)| view.now_ms.saturating_sub(**since) >= GRACE_MS)
        .map(|(address, since)| (*since, address.clone()))
        .collect();
    overdue.sort();
    for (_, address) in overdue {
        let remaining = |m: &&Member| m.address != address && m.ordinal.is_some_and(|o| o < limit);
        if members.iter().filter(remaining).count() >= view.replication_factor as usize {
            members.retain(|m| m.address != address);
        }
    }
}

/// Their addresses.
#[must_use]
pub fn addresses(members: &[Member]) -> Vec<&str> {
    members.iter().map(|m| m.address.as_str()).collect()
}

#[cfg(test)]
mod tests;
