//! Nothing outlives its cluster: finding what a pod left behind, and killing it.
//!
//! ```text
//!  node ── starts ─► gauntlet node exec ─► becomes the pod's program: dies with the node's thread
//!   └─ pipe: +group −group ─► gauntlet node sweep: at the pipe's end kills those groups and all that carry the mark
//! ```
//!
//! Programs of pods start others, and these outlive their parent, leave its process group, or both. Each inherits
//! its container's *mark*, a variable in its environment, and is known by it. What empties its environment *and*
//! leaves its group is not found.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// The variable that holds the mark: `NODE/POD UID/CONTAINER`.
pub(crate) const MARK: &str = "GAUNTLET_POD";

/// What is killed goes within this time, or its death is not ours to bring about.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What the node starts beside programs of pods; for nobody else.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Helper {
    /// Become a pod's program, and die with the node.
    Exec {
        /// The node's process.
        #[arg(long)]
        parent: i32,
        /// What the program is told that it is called.
        #[arg(long)]
        name: OsString,
        /// The program's path, and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Wait for the node's end, then kill what is left of its pods.
    Sweep {
        /// What the pods' processes carry.
        mark: String,
    },
}

impl Helper {
    /// Does it; returns when there is nothing more to do, or with an error.
    pub fn run(self) -> ExitCode {
        match self {
            Self::Exec { parent, name, command } => {
                let why = exec(parent, &name, &command);
                #[expect(clippy::print_stderr, reason = "goes into the container's log")]
                {
                    eprintln!("gauntlet: cannot start {}: {why}", name.display());
                }
                ExitCode::from(126)
            }
            Self::Sweep { mark } => {
                sweep(&mark, std::io::stdin().lock());
                ExitCode::SUCCESS
            }
        }
    }

    /// The command line by which `helper` becomes a program.
    pub(crate) fn exec_command(helper: &Path, name: &Path, program: &Path, args: &[String]) -> Command {
        let mut name_flag = OsString::from("--name=");
        name_flag.push(name);
        let mut command = Command::new(helper);
        command.args(["node", "exec", "--parent", &std::process::id().to_string()]);
        command.arg(name_flag).arg("--").arg(program).args(args);
        command
    }

    /// The command line by which `helper` waits for the node's end.
    pub(crate) fn sweep_command(helper: &Path, mark: &str) -> Command {
        let mut command = Command::new(helper);
        // Marked as nobody's, and in a group of its own: what ends the node does not end it.
        command.args(["node", "sweep", mark]).env_clear().process_group(0);
        command
    }
}

/// Does not return, unless it fails.
fn exec(parent: i32, name: &OsString, command: &[OsString]) -> std::io::Error {
    if let Err(error) = thanos_telemetry::parent::die_with(parent) {
        return error;
    }
    let Some((program, args)) = command.split_first() else {
        return std::io::ErrorKind::InvalidInput.into();
    };
    Command::new(program).arg0(name).args(args).exec()
}

/// Follows what runs (`+GROUP`, `-GROUP`) until nobody tells any more, and kills the rest.
fn sweep(mark: &str, told: impl BufRead) {
    let mut groups = HashSet::new();
    for line in told.lines().map_while(Result::ok) {
        follow(&mut groups, &line);
    }
    for group in groups {
        let _ = kill_process_group(group, Signal::KILL);
    }
    end_marked(mark, GONE_WITHIN);
}

/// Kills every process that carries a mark until there is none, for so long at most. Blocks.
pub(crate) fn end_marked(mark: &str, within: Duration) {
    let deadline = Instant::now() + within;
    // One that is becoming another program has no environment for a moment: what counts is to find none twice.
    let mut found_none = 0;
    while found_none < 2 && Instant::now() < deadline {
        found_none = if kill_marked(mark) == 0 { found_none + 1 } else { 0 };
        #[expect(clippy::disallowed_methods, reason = "called where nothing else waits")]
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn follow(groups: &mut HashSet<Pid>, line: &str) {
    let group = |text: &str| text.parse().ok().filter(|g| *g > 1).and_then(Pid::from_raw);
    match (line.strip_prefix('+').and_then(group), line.strip_prefix('-').and_then(group)) {
        (Some(began), _) => groups.insert(began),
        (None, Some(ended)) => groups.remove(&ended),
        (None, None) => false,
    };
}

/// Kills every process that carries a mark, or one below it; how many there were.
fn kill_marked(mark: &str) -> usize {
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        let environ: PathBuf = entry.path().join("environ");
        let is_marked = || std::fs::read(&environ).is_ok_and(|e| carries(&e, mark));
        if !is_marked() {
            continue;
        }
        // Held before it is looked at again, so that it is this one that is killed and no successor of its number.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if is_marked() && pidfd_send_signal(&held, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

/// Whether an environment, as `/proc` shows it, has the mark or one below it.
fn carries(environ: &[u8], mark: &str) -> bool {
    environ.split(|b| *b == 0).any(|variable| {
        let value = variable.strip_prefix(MARK.as_bytes()).and_then(|v| v.strip_prefix(b"="));
        let rest = value.and_then(|v| v.strip_prefix(mark.as_bytes()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_whole_one_or_begins_a_longer_one() {
        let environ = |text: &str| text.replace(' ', "\0").into_bytes();
        for (text, expected) in [
            ("A=1 GAUNTLET_POD=n1/u/c B=2", true),
            ("GAUNTLET_POD=n1", true),
            ("GAUNTLET_POD=n12/u/c", false),
            ("XGAUNTLET_POD=n1", false),
            ("GAUNTLET_POD_X=n1", false),
            ("X=GAUNTLET_POD=n1", false),
            ("GAUNTLET_POD=", false),
            ("", false),
        ] {
            assert_eq!(carries(&environ(text), "n1"), expected, "{text}");
        }
    }

    #[test]
    fn groups_are_followed_and_nonsense_is_not() {
        let mut groups = HashSet::new();
        for line in ["+12", "+13", "-12", "+0", "+1", "+-7", "x", "", "+", "+99999999999"] {
            follow(&mut groups, line);
        }
        assert_eq!(groups.iter().map(|g| g.as_raw_nonzero().get()).collect::<Vec<_>>(), [13]);
    }

    #[test]
    fn what_left_its_parent_and_its_group_is_found_by_its_mark() {
        let mark = format!("test-{}", std::process::id());
        let mut child = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & echo $!; exec sleep 1000"])
            .env(MARK, format!("{mark}/u/c"))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stat = format!("/proc/{}/stat", line.trim());
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z "));
        end_marked(&format!("{mark}/other"), GONE_WITHIN);
        assert!(lives() && child.try_wait().unwrap().is_none());
        end_marked(&mark, GONE_WITHIN);
        assert!(!child.wait().unwrap().success() && !lives());
    }
}
