//! Which process holds how many of a cluster's Leases, so that each has about as many as any other.
//!
//! ```text
//!  who has fewer than its share ─► `wanted-by` on Leases of who has most      (spec and expiry stay as they are)
//!  who has most    ─► renews these no more; some time after its fence is closed, gives them back
//!  who asked       ─► takes them; anybody, if he does not for as long as a Lease is respected
//! ```
//!
//! Nothing is acted for by two: a Lease is given back only when the right to act has ended by itself, and what may still
//! be under way had time to arrive. Somebody who asked and is gone costs one such pause.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::coordination::v1::Lease;
use parking_lot::Mutex;

/// The annotation of a Lease that somebody else would take.
const WANTED_BY: &str = "autoscaling.gauntlet.dev/wanted-by";

/// Every Lease of a cluster, as this process saw it last; with what its electors are about to do to it.
#[derive(Debug, Default)]
pub(crate) struct Share(Mutex<BTreeMap<String, Held>>);

/// One Lease.
#[derive(Clone, Debug, Default)]
struct Held {
    holder: Option<String>,
    asked_by: Option<String>,
    /// It is renewed no more, and given back.
    giving: bool,
}

impl Held {
    /// Whose it will be, as far as can be told.
    fn goes_to(&self) -> Option<&str> {
        self.asked_by.as_deref().or(self.holder.as_deref())
    }
}

impl Share {
    /// A Lease as it was just read; `None`: there is none.
    pub(crate) fn saw(&self, name: &str, lease: Option<&Lease>, me: &str) {
        let holder = lease.and_then(|lease| lease.spec.as_ref()?.holder_identity.clone());
        let asked_by = lease.and_then(|lease| lease.metadata.annotations.as_ref()?.get(WANTED_BY).cloned());
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut all = self.0.lock();
        let held = all.entry(name.to_owned()).or_default();
        (held.holder, held.asked_by) = (some(holder), some(asked_by));
        held.giving &= held.holder.as_deref() == Some(me);
    }

    /// `me` is about to take it.
    pub(crate) fn takes(&self, name: &str, me: &str) {
        let taken = Held { holder: Some(me.to_owned()), ..Held::default() };
        self.0.lock().insert(name.to_owned(), taken);
    }

    /// Whether it was `me` who held it last.
    pub(crate) fn is_held(&self, name: &str, me: &str) -> bool {
        self.0.lock().get(name).is_some_and(|held| held.holder.as_deref() == Some(me))
    }

    /// Whether `me` is to ask for this one, and then counts it as its own: it has less than its share, and the holder
    /// has most, of those that nobody asked for.
    pub(crate) fn asks(&self, name: &str, me: &str) -> bool {
        let mut all = self.0.lock();
        let of = |who: &str| all.values().filter(|held| held.goes_to() == Some(who)).count();
        let who: BTreeSet<&str> = all
            .values()
            .flat_map(|held| [held.holder.as_deref(), held.asked_by.as_deref()])
            .flatten()
            .chain([me])
            .collect();
        let (mine, fair) = (of(me), all.len().div_ceil(who.len()));
        let most = who.iter().map(|who| of(who)).max().unwrap_or(0);
        let is_due = all.get(name).is_some_and(|held| {
            let holder = held.holder.as_deref().filter(|_| held.asked_by.is_none());
            holder.is_some_and(|holder| holder != me && of(holder) == most && most >= mine + 2)
        });
        if !is_due || mine >= fair {
            return false;
        }
        if let Some(held) = all.get_mut(name) {
            held.asked_by = Some(me.to_owned());
        }
        true
    }

    /// Whether `me` gives this one to who asked, having another one that it does not give.
    pub(crate) fn gives(&self, name: &str, me: &str) -> bool {
        let mut all = self.0.lock();
        let kept = all.values().filter(|held| held.holder.as_deref() == Some(me) && !held.giving).count();
        let Some(held) = all.get_mut(name) else { return false };
        held.giving |= kept > 1;
        held.giving
    }
}

