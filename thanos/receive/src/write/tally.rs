//! Counting answers: a write has succeeded when each series has its quorum.

use crate::error::{Kind, WriteError};

/// How many of `copies` must store a series: 1 of 1, 1 of 2, 2 of 3. Two copies ask for one, as in Thanos:
/// otherwise the loss of either of two replicas would stop all writes.
pub(crate) fn quorum(copies: usize) -> usize {
    if copies == 2 { 1 } else { copies / 2 + 1 }
}

/// Answers so far, by series.
#[derive(Debug)]
pub(crate) struct Tally {
    copies: usize,
    stored: Vec<u8>,
    /// Answers that repeating cannot change.
    refused: Vec<u8>,
    /// The first error of each sort.
    final_error: Option<WriteError>,
    passing_error: Option<WriteError>,
}

impl Tally {
    pub(crate) fn new(series: usize, copies: usize) -> Self {
        Self {
            copies,
            stored: vec![0; series],
            refused: vec![0; series],
            final_error: None,
            passing_error: None,
        }
    }

    /// One answer for some series.
    pub(crate) fn add(&mut self, series: &[usize], answer: Result<(), WriteError>) {
        let counts = match answer {
            Ok(()) => &mut self.stored,
            Err(e) if e.kind.is_final() => {
                self.final_error.get_or_insert(e);
                &mut self.refused
            }
            Err(e) => {
                // "Too much" only when nothing is worse.
                if self.passing_error.as_ref().is_none_or(|known| known.kind == Kind::Overloaded) {
                    self.passing_error = Some(e);
                }
                return;
            }
        };
        for i in series {
            if let Some(n) = counts.get_mut(*i) {
                *n += 1;
            }
        }
    }

    fn is_stored(&self, i: usize) -> bool {
        usize::from(self.stored[i]) >= quorum(self.copies)
    }

    /// Whether so many refused that the quorum is out of reach for good.
    fn is_refused(&self, i: usize) -> bool {
        !self.is_stored(i) && usize::from(self.refused[i]) > self.copies - quorum(self.copies)
    }

    /// Whether more answers cannot change the verdict.
    pub(crate) fn is_decided(&self) -> bool {
        (0..self.stored.len()).all(|i| self.is_stored(i) || self.is_refused(i))
    }

    /// One series that may yet succeed makes the whole request worth repeating: what is stored already is
    /// recognised then. Only when none can is the sender told to give up.
    pub(crate) fn verdict(self) -> Result<(), WriteError> {
        let series = 0..self.stored.len();
        let short = series.clone().filter(|i| !self.is_stored(*i) && !self.is_refused(*i)).count();
        let refused = series.filter(|i| self.is_refused(*i)).count();
        let total = self.stored.len();
        if short > 0 {
            let (kind, why) = match (self.passing_error, self.final_error) {
                (Some(e), _) => (e.kind, e.message),
                (None, Some(e)) => (Kind::Unavailable, e.message),
                (None, None) => (Kind::Unavailable, "no answer".to_owned()),
            };
            let copies = self.copies;
            let need = quorum(copies);
            let text =
                format!("{short} of {total} series are on fewer than {need} of {copies} replicas: {why}");
            return Err(kind.error(text));
        }
        match self.final_error {
            Some(e) if refused > 0 => Err(e),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        use Kind::*;
        // Copies, answers for one series (None: stored), the verdict.
        for (copies, answers, want) in [
            (1, &[None][..], None),
            (1, &[Some(Conflict)], Some(Conflict)),
            (1, &[Some(Unavailable)], Some(Unavailable)),
            (1, &[Some(Overloaded)], Some(Overloaded)),
            (2, &[None, Some(Unavailable)], None),
            (2, &[None, Some(Conflict)], None),
            (2, &[Some(Conflict), Some(Conflict)], Some(Conflict)),
            (2, &[Some(Conflict), Some(Unavailable)], Some(Unavailable)),
            (2, &[Some(Overloaded), Some(Unavailable)], Some(Unavailable)),
            (2, &[Some(Unavailable)], Some(Unavailable)),
            (3, &[None, None, Some(Unavailable)], None),
            (3, &[None, Some(Conflict), Some(Conflict)], Some(Conflict)),
            (3, &[None, Some(Conflict), Some(Unavailable)], Some(Unavailable)),
            (3, &[None, Some(Invalid), Some(Invalid)], Some(Invalid)),
            (3, &[None], Some(Unavailable)),
        ] {
            let mut tally = Tally::new(1, copies);
            for answer in answers {
                tally.add(&[0], answer.map_or(Ok(()), |k| Err(k.error("why"))));
            }
            let complete = answers.len() == copies;
            if want.is_none() || want.is_some_and(Kind::is_final) {
                assert!(tally.is_decided(), "{copies} {answers:?}");
            } else {
                assert!(!tally.is_decided() || complete, "{copies} {answers:?}");
            }
            assert_eq!(tally.verdict().err().map(|e| e.kind), want, "{copies} {answers:?}");
        }
    }

    #[test]
    fn one_series_that_may_succeed_makes_the_request_worth_repeating() {
        let mut tally = Tally::new(2, 1);
        tally.add(&[0], Err(Kind::Conflict.error("old")));
        tally.add(&[1], Err(Kind::Unavailable.error("down")));
        let e = tally.verdict().unwrap_err();
        assert_eq!(
            (e.kind, e.message.as_str()),
            (Kind::Unavailable, "1 of 2 series are on fewer than 1 of 1 replicas: down")
        );
    }
}
