//! A view on a thread of its own: a reader who pauses stops the telling, and nothing of the run.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::View;
use crate::journal::Journal;

/// Tells a run while it goes on.
#[derive(Debug)]
pub struct Teller {
    ticks: SyncSender<Journal>,
    thread: JoinHandle<View>,
}

impl Teller {
    /// Goes on with a view.
    pub fn start(mut view: View) -> Self {
        let (ticks, told) = sync_channel::<Journal>(1);
        let thread = std::thread::spawn(move || {
            told.iter().for_each(|journal| view.second(&journal));
            view
        });
        Self { ticks, thread }
    }

    /// Has told what is new by and by. Where the last telling goes on, the next has it all.
    pub fn tick(&self, journal: &Journal) {
        let _ = self.ticks.try_send(journal.clone());
    }

    /// The view again, once the last telling has ended; none where it panicked.
    pub fn end(self) -> Option<View> {
        drop(self.ticks);
        self.thread.join().ok()
    }
}
