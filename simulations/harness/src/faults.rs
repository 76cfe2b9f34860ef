//! Faults as they happen: beginnings and ends, on the processes and links of a world.

use anyhow::Context as _;
use rustix::process::Signal;
use simulations_cluster::{Cluster, Process};

use crate::link::Cut;
use crate::observe::Journal;
use crate::scenario::{Fault, FaultKind, Part};
use crate::timeline::Event;
use crate::world::{World, victim};

pub mod agenda;
mod slow;

use slow::Slow;

/// The faults of a run. Dropped, all of them end.
#[derive(Debug)]
pub struct Faults<'a> {
    world: &'a World,
    journal: &'a Journal,
    faults: Vec<(&'a Fault, Option<Hit>)>,
}

/// What a fault holds until its end, which hits what its beginning hit: a container that was started again
/// meanwhile is another, and healthy.
#[derive(Debug)]
enum Hit {
    Paused(Paused),
    Slow(Slow),
    Cut(Cut),
}

impl Hit {
    fn end(self) {
        match self {
            Self::Paused(paused) => drop(paused),
            Self::Slow(slow) => drop(slow),
            Self::Cut(cut) => drop(cut),
        }
    }
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
        Self { world, journal, faults: faults.iter().map(|f| (f, None)).collect() }
    }

    /// Begins one, by its index.
    ///
    /// # Errors
    /// There is nothing to hit.
    pub async fn begin(&mut self, index: usize) -> anyhow::Result<()> {
        let Some((fault, hit)) = self.faults.get_mut(index) else { return Ok(()) };
        let process = match fault.target() {
            Some(part) => Some(find(self.world, fault, &part).await?),
            None => None,
        };
        self.journal.write(Event::Mark(fault.name.clone()));
        *hit = match process {
            Some(process) => strike(fault, process).with_context(|| format!("fault {:?}", fault.name))?,
            None => Some(Hit::Cut(self.world.cut(&fault.cluster, &fault.lanes())?)),
        };
        Ok(())
    }

    /// Ends one, by its index, if it has begun.
    pub fn end(&mut self, index: usize) {
        let Some((fault, hit)) = self.faults.get_mut(index) else { return };
        let Some(hit) = hit.take() else { return };
        hit.end();
        self.journal.write(Event::Mark(format!("{} ended", fault.name)));
    }

    /// Ends all that have begun: nothing stays paused.
    pub fn end_all(&mut self) {
        (0..self.faults.len()).for_each(|i| self.end(i));
    }
}

/// The container in the first pod by name; of controllers, in the one that leads.
async fn find(world: &World, fault: &Fault, part: &Part) -> anyhow::Result<Process> {
    let cluster: Option<&Cluster> = world.cluster(&fault.cluster);
    let cluster =
        cluster.with_context(|| format!("fault {:?}: no cluster {:?}", fault.name, fault.cluster))?;
    let Part { namespace, app, container } = part;
    let pod = victim(cluster, namespace, app).await?;
    let pod = pod.with_context(|| format!("fault {:?}: no pod of {app}", fault.name))?;
    cluster.process(namespace, &pod, container).with_context(|| format!("fault {:?}", fault.name))
}

/// Does it; what it holds, if it has an end.
fn strike(fault: &Fault, process: Process) -> anyhow::Result<Option<Hit>> {
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
