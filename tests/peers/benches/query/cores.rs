//! Which cores whoever is started next runs on.

use std::fmt;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The querier's core and everybody else's.
pub(crate) struct Cores {
    querier: CpuSet,
    others: CpuSet,
    apart: bool,
}

impl Cores {
    /// Splits what this process may use, and moves it to the part that is not the querier's.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn split() -> io::Result<Self> {
        let may = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|n| may.is_set(*n));
        let one = |core: usize| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let split = match (cores.next(), cores.next()) {
            (Some(a), Some(b)) => Self { querier: one(a), others: one(b), apart: true },
            _ => Self { querier: may, others: may, apart: false },
        };
        split.for_others()?;
        Ok(split)
    }

    /// From here on, what is started is a querier.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn for_querier(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.querier)?)
    }

    /// From here on, what is started is not.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn for_others(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.others)?)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.apart {
            "Pinned: the querier in turn has the first core; stores and client share the second."
        } else {
            "Not pinned: there is one core."
        })
    }
}
