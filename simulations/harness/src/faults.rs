//! Faults as they happen: beginnings and ends, on the processes and links of a world.
//!
//! What a fault hits is looked for while everything else goes on. One that finds nothing makes its marks all the same,
//! and is told as missed: a row that fails, not the end of the run.

use anyhow::Context as _;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use rustix::process::Signal;
use simulations_cluster::{Cluster, Process};
use simulations_judge::timeline::Event;
use simulations_scenario::{Fault, FaultKind, Part};

use crate::journal::Journal;
use crate::link::Cut;
use crate::world::{World, victims};

pub mod agenda;
mod slow;

use slow::Slow;

/// A fault that begins later than this is not the one that was asked for.
const LATE: std::time::Duration = std::time::Duration::from_secs(1);

/// The faults of a run. Dropped, all of them end.
pub struct Faults<'a> {
    world: &'a World,
    journal: &'a Journal,
    faults: Vec<(&'a Fault, State)>,
    beginning: FuturesUnordered<LocalBoxFuture<'a, (usize, anyhow::Result<Option<Hit>>)>>,
}

#[derive(Debug)]
enum State {
    /// Still to come.
    Planned,
    /// What it hits is being looked for.
    Beginning,
    /// It happened; what it holds until its end, if it has one.
    Begun(Option<Hit>),
    /// It is over.
    Ended,
}

/// What a fault holds until its end, which hits what its beginning hit: a container that was started again
/// meanwhile is another, and healthy.
#[derive(Debug)]
enum Hit {
    Paused(#[expect(dead_code, reason = "held for its drop")] Paused),
    Slow(#[expect(dead_code, reason = "held for its drop")] Slow),
    Cut(#[expect(dead_code, reason = "held for its drop")] Cut),
}

/// A process that stands still. Dropped, it goes on.
#[derive(Debug)]
struct Paused(Process);

impl Drop for Paused {
    fn drop(&mut self) {
        // One that has ended needs no waking.
        self.0.signal(Signal::CONT);
    }
}

impl<'a> Faults<'a> {
    /// None has begun.
    pub fn new(faults: &'a [Fault], world: &'a World, journal: &'a Journal) -> Self {
        let faults = faults.iter().map(|f| (f, State::Planned)).collect();
        Self { world, journal, faults, beginning: FuturesUnordered::new() }
    }

    /// Begins one, by its index: what it hits is looked for from now on, by [`Faults::begun`].
    pub fn begin(&mut self, index: usize) {
        let Some((fault, state)) = self.faults.get_mut(index) else { return };
        *state = State::Beginning;
        let (fault, world) = (*fault, self.world);
        self.beginning.push(Box::pin(async move { (index, strike(world, fault).await) }));
    }

    /// Waits for the next one that hits something, or nothing. Waits for ever where none is beginning.
    pub async fn begun(&mut self) {
        match self.beginning.next().await {
            Some((index, hit)) => self.tell(index, hit),
            None => std::future::pending().await,
        }
    }

    fn tell(&mut self, index: usize, hit: anyhow::Result<Option<Hit>>) {
        let Some((fault, state)) = self.faults.get_mut(index) else { return };
        // Its end was due before anything was found; what was hit since is let go.
        if !matches!(state, State::Beginning) {
            return;
        }
        self.journal.mark_now(&fault.name, fault.at);
        let late = self.journal.elapsed().saturating_sub(fault.at);
        let hit = match hit {
            Ok(hit) => hit,
            Err(e) => {
                self.journal.write(missed(fault, format!("{e:#}")));
                None
            }
        };
        if late > LATE {
            let (what, how) =
                (format!("fault {:?}", fault.name), format!("began {:.1} s late", late.as_secs_f64()));
            self.journal.write(Event::Late { what, how });
        }
        *state = State::Begun(hit);
    }

    /// Ends one, by its index, if it has begun.
    pub fn end(&mut self, index: usize) {
        let Some((fault, state)) = self.faults.get_mut(index) else { return };
        match std::mem::replace(state, State::Ended) {
            State::Planned | State::Ended => return,
            State::Beginning => {
                self.journal.mark_now(&fault.name, fault.at);
                let what = format!("fault {:?}", fault.name);
                self.journal.write(Event::Late { what, how: "was to end before it had begun".to_owned() });
            }
            State::Begun(hit) => drop(hit),
        }
        if fault.ends() {
            self.journal.mark_now(&format!("{} ended", fault.name), fault.at.saturating_add(fault.lasts));
        }
    }

    /// Ends all that have begun: nothing stays paused.
    pub fn end_all(&mut self) {
        (0..self.faults.len()).for_each(|i| self.end(i));
    }
}

fn missed(fault: &Fault, why: String) -> Event {
    Event::Missed { fault: fault.name.clone(), why }
}

/// Finds what it hits, and does it; what it holds, if it has an end.
async fn strike(world: &World, fault: &Fault) -> anyhow::Result<Option<Hit>> {
    let Some(part) = fault.target() else {
        return Ok(Some(Hit::Cut(world.cut(&fault.cluster, &fault.lanes())?)));
    };
    let process = find(world, fault, &part).await?;
    let send = |signal| {
        anyhow::ensure!(process.signal(signal), "the container has just ended");
        Ok(())
    };
    Ok(match fault.kind {
        FaultKind::Kill => {
            send(Signal::KILL)?;
            None
        }
        FaultKind::Pause | FaultKind::DropMetrics => {
            send(Signal::STOP)?;
            Some(Hit::Paused(Paused(process)))
        }
        FaultKind::Slow => Some(Hit::Slow(Slow::start(process, fault.factor(), fault.lasts))),
        FaultKind::Partition => None,
    })
}

/// The container in the first pod in which it runs.
async fn find(world: &World, fault: &Fault, part: &Part) -> anyhow::Result<Process> {
    let cluster: Option<&Cluster> = world.cluster(&fault.cluster);
    let cluster = cluster.with_context(|| format!("no cluster {:?}", fault.cluster))?;
    let pods = victims(cluster, part).await?;
    // One that has ended since it was seen is passed over.
    let found = pods.iter().find_map(|pod| cluster.process(part.namespace, pod, &part.container).ok());
    found.with_context(|| format!("no {} of {} runs in {}", part.container, part.app, fault.cluster))
}
