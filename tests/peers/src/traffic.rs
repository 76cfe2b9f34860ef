//! What a mesh would have written: made up, the same every time, with resets, gaps and impossible values.

use std::time::{SystemTime, UNIX_EPOCH};

use thanos_model::{Labels, stale_nan};

use crate::write::Written;

/// Time between samples, milliseconds.
pub const STEP_MS: i64 = 500;
/// Samples of each series.
pub const SAMPLES: i64 = 120;

const BOUNDS: [f64; 8] = [1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, f64::INFINITY];

/// The clock, milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Series whose last sample is at `end_ms`.
#[must_use]
pub fn series(end_ms: i64) -> Vec<Written> {
    let times: Vec<i64> = (0..SAMPLES).map(|i| end_ms - (SAMPLES - 1 - i) * STEP_MS).collect();
    let samples = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
        times.iter().enumerate().map(|(i, t)| (*t, value(i as i64))).collect()
    };
    let mut all = Vec::new();
    for (service, deployment) in ["web", "front"].into_iter().enumerate() {
        for (place, cluster) in ["east", "west"].into_iter().enumerate() {
            for pod in 0..3_i64 {
                let rate = 7 + pod * 2 + 3 * place as i64 + service as i64;
                // One pod restarts now and then.
                let restarts = if (deployment, pod) == ("web", 1) { 37 } else { SAMPLES };
                let count = |i: i64| ((i % restarts) * rate + (i % 5)) as f64;
                let name = format!("{deployment}-{pod}");
                let labels = |metric: &str, more: &[(&str, &str)]| {
                    let common = [
                        ("__name__", metric),
                        ("cluster", cluster),
                        ("deployment", deployment),
                        ("direction", "inbound"),
                        ("pod", &name),
                    ];
                    Labels::from_pairs(common.into_iter().chain(more.iter().copied()))
                };
                all.push((labels("request_total", &[("tls", "no_identity")]), samples(&count)));
                for (code, class, share) in [("200", "success", 0.875), ("500", "failure", 0.125)] {
                    let labels =
                        labels("response_total", &[("status_code", code), ("classification", class)]);
                    all.push((labels, samples(&|i| (count(i) * share).floor())));
                }
                for bound in BOUNDS {
                    let le = if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
                    let share = 1.0 - (-bound / 60.0).exp();
                    let labels = labels("response_latency_ms_bucket", &[("le", &le)]);
                    all.push((labels, samples(&|i| (count(i) * share).floor())));
                }
                all.push((labels("response_latency_ms_sum", &[]), samples(&|i| count(i) * 37.5)));
                all.push((labels("response_latency_ms_count", &[]), samples(&count)));
            }
        }
    }
    let mut gauge = |metric: &str, room: &str, value: &dyn Fn(i64) -> f64| {
        let labels = Labels::from_pairs([("__name__", metric), ("room", room)]);
        all.push((labels, samples(value)));
    };
    gauge("temperature", "a", &|i| 20.0 + ((i * 37) % 101) as f64 / 16.0);
    gauge("temperature", "b", &|_| f64::NAN);
    gauge("temperature", "c", &|_| f64::INFINITY);
    gauge("temperature", "d", &|_| f64::NEG_INFINITY);
    gauge("largest", "a", &|_| f64::MAX);
    gauge("smallest", "a", &|_| 5e-324);
    // There for ten samples, marked stale, then gone for nine.
    gauge("flapping", "a", &|i| if i % 20 < 10 { i as f64 } else { stale_nan() });
    if let Some((_, samples)) = all.last_mut() {
        let mut i = -1;
        samples.retain(|_| {
            i += 1;
            i % 20 <= 10
        });
    }
    let odd = Labels::from_pairs([("__name__", "odd_info"), ("path", "/a\"b\\c\n"), ("utf", "ümläut")]);
    all.push((odd, samples(&|_| 1.0)));
    all
}
