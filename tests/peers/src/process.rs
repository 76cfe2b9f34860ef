//! A process of either side, and its log.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::client;
use crate::wait::until;

/// How long a process may take to end once asked to.
const END: Duration = Duration::from_secs(30);
/// How much of a log is shown when a test fails.
const SHOWN_BYTES: usize = 6_000;

/// A running process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, with its output in `dir/NAME.log`, which is added to.
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        dir: &Path,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn(name, dir, &mut command)
    }

    /// Starts `command`, with its output in `dir/NAME.log`, which is added to.
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let twin = file.try_clone().unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        command.stdin(Stdio::null()).stdout(file).stderr(twin);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}: {command:?}"));
        Self { name: name.to_owned(), child, log }
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `url` answers 200.
    /// # Panics
    /// When the process ends or the deadline passes first.
    pub async fn ready(&mut self, url: &str) {
        let client = client();
        until(&format!("{} ready at {url}", self.name), async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status}", self.name);
            }
            let answer = client.get(url).send().await;
            let status = answer.map_err(|e| e.to_string())?.status();
            if status.is_success() { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end in order and waits.
    /// # Panics
    /// When it takes too long.
    pub async fn terminate(&mut self) -> ExitStatus {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) => {}
                Err(e) => panic!("{}: {e}", self.name),
            }
            assert!(start.elapsed() < END, "{} does not end", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(SHOWN_BYTES);
            let from = (from..=log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(0);
            let _ = writeln!(std::io::stderr(), "── log of {}\n{}", self.name, &log[from..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_ends_with_its_guard_and_leaves_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut echo = Process::start("echo", dir.path(), "sh", ["-c", "echo out; echo err >&2"]);
        assert!(echo.terminate().await.code().is_none_or(|c| c == 0));
        let sleeper = Process::start("sleeper", dir.path(), "sleep", ["600"]);
        let proc = PathBuf::from(format!("/proc/{}", sleeper.id()));
        assert!(proc.exists());
        drop(sleeper);
        assert!(!proc.exists());
    }
}
