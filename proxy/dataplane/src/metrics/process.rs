//! What the process itself uses, read from /proc when somebody asks.

use std::time::{SystemTime, UNIX_EPOCH};

/// USER_HZ: 100 on every architecture that we run on, whatever the kernel's own HZ.
const TICKS_PER_SECOND: f64 = 100.0;

/// A reading; a part that could not be read is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_fds: Option<usize>,
}

pub(super) fn read() -> Process {
    Process {
        cpu_seconds: std::fs::read_to_string("/proc/self/stat").ok().and_then(|s| cpu_seconds(&s)),
        resident_bytes: std::fs::read_to_string("/proc/self/status").ok().and_then(|s| resident_bytes(&s)),
        open_fds: open_fds(),
    }
}

/// The folder's size is their number since Linux 6.2; before, it is 0, and listing it takes milliseconds where there
/// are thousands.
fn open_fds() -> Option<usize> {
    match std::fs::metadata("/proc/self/fd").ok()?.len() {
        0 => std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        n => usize::try_from(n).ok(),
    }
}

/// Unix time now, in seconds.
pub(super) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Fields 14 and 15 of proc_pid_stat(5); the second field may itself contain spaces and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    kib.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|k| k.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process_and_survives_odd_names() {
        let p = read();
        assert!(p.cpu_seconds.is_some() && p.resident_bytes.unwrap() > 100_000 && p.open_fds.unwrap() > 0);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("garbage"), None);
    }
}
