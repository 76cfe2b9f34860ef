//! A made-up mesh as its scrapers see it: the same series and values every time, and what any querier has to say of
//! them.

use std::collections::BTreeMap;

use thanos_storepb::storepb::Label;

/// Linkerd's.
const BOUNDS_MS: [u32; 25] = [
    1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000, 20_000,
    30_000, 40_000, 50_000,
];
const CLUSTERS: [&str; 2] = ["east", "west"];
const DEPLOYMENTS: [&str; 20] = [
    "ad",
    "basket",
    "cart",
    "catalog",
    "checkout",
    "currency",
    "email",
    "front",
    "gateway",
    "identity",
    "images",
    "inventory",
    "ledger",
    "mail",
    "orders",
    "payment",
    "quote",
    "search",
    "shipping",
    "web",
];
const PODS: u64 = 5;

/// One series.
#[derive(Debug)]
pub(crate) struct Series {
    /// Sorted by name, as on the wire.
    pub(crate) labels: Vec<Label>,
    pub(crate) metric: &'static str,
    /// Cluster and deployment.
    pub(crate) group: (&'static str, &'static str),
    values: Values,
}

/// What a series tells, round by round.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// A share, so many in a thousand, of the requests of a stream of traffic, times a factor.
    Counter { stream: Stream, share_permille: u64, factor: f64 },
    /// Around a level.
    Gauge { seed: u64, level: u64 },
}

/// Requests that arrive somewhere.
#[derive(Clone, Copy, Debug)]
struct Stream {
    seed: u64,
    /// Requests a second; a quarter of all streams are idle, as in most meshes.
    rate: u64,
}

impl Stream {
    fn new(seed: u64) -> Self {
        let rate = if mix(seed).is_multiple_of(4) { 0 } else { 1 + mix(seed + 1) % 200 };
        Self { seed, rate }
    }

    /// Requests up to and with this round; they never decrease.
    fn count(self, round: u64) -> u64 {
        let jitter = mix(self.seed ^ (round << 32)) % (self.rate / 2 + 1);
        mix(self.seed + 2) % 1_000_000 + round * self.rate + jitter
    }
}

impl Series {
    /// The sample of a round.
    pub(crate) fn value(&self, round: u64) -> f64 {
        match self.values {
            Values::Counter { stream, share_permille, factor } => {
                (stream.count(round) * share_permille / 1000) as f64 * factor
            }
            Values::Gauge { seed, level } => (level + mix(seed ^ (round << 32)) % (level / 8 + 2)) as f64,
        }
    }
}

/// All series, 100 of each of 200 pods, in the order in which pods are scraped.
pub(crate) fn series() -> Vec<Series> {
    let mut all = Vec::new();
    for cluster in CLUSTERS {
        for (nth, deployment) in DEPLOYMENTS.into_iter().enumerate() {
            for pod in 0..PODS {
                let seed = all.len() as u64;
                let mut pod = Pod {
                    group: (cluster, deployment),
                    own: own_labels(cluster, deployment, pod),
                    seed,
                    all: &mut all,
                };
                pod.traffic("inbound", None);
                for step in [1, 7] {
                    pod.traffic("outbound", Some(DEPLOYMENTS[(nth + step) % DEPLOYMENTS.len()]));
                }
                pod.rest();
            }
        }
    }
    all
}

struct Pod<'a> {
    group: (&'static str, &'static str),
    own: Vec<(&'static str, String)>,
    seed: u64,
    all: &'a mut Vec<Series>,
}

