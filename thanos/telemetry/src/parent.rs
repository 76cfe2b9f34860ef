//! A process that is not to outlive the one that started it.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, test_kill_process};

/// Asks the kernel to kill this process when the thread that started it ends, and what it becomes by `exec` too;
/// `parent` is whose it is, or was when this one's own parent was started.
///
/// # Errors
/// The parent has ended already, so that nobody would tell.
pub fn die_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Whoever ended before the line above has told nobody.
    let number = if parent > 0 { Pid::from_raw(parent) } else { None };
    let there = number.is_some_and(|p| getppid() == Some(p) || is_alive(test_kill_process(p)));
    if there {
        Ok(())
    } else {
        Err(io::Error::other(format!("process {parent}, which started this one, has ended")))
    }
}

/// What an attempt to signal a process says of it: one that may not be signalled is there.
fn is_alive(signalled: Result<(), Errno>) -> bool {
    matches!(signalled, Ok(()) | Err(Errno::PERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_may_not_be_signalled_is_alive() {
        for (signalled, alive) in [(Ok(()), true), (Err(Errno::PERM), true), (Err(Errno::SRCH), false)] {
            assert_eq!(is_alive(signalled), alive, "{signalled:?}");
        }
    }

    #[test]
    fn an_orphan_is_told_so() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        assert!(die_with(gone).unwrap_err().to_string().contains(&gone.to_string()));
        assert!(die_with(0).is_err() && die_with(-1).is_err());
        assert!(die_with(getppid().unwrap().as_raw_nonzero().get()).is_ok());
        set_parent_process_death_signal(None).unwrap();
    }
}
