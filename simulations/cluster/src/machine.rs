//! What a machine can do: cores, memory, and how late it wakes whoever sleeps.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::preflight::{available_memory, meminfo};

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// What of it is to be had here.
    pub available_memory_bytes: Option<u64>,
    /// Release of the kernel.
    pub kernel: String,
}

/// How long something took, many times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delays {
    /// How often.
    pub samples: usize,
    /// The median.
    pub p50: Micros,
    /// One of a hundred took this long or longer.
    pub p99: Micros,
    /// The longest.
    pub max: Micros,
}

/// A time that is written as microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub Duration);

impl Serialize for Micros {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ms", self.0.as_secs_f64() * 1e3)
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (p50), {} (p99), {} (longest)", self.p50, self.p99, self.max)
    }
}

impl Delays {
    /// Of any order.
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            let index = (all.len() * percent).div_ceil(100).saturating_sub(1);
            Micros(all.get(index).copied().unwrap_or_default())
        };
        Self { samples: all.len(), p50: at(50), p99: at(99), max: at(100) }
    }
}

/// Looks.
pub fn facts() -> Facts {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    Facts {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        memory_bytes: meminfo(&read("/proc/meminfo"), "MemTotal"),
        available_memory_bytes: available_memory(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// How late a thread wakes that sleeps a millisecond at a time, for so long: what timers and a waiting queue for the
/// processor add to everything that is to happen at a time, a load generator's requests above all. Blocks.
pub fn wake_ups(during: Duration) -> Delays {
    let nap = Duration::from_millis(1);
    let (began, mut late) = (Instant::now(), Vec::new());
    while began.elapsed() < during {
        let slept = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "this is what is measured")]
        std::thread::sleep(nap);
        late.push(slept.elapsed().saturating_sub(nap));
    }
    Delays::of(late)
}

/// How long a byte takes to another thread and back, over loopback. Blocks.
///
/// # Errors
/// Loopback cannot be used.
pub fn round_trips(times: usize) -> io::Result<Delays> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    for stream in [&stream, &other] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    }
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while other.read_exact(&mut byte).is_ok() && other.write_all(&byte).is_ok() {}
    });
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let sent = Instant::now();
        stream.write_all(&[0])?;
        stream.read_exact(&mut [0])?;
        took.push(sent.elapsed());
    }
    drop(stream);
    let _ = echo.join();
    Ok(Delays::of(took))
}

/// Pods leave the processor to the harness that measures them; what they get is measured where they are.
pub const POD_NICE: i32 = 5;

/// How much work all cores do beside whatever else they have to do, for a process that is as nice as pods are: small
/// JSON documents written and read again, a second. Blocks.
pub fn work(during: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers: Vec<_> = (0..cores).map(|_| std::thread::spawn(move || documents(during))).collect();
    workers.into_iter().filter_map(|worker| worker.join().ok()).sum()
}

/// On this thread, which ends after it: niceness is not given back.
fn documents(during: Duration) -> f64 {
    let _ = rustix::process::nice(POD_NICE);
    let document = serde_json::json!({
        "name": "request_total", "labels": {"cluster": "east", "deployment": "web", "direction": "inbound"},
        "samples": [[1, 20.5], [2, 21.5], [3, 23.25], [4, 30.0]], "help": "how many requests came",
    });
    let (began, mut done) = (Instant::now(), 0u64);
    while began.elapsed() < during {
        // So many that looking at the clock costs nothing beside them.
        for _ in 0..16 {
            let read = serde_json::from_str::<serde_json::Value>(&document.to_string());
            done += u64::from(std::hint::black_box(read).is_ok());
        }
    }
    done as f64 / began.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let delays =
            |numbers: &[u64]| Delays::of(numbers.iter().copied().map(Duration::from_micros).collect());
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for (numbers, expected) in [
            (&hundred[..], (50, 99, 100)),
            (&[7][..], (7, 7, 7)),
            (&[][..], (0, 0, 0)),
            (&[3, 1][..], (1, 3, 3)),
        ] {
            let d = delays(numbers);
            let micros = |m: Micros| m.0.as_micros();
            assert_eq!((micros(d.p50), micros(d.p99), micros(d.max)), expected, "{numbers:?}");
        }
        assert_eq!(serde_json::to_value(delays(&[1500])).unwrap()["p99"], 1500);
        assert_eq!(Micros(Duration::from_micros(1500)).to_string(), "1.50 ms");
    }

    #[test]
    fn a_machine_is_measured() {
        let late = wake_ups(Duration::from_millis(50));
        assert!(late.samples > 0 && late.p50 <= late.p99 && late.p99 <= late.max, "{late}");
        assert_eq!(round_trips(20).unwrap().samples, 20);
        assert!(facts().cores > 0);
        assert!(work(Duration::from_millis(20)) > 0.0);
    }
}
