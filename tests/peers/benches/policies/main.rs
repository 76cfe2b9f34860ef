//! Ten thousand policies from twenty templates, each evaluated every second, against a real API server.
//!
//! ```text
//!  real etcd and API server, 10,000 Deployments and policies ◄── watches, writes ── our controller, a process of its own
//!  a querier that knows all answers (this process) ◄────────────────── queries ──────┘
//! ```
//!
//! One policy in twenty has a load that moves all the time. Nobody makes pods: what is measured is the controller, and
//! the API server's share apart.
//!
//! `cargo bench -p peers --bench policies [-- WORD…]`
//!
//! Words: `policies=N` (10000), `seconds=N` (60): how long is measured, `changing=N` (20): one policy in so many.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod objects;
mod querier;

use std::error::Error;
use std::time::{Duration, Instant};

use peers::usage::Usage;
use peers::{Binaries, ControlPlane, Server, World};

use crate::querier::Load;

/// What may go wrong.
type Outcome<T> = Result<T, Box<dyn Error>>;

struct Settings {
    policies: usize,
    seconds: u64,
    changing: usize,
}

fn settings(words: impl Iterator<Item = String>) -> Outcome<Settings> {
    let mut settings = Settings { policies: 10_000, seconds: 60, changing: 20 };
    for word in words.filter(|word| word != "--bench") {
        match word.split_once('=') {
            Some(("policies", n)) => settings.policies = n.parse()?,
            Some(("seconds", n)) => settings.seconds = n.parse()?,
            Some(("changing", n)) => settings.changing = n.parse::<usize>()?.max(1),
            _ => return Err(format!("{word}: no such setting").into()),
        }
    }
    Ok(settings)
}

/// What the controller counts of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    evaluations: f64,
    missed: f64,
    dropped: f64,
    errors: f64,
    statuses: f64,
}

impl Counted {
    async fn of(controller: &Server) -> Outcome<Self> {
        let (_, page) = peers::http::get(&controller.url(9095).replace("9095", "9095/metrics")).await?;
        let sum = |name: &str| -> f64 {
            let is_of = |line: &&str| {
                line.strip_prefix("gauntlet_autoscaler_")
                    .and_then(|l| l.strip_prefix(name))
                    .is_some_and(|rest| rest.starts_with([' ', '{']))
            };
            let values = page.lines().filter(is_of).filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok());
            values.sum()
        };
        Ok(Self {
            evaluations: sum("evaluation_seconds_count"),
            missed: sum("missed_ticks_total"),
            dropped: sum("queries_dropped_total"),
            errors: sum("query_errors_total"),
            statuses: sum("status_writes_total"),
        })
    }
}

/// Everything that was used, by this process' children and by itself.
struct Used {
    at: Instant,
    controller: Usage,
    own: Usage,
    others: Vec<(&'static str, Usage)>,
}

impl Used {
    fn now(controller: u32) -> Self {
        let others = ["kube-apiserver", "etcd"].into_iter();
        let others = others.filter_map(|name| Some((name, Usage::of(child(name)?)))).collect();
        Self {
            at: Instant::now(),
            controller: Usage::of(controller),
            own: Usage::of(std::process::id()),
            others,
        }
    }
}

/// The child of this process that is called so.
fn child(name: &str) -> Option<u32> {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(") ")?;
        let (pid, called) = before.split_once(" (")?;
        // The kernel keeps fifteen bytes of a name.
        let is_it = name.starts_with(called) && after.split(' ').nth(1) == Some(&own);
        is_it.then(|| pid.parse().ok()).flatten()
    })
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let settings = settings(std::env::args().skip(1))?;
    let Some(binaries) = Binaries::find() else {
        println!("left out: the control plane is not built; run tests/peers/build");
        return Ok(());
    };
    let Settings { policies, seconds, changing } = settings;
    let programs = tempfile::tempdir()?;
    let gauntlet = programs.path().join("gauntlet");
    std::fs::copy(peers::gauntlet!(), &gauntlet)?;
    let world = World::new(&gauntlet.to_string_lossy());
    let plane = ControlPlane::start(&world.dir().join("plane"), binaries).await;
    let began = Instant::now();
    objects::make(&plane.client().await, policies).await?;
    println!("{policies} Deployments and policies made in {:.0} s", began.elapsed().as_secs_f64());
    let load = Load::new(policies, changing);
    let querier = querier::serve(load.clone()).await?;
    let flags = format!(
        "autoscaler run --listen-address {{ip}}:9095 --kubeconfig {} --context east --query-url {querier}",
        plane.admin_kubeconfig().display()
    );
    let began = Instant::now();
    let controller = world.ours("autoscaler", &flags, "9095/ready").await;
    // The first statuses of all policies are written once, as fast as the writer may.
    let mut last = Counted::default();
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = Counted::of(&controller).await?;
        let settled = now.evaluations > policies as f64 * 3.0 && now.statuses - last.statuses < 495.0;
        if settled || began.elapsed() > Duration::from_secs(300) {
            break;
        }
        last = now;
    }
    println!("{:.0} s from its start until all have their first status", began.elapsed().as_secs_f64());
    let (before, used_before) = (Counted::of(&controller).await?, Used::now(controller.id()));
    load.forget_latencies();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (after, used) = (Counted::of(&controller).await?, Used::now(controller.id()));
    let took = (used.at - used_before.at).as_secs_f64();
    let cores = |before: Usage, after: Usage| (after.cpu - before.cpu).as_secs_f64() / took;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("| {policies} policies, 1 s, one in {changing} moving, {took:.0} s | |\n|---|--:|");
    println!(
        "| evaluations a second (wanted {policies}) | {:.0} |",
        (after.evaluations - before.evaluations) / took
    );
    println!("| ticks missed | {:.0} |", after.missed - before.missed);
    println!(
        "| queries dropped, failed | {:.0}, {:.0} |",
        after.dropped - before.dropped,
        after.errors - before.errors
    );
    println!("| status writes a second | {:.1} |", (after.statuses - before.statuses) / took);
    println!("| controller, cores | {:.2} |", cores(used_before.controller, used.controller));
    println!(
        "| controller, MiB now, at most | {:.0}, {:.0} |",
        mib(used.controller.rss_bytes),
        mib(used.controller.rss_peak_bytes)
    );
    for ((name, before), (_, after)) in used_before.others.iter().zip(&used.others) {
        println!("| {name}, cores | {:.2} |", cores(*before, *after));
    }
    println!("| querier and this benchmark, cores | {:.2} |", cores(used_before.own, used.own));
    println!("| queries answered a second | {:.0} |", load.answered() as f64 / took);
    objects::check(&plane.client().await, &load).await
}
