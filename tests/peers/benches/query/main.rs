//! Our querier beside the real Thanos Querier: the same queries over the same stores at the same time.
//!
//! ```text
//!  made-up mesh ─ remote write ─► east-a east-b west-a west-b ─ StoreAPI ─┬─► ours                 ─┐
//!                                 (first our Receives,                   ├─► Thanos               ├─► one client
//!                                  then Thanos' own)                     └─► Thanos, other engine ─┘
//! ```
//!
//! - Data: 2 clusters of 10 deployments of 20 pods with Linkerd's metrics, one sample a second for ten minutes;
//!   two replicas of each cluster hold the same and differ in the label `replica`, which queriers deduplicate.
//! - Queries: [`questions::all`], those of the autoscaler and of dashboards. Sides take turns of half a second or
//!   more, in another order every round; all ask for the same moment, and every answer is compared with the
//!   first side's, to 12 digits: the program fails where two differ, one is empty, or one has warnings.
//! - Processor time is the querier's and, apart, the stores'; memory is that of a process started for one query.
//! - A querier has the first core; stores and client share the second.
//!
//! ```sh
//! tests/peers/build thanos && cargo bench -p peers --bench query [-- quick]
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod cores;
mod fresh;
mod mesh;
mod questions;
mod rig;
mod table;
mod turns;

use std::error::Error;
use std::time::Duration;

use peers::binary::binary;

use cores::Cores;
use mesh::Mesh;
use rig::{Makers, Rig};

/// How much is measured.
struct Settings {
    mesh: Mesh,
    rounds: usize,
    turn: Duration,
    fresh_processes: usize,
    crowd_turn: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    if binary("thanos").is_none() {
        println!("Thanos is not built, so there is nothing to compare with: run tests/peers/build thanos");
        return Ok(());
    }
    let quick = std::env::args().any(|a| a == "quick");
    let settings = if quick {
        Settings {
            mesh: Mesh { pods: 4, seconds: 660 },
            rounds: 2,
            turn: Duration::from_millis(100),
            fresh_processes: 1,
            crowd_turn: Duration::from_millis(500),
        }
    } else {
        Settings {
            mesh: Mesh { pods: 20, seconds: 660 },
            rounds: 6,
            turn: Duration::from_millis(500),
            fresh_processes: 3,
            crowd_turn: Duration::from_secs(2),
        }
    };
    // One thread: what it starts inherits the cores that it is on at that moment.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(all(&settings))
}

async fn all(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let cores = Cores::split()?;
    println!("{cores}");
    for makers in [Makers::Ours, Makers::Thanos] {
        let rig = Rig::new(makers, &settings.mesh, &cores).await?;
        println!("\n## {rig}\n");
        let sides = rig.sides(&cores).await?;
        let turns = turns::all(&rig, &sides, settings).await?;
        table::turns(&turns);
        table::crowds(&turns::crowds(&rig, &sides, settings).await?);
        drop(sides);
        if makers == Makers::Ours {
            table::memory(&fresh::all(&rig, &cores, settings).await?);
        }
    }
    Ok(())
}
