//! What a process has used, and figures of several repetitions.

use std::fmt;
use std::time::Duration;

/// Linux tells processor time in these, whatever the machine (`USER_HZ`; proc(5)).
const TICKS_PER_SECOND: u32 = 100;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time of all its threads, user and system; in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory now, bytes.
    pub rss_bytes: u64,
    /// The most resident memory it ever had, bytes.
    pub rss_peak_bytes: u64,
}

impl Usage {
    /// By `/proc/PID/stat` and `/proc/PID/status`, see proc(5).
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
        };
        let stat = read("stat");
        // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field after it.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let ticks: u32 = after.split(' ').skip(11).take(2).map(|f| f.parse().unwrap_or(0)).sum();
        let status = read("status");
        let bytes = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key));
            let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or_else(|| panic!("/proc/{pid}/status has no {key}")) * 1024
        };
        Self {
            cpu: Duration::from_secs(ticks.into()) / TICKS_PER_SECOND,
            rss_bytes: bytes("VmRSS:"),
            rss_peak_bytes: bytes("VmHWM:"),
        }
    }
}

/// Figures of repetitions of one thing. Shows as `median (least..most)`; a precision counts decimals.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Of these values; those that are not finite are a mistake of the caller.
    /// # Panics
    /// When there are none, or one is not finite.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty() && values.iter().all(|v| v.is_finite()), "no figures: {values:?}");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The middle one, or between the two in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        f64::midpoint(self.0[(self.0.len() - 1) / 2], self.0[self.0.len() / 2])
    }

    /// The least value that at least this share of all do not exceed; 0.95 gives the 95th percentile.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil().max(1.0) as usize;
        self.0[rank.min(self.0.len()) - 1]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        write!(f, "{:.digits$} ({least:.digits$}..{most:.digits$})", self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_their_middle_and_their_ends() {
        let figures = Figures::new(vec![3.0, 1.0, 2.0, 10.0]);
        assert_eq!(format!("{figures:.2}"), "2.50 (1.00..10.00)");
        assert_eq!([0.0, 0.5, 0.75, 1.0].map(|s| figures.quantile(s)), [1.0, 2.0, 3.0, 10.0]);
    }

    #[test]
    fn usage_counts_what_was_used() {
        let before = Usage::of(std::process::id());
        let room = vec![1_u8; 64 << 20];
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < Duration::from_millis(100) {
            sum = sum.wrapping_add(room.iter().step_by(4096).map(|b| u64::from(*b)).sum::<u64>());
        }
        let after = Usage::of(std::process::id());
        assert!(sum > 0 && after.cpu >= before.cpu + Duration::from_millis(20), "{before:?} {after:?}");
        assert!(after.rss_bytes >= before.rss_bytes + (48 << 20), "{before:?} {after:?}");
        assert!(after.rss_peak_bytes >= after.rss_bytes, "{after:?}");
    }
}