/// Who asked for it, unless it was `me`.
pub(crate) fn asked_by<'a>(lease: &'a Lease, me: &str) -> Option<&'a str> {
    let asked = lease.metadata.annotations.as_ref()?.get(WANTED_BY)?;
    Some(asked.as_str()).filter(|asked| !asked.is_empty() && *asked != me)
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
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use proptest::prelude::*;

    use super::*;

    fn lease(holder: &str) -> Lease {
        Lease {
            spec: Some(LeaseSpec { holder_identity: Some(holder.into()), ..LeaseSpec::default() }),
            ..Lease::default()
        }
    }

    fn share(held: &[(&str, &str)]) -> Share {
        let share = Share::default();
        held.iter().for_each(|(name, holder)| share.saw(name, Some(&lease(holder)), "me"));
        share
    }

    /// What `me` asks for, all of it at once.
    fn asked(held: &[(&str, &str)], me: &str) -> Vec<String> {
        let share = share(held);
        held.iter().filter(|(name, _)| share.asks(name, me)).map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn who_has_less_than_its_share_asks_for_what_is_missing() {
        let all = [("a", "you"), ("b", "you"), ("c", "you"), ("d", "you"), ("e", "me")];
        assert_eq!(asked(&all, "me"), ["a"]);
        assert_eq!(asked(&all, "you"), [""; 0]);
        assert_eq!(asked(&all, "new"), ["a", "b"], "five among three");
        assert_eq!(asked(&all[..4], "new"), ["a", "b"]);
        assert_eq!(asked(&[("a", "you"), ("b", "you"), ("c", "me")], "me"), [""; 0], "one more is no reason");
        assert_eq!(asked(&[("a", "you")], "me"), [""; 0], "the only one stays");
        assert_eq!(
            asked(&[("a", "you"), ("b", "he"), ("c", "he"), ("d", "he")], "me"),
            ["b"],
            "of who has most"
        );
    }

    #[test]
    fn who_gives_keeps_one_however_many_are_asked_for() {
        let share = share(&[("a", "me"), ("b", "me"), ("c", "me")]);
        assert!(share.gives("a", "me") && share.gives("b", "me") && share.gives("a", "me"));
        assert!(!share.gives("c", "me"));
        share.saw("a", Some(&lease("you")), "me");
        share.saw("b", Some(&lease("me")), "me");
        assert!(share.gives("b", "me") && !share.gives("c", "me"), "one that is being given is no other one");
    }

    #[test]
    fn an_ask_is_read_and_taken_back() {
        let lease = ask(Lease::default(), "me");
        assert_eq!((asked_by(&lease, "me"), asked_by(&lease, "you")), (None, Some("me")));
        assert_eq!(asked_by(&answered(lease), "you"), None);
    }

    proptest! {
        /// Processes that look in any order, each at all Leases, and hand over what is asked for: it ends with shares
        /// that differ by one at most, after few moves.
        #[test]
        fn asking_ends_when_all_have_about_the_same(
            holders in prop::collection::vec(0..6_usize, 1..24),
            processes in 1..7_usize,
            order in prop::collection::vec(0..7_usize, 200),
        ) {
            let me = |p: usize| format!("p{}", p % processes);
            let mut leases: Vec<Lease> = holders.iter().map(|p| lease(&me(*p))).collect();
            let shares: Vec<Share> = (0..processes).map(|_| Share::default()).collect();
            let name = |l: usize| format!("lease-{l:02}");
            let mut moved = vec![0_usize; leases.len()];
            for p in order.into_iter().map(|p| p % processes).chain((0..40).map(|p| p % processes)) {
                let (share, me) = (&shares[p], me(p));
                for (l, lease) in leases.iter().enumerate() {
                    share.saw(&name(l), Some(lease), &me);
                }
                for l in 0..leases.len() {
                    let spec = leases[l].spec.clone().unwrap_or_default();
                    if spec.holder_identity.as_deref() == Some(&me) {
                        if let Some(asker) = asked_by(&leases[l], &me).map(str::to_owned)
                            && share.gives(&name(l), &me)
                        {
                            leases[l] = lease(&asker);
                            moved[l] += 1;
                        }
                    } else if share.asks(&name(l), &me) {
                        leases[l] = ask(leases[l].clone(), &me);
                    }
                }
            }
            let of = |p: usize| leases.iter().filter(|l| l.spec.as_ref().unwrap().holder_identity == Some(me(p))).count();
            let counts: Vec<usize> = (0..processes).map(of).collect();
            let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
            prop_assert!(spread <= 1, "{counts:?} of {holders:?}");
            prop_assert!(moved.iter().sum::<usize>() <= 2 * leases.len(), "{moved:?}");
        }
    }
}
