//! Memory of a querier that was started for one query.

use std::error::Error;
use std::time::Duration;

use peers::http::client;
use peers::usage::{Figures, Usage};

use crate::Settings;
use crate::cores::Cores;
use crate::questions;
use crate::rig::{QUERIERS, Querier, Rig};

/// How often each process is asked, one after the other: one query is not yet what it comes to.
const ASKED: usize = 5;
/// A process that has just started is still busy with that.
const SETTLE: Duration = Duration::from_millis(300);

/// One kind of querier's memory for one query.
pub(crate) struct Memory {
    pub(crate) question: &'static str,
    pub(crate) querier: Querier,
    pub(crate) before_mib: Figures,
    pub(crate) after_mib: Figures,
    pub(crate) peak_mib: Figures,
}

/// Every query by processes of its own.
///
/// # Errors
/// An answer that is missing or wrong.
pub(crate) async fn all(
    rig: &Rig,
    cores: &Cores,
    settings: &Settings,
) -> Result<Vec<Memory>, Box<dyn Error>> {
    let client = client();
    let mut memory = Vec::new();
    for question in questions::all() {
        let mut of_each = QUERIERS.map(|q| (q, Vec::new()));
        for _ in 0..settings.fresh_processes {
            for (querier, of_each) in &mut of_each {
                let side = rig.side(*querier, cores).await?;
                tokio::time::sleep(SETTLE).await;
                let before = Usage::of(side.server.id());
                for _ in 0..ASKED {
                    question.ask(&client, &side.server.url(9090), rig.end_ms).await?;
                }
                of_each.push((before, Usage::of(side.server.id())));
            }
        }
        for (querier, of_each) in of_each {
            let mib = |bytes: fn(&(Usage, Usage)) -> u64| {
                Figures::new(of_each.iter().map(|u| bytes(u) as f64 / f64::from(1 << 20)).collect())
            };
            memory.push(Memory {
                question: question.name,
                querier,
                before_mib: mib(|(before, _)| before.rss_bytes),
                after_mib: mib(|(_, after)| after.rss_bytes),
                peak_mib: mib(|(_, after)| after.rss_peak_bytes),
            });
        }
    }
    Ok(memory)
}
