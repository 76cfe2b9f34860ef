//! Who runs where. Threads and processes inherit the cores of the thread that starts them.

use crate::Result;
use crate::side::Layout;

/// Who is about to be started or to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sender,
    Subject,
    /// Whoever asks afterwards: nothing of it is measured.
    Querier,
}

/// Moves this thread to the cores of a part.
pub(crate) fn use_for(part: Part, layout: Layout) -> Result<()> {
    let list: &[usize] = match (part, layout) {
        (Part::Querier, _) | (_, Layout::Free) => &[0, 1],
        (Part::Sender, _) => &[0],
        (Part::Subject, _) => &[1],
    };
    let mut cores = rustix::thread::CpuSet::new();
    for core in list {
        cores.set(*core);
    }
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}
