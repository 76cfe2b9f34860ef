//! What there is of files, processes, memory and space.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use thanos_telemetry::open_files as files;

use super::{Check, Finding};

pub(super) fn open_files(needed: u64) -> Check {
    let limit = files::raise();
    let finding = (limit < needed).then(|| Finding {
        what: format!("{limit} files and connections may be open at once, {needed} are needed"),
        holder: None,
        cure: "raise the hard limit: `ulimit -Hn`, LimitNOFILE= of a systemd unit, or --ulimit nofile= of a container"
            .into(),
        fatal: limit < needed / 2,
    });
    Check::new("open files", format!("{limit} at once"), finding)
}

pub(super) fn tasks(needed: u64) -> Check {
    let limits = [
        ("RLIMIT_NPROC (`ulimit -u`)", getrlimit(Resource::Nproc).current.filter(|_| !is_root())),
        ("kernel.pid_max", number("/proc/sys/kernel/pid_max")),
        ("the cgroup's pids.max", cgroup("pids", "pids.max", "pids.max", "pids.current")),
    ];
    let least = limits.into_iter().filter_map(|(name, limit)| Some((limit?, name))).min();
    let finding = least.filter(|(limit, _)| *limit < needed).map(|(limit, name)| Finding {
        what: format!("{name} leaves {limit} processes and threads, {needed} are needed"),
        holder: None,
        cure: "raise it".into(),
        fatal: limit < needed / 2,
    });
    let detail = least.map_or("no limit".into(), |(limit, name)| format!("{limit} by {name}"));
    Check::new("processes and threads", detail, finding)
}

pub(super) fn memory(needed: u64) -> Check {
    let available = available_memory();
    let finding = available.filter(|there| *there < needed).map(|there| Finding {
        what: format!("{} of memory are available, about {} are needed", size(there), size(needed)),
        holder: None,
        cure: "stop other programs, or give the container more".into(),
        fatal: there < needed / 2,
    });
    Check::new("memory", available.map_or("not known".into(), |a| format!("{} available", size(a))), finding)
}

/// Of the machine, or of the cgroup that this process is in, whichever is less.
pub(crate) fn available_memory() -> Option<u64> {
    let machine = meminfo(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable");
    let group = cgroup("memory", "memory.max", "memory.limit_in_bytes", "memory.current")
        .or_else(|| cgroup("memory", "memory.max", "memory.limit_in_bytes", "memory.usage_in_bytes"));
    machine.into_iter().chain(group).min()
}

pub(super) fn folder(dir: &Path, needed: u64) -> Check {
    let name = "folder for data";
    let problem = |what: String, cure: &str| {
        let finding = Finding { what, holder: None, cure: cure.into(), fatal: true };
        Check::new(name, String::new(), [finding])
    };
    let there = existing(dir);
    if let Err(error) = can_write(&there) {
        let what = format!("nothing can be written in {}: {error}", there.display());
        return problem(what, "give another folder (--dir), or set TMPDIR");
    }
    let Ok(stat) = rustix::fs::statvfs(&there) else {
        return Check::new(name, format!("{} can be written", there.display()), []);
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed {
        let what = format!("{} has {} left, {} are needed", there.display(), size(free), size(needed));
        return problem(what, "make room, give another folder (--dir), or set TMPDIR");
    }
    Check::new(name, format!("{} has {} left", there.display(), size(free)), [])
}

/// The folder, or the nearest above it that is there.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|p| p.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn can_write(dir: &Path) -> io::Result<()> {
    let probe = dir.join(format!(".gauntlet-preflight-{}", std::process::id()));
    File::create(&probe)?;
    std::fs::remove_file(probe)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn number(file: &str) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// What a control group leaves: its limit in version 2 or 1, less what is used. `None`: no limit.
fn cgroup(controller: &str, v2: &str, v1: &str, used: &str) -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let dirs = group_dirs(&groups, controller);
    let within = |dir: &PathBuf| {
        let limit = number_in(dir, v2).or_else(|| number_in(dir, v1))?;
        Some(limit.saturating_sub(number_in(dir, used)?))
    };
    dirs.iter().filter_map(within).min()
}

fn number_in(dir: &Path, file: &str) -> Option<u64> {
    // "max" is no limit, and so is what version 1 writes for it: a number beyond any machine.
    number(dir.join(file).to_str()?).filter(|n| *n < 1 << 60)
}

/// Where a controller's files may be, by `/proc/self/cgroup`: of the group and of all above it.
fn group_dirs(groups: &str, controller: &str) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            list if list.split(',').any(|c| c == controller) => Path::new("/sys/fs/cgroup").join(controller),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        dirs.extend(path.ancestors().map(|p| root.join(p)));
    }
    dirs
}

/// A line of `/proc/meminfo`, in bytes.
pub(crate) fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let mib = bytes >> 20;
    if mib < 10 * 1024 { format!("{mib} MiB") } else { format!("{} GiB", mib >> 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_groups_are_looked_for_from_the_group_up() {
        let groups = "8:pids:/\n4:cpu,memory:/a/b\n0::/c\nbroken\n";
        let dirs = |controller| -> Vec<String> {
            group_dirs(groups, controller).iter().map(|d| d.display().to_string()).collect()
        };
        let root = "/sys/fs/cgroup";
        assert_eq!(
            dirs("memory"),
            [
                format!("{root}/memory/a/b"),
                format!("{root}/memory/a"),
                format!("{root}/memory/"),
                format!("{root}/c"),
                format!("{root}/")
            ]
        );
        assert_eq!(dirs("pids").len(), 3);
    }

    #[test]
    fn sizes_are_read_and_written() {
        let text = "MemTotal:       24683212 kB\nMemAvailable:    1024 kB\nHugePages_Total:       0\n";
        assert_eq!(meminfo(text, "MemAvailable"), Some(1 << 20));
        assert_eq!(meminfo(text, "HugePages_Total"), None);
        assert_eq!(meminfo(text, "Mem"), None);
        assert_eq!((size(1 << 20), size(20 << 30)), ("1 MiB".to_owned(), "20 GiB".to_owned()));
    }

    #[test]
    fn a_folder_that_cannot_hold_what_is_needed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let later = dir.path().join("not/there/yet");
        assert_eq!(folder(&later, 1).findings, []);
        assert!(!later.exists(), "it only looks");
        assert!(folder(&later, u64::MAX).findings[0].what.contains("are needed"));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let finding = folder(&file.join("below"), 1).findings.remove(0);
        assert!(finding.fatal && finding.what.contains(&file.display().to_string()), "{finding}");
    }

    #[test]
    fn too_little_is_warned_of_and_far_too_little_refused() {
        let limit = files::raise();
        assert_eq!(open_files(1).findings, []);
        assert!(!open_files(limit + 1).findings[0].fatal);
        assert!(open_files(limit * 4).findings[0].fatal);
        assert_eq!((memory(1).findings, tasks(1).findings), (vec![], vec![]));
        assert!(memory(u64::MAX).findings[0].fatal);
        assert!(tasks(u64::MAX).findings.iter().all(|f| f.fatal));
    }
}
