//! Which process holds how many of a cluster's Leases, so that each has about as many as any other.
//!
//! ```text
//!  who has fewer   ─► `wanted-by` on some of the Leases of who has most       (spec and expiry stay as they are)
//!  who has most    ─► renews these no more; when its fence is closed, gives them back
//!  who asked       ─► takes them, as any Lease that is free
//! ```
//!
//! Nothing is acted for by two: a Lease is given back only when the right to act has ended by itself. Somebody who asked
//! and is gone costs one such pause; who gave one back takes it again after a Lease's duration.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use parking_lot::Mutex;

/// The annotation of a Lease that somebody else would take.
const WANTED_BY: &str = "autoscaling.gauntlet.dev/wanted-by";

/// Who holds which Lease, as this process saw it last.
#[derive(Debug, Default)]
pub(crate) struct Share(Mutex<BTreeMap<String, String>>);

impl Share {
    /// `lease` is held by somebody, or by nobody.
    pub(crate) fn saw(&self, lease: &str, holder: Option<&str>) {
        match holder.filter(|holder| !holder.is_empty()) {
            Some(holder) => self.0.lock().insert(lease.to_owned(), holder.to_owned()),
            None => self.0.lock().remove(lease),
        };
    }

    /// Whether `me`, who has fewer than the holder of `lease`, should have it: one of the last half of the difference.
    pub(crate) fn wants(&self, me: &str, lease: &str) -> bool {
        let held = self.0.lock();
        let Some(holder) = held.get(lease).filter(|holder| *holder != me) else { return false };
        let mine = held.values().filter(|holder| *holder == me).count();
        let theirs: Vec<&String> =
            held.iter().filter(|(_, of)| *of == holder).map(|(name, _)| name).collect();
        let surplus = theirs.len().saturating_sub(mine) / 2;
        theirs.iter().rev().take(surplus).any(|name| *name == lease)
    }

    /// Whether `me` has another one beside what it is asked for.
    pub(crate) fn can_spare(&self, me: &str) -> bool {
        self.0.lock().values().filter(|holder| *holder == me).count() > 1
    }
}

/// Who asked for it, unless it was `me`.
pub(crate) fn asked_by<'a>(lease: &'a Lease, me: &str) -> Option<&'a str> {
    let asked = lease.metadata.annotations.as_ref()?.get(WANTED_BY)?;
    Some(asked.as_str()).filter(|asked| !asked.is_empty() && *asked != me)
}

/// Whether anybody asked for it.
pub(crate) fn is_asked(lease: &Lease) -> bool {
    lease.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(WANTED_BY))
}

/// The same Lease, asked for by `me`.
pub(crate) fn ask(mut lease: Lease, me: &str) -> Lease {
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.insert(WANTED_BY.to_owned(), me.to_owned());
    lease
}

/// The same Lease, asked for by nobody.
pub(crate) fn answered(mut lease: Lease) -> Lease {
    if let Some(annotations) = &mut lease.metadata.annotations {
        annotations.remove(WANTED_BY);
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(held: &[(&str, &str)]) -> Share {
        let share = Share::default();
        held.iter().for_each(|(lease, holder)| share.saw(lease, Some(holder)));
        share
    }

    fn wanted(share: &Share, me: &str) -> Vec<String> {
        let names: Vec<String> = share.0.lock().keys().cloned().collect();
        names.into_iter().filter(|name| share.wants(me, name)).collect()
    }

    #[test]
    fn who_has_fewer_wants_half_of_the_difference() {
        let all = share(&[("a", "you"), ("b", "you"), ("c", "you"), ("d", "you"), ("e", "me")]);
        assert_eq!(wanted(&all, "me"), ["d"]);
        assert_eq!(wanted(&all, "nobody yet"), ["c", "d"]);
        assert_eq!(wanted(&all, "you"), [""; 0]);
        let even = share(&[("a", "you"), ("b", "you"), ("c", "me")]);
        assert_eq!(wanted(&even, "me"), [""; 0], "one more is no reason");
        assert_eq!(wanted(&share(&[("a", "you")]), "me"), [""; 0], "the only one stays");
    }

    /// Whoever asks and whoever gives, it ends with shares that differ by one at most.
    #[test]
    fn asking_ends_when_all_have_about_the_same() {
        for processes in 1..7_usize {
            let names: Vec<String> = (0..processes).map(|p| format!("p{p}")).collect();
            let leases: Vec<String> = (0..16).map(|l| format!("lease-{l:02}")).collect();
            let held = share(&[]);
            leases.iter().for_each(|lease| held.saw(lease, Some("p0")));
            let mut moves = 0;
            while let Some((me, lease)) = names
                .iter()
                .find_map(|me| leases.iter().find(|lease| held.wants(me, lease)).map(|lease| (me, lease)))
            {
                let holder = held.0.lock()[lease].clone();
                assert!(held.can_spare(&holder));
                held.saw(lease, Some(me));
                moves += 1;
                assert!(moves < 100, "{processes} processes never agree");
            }
            let of = |name: &String| held.0.lock().values().filter(|holder| *holder == name).count();
            let counts: Vec<usize> = names.iter().map(of).collect();
            let (most, least) = (counts.iter().max(), counts.iter().min());
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
        }
    }

    #[test]
    fn an_ask_is_read_and_taken_back() {
        let lease = ask(Lease::default(), "me");
        assert!(is_asked(&lease));
        assert_eq!((asked_by(&lease, "me"), asked_by(&lease, "you")), (None, Some("me")));
        assert_eq!(asked_by(&answered(lease), "you"), None);
    }
}
