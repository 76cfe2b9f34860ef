//! When what is renewed: pure, over times alone.
//!
//! ```text
//!  authority 1  ├───────────────────────2/3──────────────┤
//!  authority 2                          ├─overlap─├──────────────────────…    published at once, signs after the overlap
//!  served        ├──2/3─┤ ├──2/3─┤ ├──2/3─┤      ├──2/3─┤ by authority 2
//!  published     1      1          1     1,2                  2               1 goes when all that it signed has expired
//! ```
//!
//! The overlap is what API servers have to learn of a new authority before anybody shows a certificate of it. Before
//! that, a certificate that falls due is kept: a third of its life is left, and the overlap is an eighth.

use std::time::Duration;

use crate::issue::BACKDATED_MS;

/// Longest time that API servers are given to learn of an authority, in milliseconds.
const OVERLAP_MAX_MS: i64 = 600_000;

/// How long certificates hold, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authority's; at least three of the other, so that none ends before what it signed.
    pub authority_ms: i64,
    /// A server's.
    pub serving_ms: i64,
}

impl Lifetimes {
    /// From durations.
    ///
    /// # Errors
    /// One sentence: too short, too long, or an authority that would end before what it signs.
    pub fn new(authority: Duration, serving: Duration) -> Result<Self, String> {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let (authority_ms, serving_ms) = (ms(authority), ms(serving));
        let show = thanos_model::format_duration;
        if serving < Duration::from_secs(10) {
            return Err(format!("{} is too short for a certificate; give it 10s or more", show(serving)));
        }
        if authority > Duration::from_secs(20 * 365 * 86_400) {
            return Err(format!("{} is too long for an authority; give it 20y or less", show(authority)));
        }
        if authority_ms < serving_ms.saturating_mul(3) {
            return Err(format!(
                "an authority of {} cannot vouch for certificates of {}: it is renewed after two thirds of its \
                 life; give it at least {}",
                show(authority),
                show(serving),
                show(serving.saturating_mul(3)),
            ));
        }
        Ok(Self { authority_ms, serving_ms })
    }

    /// How long API servers have to learn of an authority before it signs, in milliseconds.
    pub fn overlap_ms(&self) -> i64 {
        (self.serving_ms / 8).min(OVERLAP_MAX_MS)
    }
}

/// From when to when a certificate holds, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Begins, already backdated.
    pub not_before_ms: i64,
    /// Ends.
    pub not_after_ms: i64,
}

impl Validity {
    fn made_ms(self) -> i64 {
        self.not_before_ms.saturating_add(BACKDATED_MS)
    }

    /// After two thirds of its life: late enough to be seldom, early enough to fail for a third of it.
    fn due_ms(self) -> i64 {
        let made_ms = self.made_ms();
        made_ms.saturating_add(self.not_after_ms.saturating_sub(made_ms) / 3 * 2)
    }
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Authorities, the newest first.
    pub authorities: Vec<Validity>,
    /// What is served.
    pub serving: Validity,
    /// Which of the authorities signed it; `None`: none of them.
    pub signed_by: Option<usize>,
    /// Whether it is for all names that are wanted.
    pub covers: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until then.
    Keep {
        /// When something falls due, in milliseconds since the Unix epoch.
        until_ms: i64,
    },
    /// There is nothing to build on: an authority and a certificate, both new.
    Begin,
    /// A new authority, which is published and does not sign yet.
    Authority,
    /// A new certificate, signed by the newest authority.
    Serving,
    /// Authorities leave of whose certificates none is left.
    Drop {
        /// How many stay, the newest.
        keep: usize,
    },
}

/// What to do with `state`, or with nothing.
pub fn due(state: Option<&State>, now_ms: i64, lifetimes: &Lifetimes) -> Step {
    let Some((state, newest)) = state.and_then(|s| Some((s, *s.authorities.first()?))) else {
        return Step::Begin;
    };
    if now_ms >= newest.not_after_ms {
        return Step::Begin;
    }
    let signs_ms = newest.made_ms().saturating_add(lifetimes.overlap_ms());
    let usable = state.covers && state.signed_by.is_some() && now_ms < state.serving.not_after_ms;
    if !usable {
        return Step::Serving;
    }
    // Before what it signs, so that nothing is signed that outlives it; its key goes with this step.
    if now_ms >= newest.due_ms() {
        return Step::Authority;
    }
    // Nobody was told of the only authority before the first certificate; there is nothing to wait for then.
    let may_sign = now_ms >= signs_ms || state.signed_by == Some(0);
    if may_sign && (now_ms >= state.serving.due_ms() || state.signed_by != Some(0)) {
        return Step::Serving;
    }
    let gone_ms = gone_ms(state, lifetimes);
    let keep = 1 + gone_ms.iter().take_while(|gone| now_ms < **gone).count();
    let keep = keep.max(state.signed_by.map_or(0, |i| i.saturating_add(1)));
    if keep < state.authorities.len() {
        return Step::Drop { keep };
    }
    let serving_ms = match state.signed_by {
        Some(0) => state.serving.due_ms(),
        _ => signs_ms,
    };
    let next = gone_ms.into_iter().filter(|gone| *gone > now_ms);
    let until_ms = next.chain([serving_ms, newest.due_ms()]).min().unwrap_or(now_ms);
    Step::Keep { until_ms: until_ms.max(now_ms.saturating_add(1)) }
}

/// When each authority but the newest has outlived all that it may have signed: its key went when its successor came.
fn gone_ms(state: &State, lifetimes: &Lifetimes) -> Vec<i64> {
    let pairs = state.authorities.iter().zip(state.authorities.iter().skip(1));
    pairs
        .map(|(successor, old)| {
            successor.made_ms().saturating_add(lifetimes.serving_ms).min(old.not_after_ms)
        })
        .collect()
}

#[cfg(test)]
mod tests;