impl Pod<'_> {
    fn add(&mut self, metric: &'static str, more: &[(&'static str, String)], values: Values) {
        let name = [("__name__", metric.to_owned())];
        let mut labels: Vec<Label> =
            self.own.iter().chain(more).chain(&name).map(|(n, v)| label(n, v)).collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        self.all.push(Series { labels, metric, group: self.group, values });
    }

    /// 31 series of one direction and peer.
    fn traffic(&mut self, direction: &'static str, to: Option<&'static str>) {
        let stream = Stream::new(self.seed * 1000 + self.all.len() as u64);
        let authority = to.unwrap_or(self.group.1);
        let mut base = vec![
            ("authority", format!("{authority}.shop.svc.cluster.local:8080")),
            ("direction", direction.to_owned()),
            ("tls", "true".to_owned()),
        ];
        if let Some(to) = to {
            base.extend([("dst_deployment", to.to_owned()), ("dst_namespace", "shop".to_owned())]);
        }
        let with = |more: &[(&'static str, &str)]| -> Vec<_> {
            base.iter().cloned().chain(more.iter().map(|(n, v)| (*n, (*v).to_owned()))).collect()
        };
        let counter = |share_permille, factor| Values::Counter { stream, share_permille, factor };
        self.add("request_total", &with(&[]), counter(1000, 1.0));
        for (code, class, share) in [("200", "success", 985), ("500", "failure", 15)] {
            self.add(
                "response_total",
                &with(&[("classification", class), ("status_code", code)]),
                counter(share, 1.0),
            );
        }
        for bound in BOUNDS_MS {
            let share = 1000 - (1000.0 * (-f64::from(bound) / 60.0).exp()) as u64;
            let le = bound.to_string();
            self.add("response_latency_ms_bucket", &with(&[("le", &le)]), counter(share, 1.0));
        }
        self.add("response_latency_ms_bucket", &with(&[("le", "+Inf")]), counter(1000, 1.0));
        self.add("response_latency_ms_sum", &with(&[]), counter(1000, 60.0));
        self.add("response_latency_ms_count", &with(&[]), counter(1000, 1.0));
    }

    /// The other series of a pod.
    fn rest(&mut self) {
        let stream = Stream::new(self.seed * 1000 + 999);
        let counter = |share_permille, factor| Values::Counter { stream, share_permille, factor };
        let seed = self.seed * 1000;
        for (metric, values) in [
            ("tcp_open_total", counter(40, 1.0)),
            ("tcp_read_bytes_total", counter(1000, 713.0)),
            ("tcp_write_bytes_total", counter(1000, 2048.0)),
            // Seconds with two decimals, as kernels count them.
            ("process_cpu_seconds_total", counter(1000, 0.01)),
            ("tcp_open_connections", Values::Gauge { seed: seed + 1, level: 20 }),
            ("process_resident_memory_bytes", Values::Gauge { seed: seed + 2, level: 12 << 20 }),
            ("process_open_fds", Values::Gauge { seed: seed + 3, level: 60 }),
        ] {
            self.add(metric, &[], values);
        }
    }
}

fn own_labels(cluster: &str, deployment: &str, pod: u64) -> Vec<(&'static str, String)> {
    let hash = mix(cluster.len() as u64 ^ deployment.bytes().map(u64::from).sum::<u64>() << 8);
    let (template, name) = (format!("{:x}", hash % (1 << 36)), mix(hash + pod) % (1 << 20));
    vec![
        ("cluster", cluster.to_owned()),
        ("control_plane_ns", "linkerd".to_owned()),
        ("deployment", deployment.to_owned()),
        ("instance", format!("10.{}.{}.{}:4191", hash % 64, hash / 64 % 256, pod + 2)),
        ("job", "linkerd-proxy".to_owned()),
        ("namespace", "shop".to_owned()),
        ("pod", format!("{deployment}-{template}-{name:05x}")),
        ("pod_template_hash", template),
    ]
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.into(), value: value.into() }
}

/// SplitMix64: numbers that look random and are the same every time.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Values by cluster and deployment.
pub(crate) type Groups = BTreeMap<(String, String), f64>;

/// By metric, how many series there are.
pub(crate) fn metrics(series: &[Series]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for one in series {
        *counts.entry(one.metric).or_insert(0) += 1;
    }
    counts
}

/// `sum by (cluster, deployment)` of a metric in a round.
pub(crate) fn sums(series: &[Series], metric: &str, round: u64) -> Groups {
    let mut groups = Groups::new();
    for one in series.iter().filter(|s| s.metric == metric) {
        let (cluster, deployment) = one.group;
        *groups.entry((cluster.to_owned(), deployment.to_owned())).or_insert(0.0) += one.value(round);
    }
    groups
}
