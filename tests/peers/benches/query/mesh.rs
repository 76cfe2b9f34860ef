//! What Linkerd's proxies of a made-up mesh would have counted, the same every time but for the clock.

use thanos_model::Labels;

use peers::write::Written;

/// Upper bounds of Linkerd's latency buckets, milliseconds; the last one is infinite.
const BOUNDS: [f64; 26] = [
    1.0,
    2.0,
    3.0,
    4.0,
    5.0,
    10.0,
    20.0,
    30.0,
    40.0,
    50.0,
    100.0,
    200.0,
    300.0,
    400.0,
    500.0,
    1000.0,
    2000.0,
    3000.0,
    4000.0,
    5000.0,
    10_000.0,
    20_000.0,
    30_000.0,
    40_000.0,
    50_000.0,
    f64::INFINITY,
];

/// Names of deployments.
pub(crate) const DEPLOYMENTS: [&str; 10] =
    ["web", "front", "cart", "search", "users", "orders", "stock", "mail", "pay", "audit"];

/// Its size, one cluster.
pub(crate) struct Mesh {
    /// Pods of each deployment.
    pub(crate) pods: usize,
    /// One sample a second for so long.
    pub(crate) seconds: usize,
}

/// Pseudo-random numbers (SplitMix64): the same for the same seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1, never 0.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// A pod's counters.
#[derive(Default)]
struct Counters {
    inbound: u64,
    outbound: u64,
    success: u64,
    failure: u64,
    /// Not cumulative over buckets.
    buckets: [u64; BOUNDS.len()],
    latency_sum_ms: u64,
}

impl Counters {
    /// One second of traffic: so many requests, exponential latencies around `mean_ms`.
    fn second(&mut self, requests: u64, mean_ms: f64, noise: &mut Noise) {
        for _ in 0..requests {
            let latency_ms = -noise.share().ln() * mean_ms;
            let bucket = BOUNDS.iter().position(|b| latency_ms <= *b).unwrap_or(BOUNDS.len() - 1);
            self.buckets[bucket] += 1;
            self.latency_sum_ms += latency_ms as u64;
            self.inbound += 1;
            self.outbound += 2;
            if noise.next().is_multiple_of(50) {
                self.failure += 1;
            } else {
                self.success += 1;
            }
        }
    }

    /// Values in the order of [`identities`].
    fn values(&self) -> impl Iterator<Item = f64> {
        let counts = [self.inbound, self.outbound, self.success, self.failure];
        let cumulative = self.buckets.iter().scan(0, |sum, n| {
            *sum += n;
            Some(*sum)
        });
        let latency = [self.latency_sum_ms, self.inbound];
        counts.into_iter().chain(cumulative).chain(latency).map(|n| n as f64)
    }
}

impl Mesh {
    /// Pods of one cluster.
    pub(crate) fn all_pods(&self) -> usize {
        self.pods * DEPLOYMENTS.len()
    }

    /// Series of each pod.
    pub(crate) const fn series_a_pod() -> usize {
        4 + BOUNDS.len() + 2
    }

    /// The series of one pod, number `pod` of its cluster, which `seed` tells from others. The last samples are in
    /// the second before `end_ms`; every pod has its own moment in a second, as with a scraper that spreads its
    /// work.
    pub(crate) fn pod(&self, seed: u64, pod: usize, end_ms: i64) -> Vec<Written> {
        let deployment = DEPLOYMENTS[pod / self.pods];
        let mut noise = Noise(seed << 32 | pod as u64);
        let offset_ms = 1 + (noise.next() % 999) as i64;
        let rate = 4 + noise.next() % 12;
        let mean_ms = 8.0 + noise.share() * 60.0;
        let mut written: Vec<Written> =
            identities(deployment, pod, seed).map(|l| (l, Vec::with_capacity(self.seconds))).collect();
        let mut counters = Counters::default();
        for i in (0..self.seconds as i64).rev() {
            counters.second(noise.next() % (2 * rate), mean_ms, &mut noise);
            let t_ms = end_ms - i * 1000 - offset_ms;
            for ((_, samples), value) in written.iter_mut().zip(counters.values()) {
                samples.push((t_ms, value));
            }
        }
        written
    }
}

fn identities(deployment: &str, pod: usize, seed: u64) -> impl Iterator<Item = Labels> {
    let name = format!("{deployment}-7c9f{seed}d{pod:03}");
    let instance = format!("10.{seed}.{}.{}:4191", pod / 250, pod % 250);
    let labels = move |metric: &str, direction: &str, more: &[(&str, &str)]| {
        let common = [
            ("__name__", metric),
            ("deployment", deployment),
            ("direction", direction),
            ("instance", &instance),
            ("job", "linkerd-proxy"),
            ("namespace", "shop"),
            ("pod", &name),
            ("target_port", "8080"),
            ("tls", "true"),
        ];
        Labels::from_pairs(common.into_iter().chain(more.iter().copied()))
    };
    let mut all = vec![labels("request_total", "inbound", &[]), labels("request_total", "outbound", &[])];
    for (class, code) in [("success", "200"), ("failure", "500")] {
        all.push(labels("response_total", "inbound", &[("classification", class), ("status_code", code)]));
    }
    for bound in BOUNDS {
        let le = if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
        all.push(labels("response_latency_ms_bucket", "inbound", &[("le", &le)]));
    }
    all.extend(["response_latency_ms_sum", "response_latency_ms_count"].map(|m| labels(m, "inbound", &[])));
    all.into_iter()
}
