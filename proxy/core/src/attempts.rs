//! What follows on a failed attempt to have a request answered: another endpoint, the same one, or the end.
//!
//! | failed attempt | what may be sent again | where | counted against |
//! |---|---|---|---|
//! | not sent, or surely not processed | anything whose body is still whole | elsewhere, or here if there is none | attempts |
//! | broke on a connection that had served before | what may be repeated | elsewhere | attempts, resends, budget |
//! | broke on a new one | what may be repeated; here only if there is an elsewhere | elsewhere | the same |
//! | timed out; the client's doing | nothing | | |
//!
//! "Elsewhere" is an endpoint that was not tried, where there is one; a side with one target, the local app, has none
//! and goes back to it. A request may be repeated if its method is idempotent (RFC 9110 §9.2.2) and its body, if any, is
//! still at hand.

use crate::budget::Budget;

/// Limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often it may be tried, whatever becomes of it.
    pub attempts_max: u32,
    /// How often it may be sent again after it may have been processed.
    pub resends_max: u32,
    /// Whether there is another target than the first.
    pub elsewhere: bool,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not sent, or the peer said that it was not processed (RFC 9113 §8.7).
    NotProcessed,
    /// It was sent, and the connection broke before an answer.
    Broken {
        /// Whether the connection had served before: then the peer may just have closed it for being idle.
        reused: bool,
    },
    /// Its deadline passed, or its client broke it, or the only target takes no connection.
    Final,
}

/// What of the request could be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Its head and the whole of its body are at hand.
    pub whole: bool,
    /// Processing it twice is as good as once.
    pub idempotent: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send it to another target, if there is one that was not tried.
    Elsewhere,
    /// Send it to the same target.
    Here,
    /// Answer with the failure.
    GiveUp,
}

/// The attempts of one request.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    policy: Policy,
    failed: u32,
    resent: u32,
}

impl Attempts {
    /// A request that is about to be tried.
    pub fn new(policy: Policy) -> Self {
        Self { policy, failed: 0, resent: 0 }
    }

    /// An attempt failed. `late`: the request's deadline has passed. Takes from the budget what it grants.
    pub fn failed(
        &mut self,
        failure: Failure,
        again: Again,
        late: bool,
        budget: &Budget,
        now_ns: u64,
    ) -> Next {
        self.failed = self.failed.saturating_add(1);
        if late || !again.whole || self.failed >= self.policy.attempts_max {
            return Next::GiveUp;
        }
        let allowed = match failure {
            // Nothing was done, so nothing is done twice, and no load is added where it failed.
            Failure::NotProcessed => true,
            Failure::Broken { reused } => {
                again.idempotent
                    && (reused || self.policy.elsewhere)
                    && self.resent < self.policy.resends_max
                    && budget.retry(now_ns)
            }
            Failure::Final => false,
        };
        if !allowed {
            return Next::GiveUp;
        }
        self.resent += u32::from(failure != Failure::NotProcessed);
        if self.policy.elsewhere { Next::Elsewhere } else { Next::Here }
    }

    /// How many attempts failed.
    pub fn failures(&self) -> u32 {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Failure::{Broken, Final, NotProcessed};
    use Next::{Elsewhere, GiveUp, Here};
    use proptest::prelude::*;

    const OUT: Policy = Policy { attempts_max: 4, resends_max: 2, elsewhere: true };
    const IN: Policy = Policy { attempts_max: 4, resends_max: 1, elsewhere: false };
    const ALL: Again = Again { whole: true, idempotent: true };
    const POST: Again = Again { whole: true, idempotent: false };
    const GONE: Again = Again { whole: false, idempotent: true };

    #[test]
    fn what_follows() {
        /// Policy, the request, failures one after the other with what follows on each.
        type Case = (Policy, Again, &'static [(Failure, Next)]);
        const FRESH: Failure = Broken { reused: false };
        const REUSED: Failure = Broken { reused: true };
        let table: [Case; 12] = [
            (
                OUT,
                ALL,
                &[
                    (NotProcessed, Elsewhere),
                    (NotProcessed, Elsewhere),
                    (NotProcessed, Elsewhere),
                    (NotProcessed, GiveUp),
                ],
            ),
            (OUT, POST, &[(NotProcessed, Elsewhere), (NotProcessed, Elsewhere), (FRESH, GiveUp)]),
            (OUT, POST, &[(REUSED, GiveUp)]),
            (OUT, GONE, &[(NotProcessed, GiveUp)]),
            (OUT, GONE, &[(FRESH, GiveUp)]),
            (OUT, ALL, &[(FRESH, Elsewhere), (REUSED, Elsewhere), (FRESH, GiveUp)]),
            (OUT, ALL, &[(FRESH, Elsewhere), (NotProcessed, Elsewhere), (FRESH, Elsewhere), (FRESH, GiveUp)]),
            (OUT, ALL, &[(Final, GiveUp)]),
            (IN, ALL, &[(REUSED, Here), (REUSED, GiveUp)]),
            (IN, ALL, &[(FRESH, GiveUp)]),
            (IN, POST, &[(REUSED, GiveUp)]),
            (
                IN,
                POST,
                &[(NotProcessed, Here), (NotProcessed, Here), (NotProcessed, Here), (NotProcessed, GiveUp)],
            ),
        ];
        for (policy, again, steps) in table {
            let (mut attempts, budget) = (Attempts::new(policy), Budget::default());
            for (i, (failure, next)) in steps.iter().enumerate() {
                assert_eq!(
                    attempts.failed(*failure, again, false, &budget, 0),
                    *next,
                    "{policy:?} {again:?} {steps:?} {i}"
                );
            }
        }
        assert_eq!(Attempts::new(OUT).failed(FRESH, ALL, true, &Budget::default(), 0), GiveUp);
    }

    #[test]
    fn an_empty_budget_ends_resends_but_not_what_was_never_processed() {
        let budget = Budget::default();
        while budget.retry(0) {}
        assert_eq!(Attempts::new(OUT).failed(Broken { reused: false }, ALL, false, &budget, 0), GiveUp);
        assert_eq!(Attempts::new(OUT).failed(NotProcessed, POST, false, &budget, 0), Elsewhere);
    }

    proptest! {
        #[test]
        fn ends_within_the_limits(
            failures in proptest::collection::vec(0u8..4, 1..20), whole: bool, idempotent: bool, elsewhere: bool,
            attempts_max in 1u32..6, resends_max in 0u32..4
        ) {
            let mut attempts = Attempts::new(Policy { attempts_max, resends_max, elsewhere });
            let (budget, mut sends, mut resends) = (Budget::default(), 1, 0);
            for f in failures {
                let failure = match f { 0 => NotProcessed, 1 => Broken { reused: true }, 2 => Broken { reused: false }, _ => Final };
                if attempts.failed(failure, Again { whole, idempotent }, false, &budget, 0) == GiveUp {
                    break;
                }
                sends += 1;
                resends += u32::from(failure != NotProcessed);
                prop_assert!(whole && (idempotent || failure == NotProcessed));
            }
            prop_assert!(sends <= attempts_max && resends <= resends_max);
        }
    }
}
