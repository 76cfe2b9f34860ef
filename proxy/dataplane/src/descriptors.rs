//! File descriptors: as many as the system grants, and no more connections than they suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For scrapers, probes, files, and the libraries' own.
const KEPT: u64 = 128;

/// Raises the soft limit to the hard one. How many connections fit on each of so many sides, of as many as are wanted:
/// each that is accepted may need another one to where its requests go.
pub(crate) fn connections(wanted: usize, sides: usize) -> usize {
    let limit = raised();
    let fit = limit.map_or(usize::MAX, |limit| fitting(limit) / sides.max(1)).max(1);
    if fit < wanted {
        tracing::info!(
            wanted,
            fit,
            descriptors = limit,
            "fewer connections than --max-connections fit into the limit of descriptors (ulimit -n)"
        );
    }
    wanted.min(fit)
}

fn fitting(limit: u64) -> usize {
    // However few there are, some connection must get through.
    usize::try_from(limit.saturating_sub(KEPT.min(limit / 2)) / 2).unwrap_or(usize::MAX).max(1)
}

/// `None` if there is no limit.
fn raised() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum;
    }
    current
}

/// Whether there were no descriptors, or no memory for one: our own want, and nobody else's fault.
pub(crate) fn are_wanting(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let of_ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| of_ours.iter().any(|e| e.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept() {
        assert_eq!(fitting(1024), 448);
        assert_eq!(fitting(128), 32);
        assert_eq!(fitting(1), 1);
        assert!(connections(10, 2) <= 10);
    }
}
