//! Faults as they happen: beginnings and ends, on the processes that a world runs.

use anyhow::Context as _;
use rustix::process::Signal;
use simulations_cluster::Cluster;

use crate::observe::Journal;
use crate::scenario::{Fault, FaultKind, Part};
use crate::timeline::Event;
use crate::world::{World, names, pods};

pub mod agenda;

/// The faults of a run.
#[derive(Debug)]
pub struct Faults<'a> {
    world: &'a World,
    journal: &'a Journal,
    faults: Vec<(&'a Fault, Option<Hit>)>,
}

/// A fault's end hits the process that its beginning hit.
#[derive(Debug)]
struct Hit {
    pod: String,
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
        let cluster = cluster_of(self.world, fault)?;
        let Part { namespace, app, container } = fault.target();
        let pod = pods(cluster, namespace, &app).await?.into_iter().next();
        let pod = pod.with_context(|| format!("fault {:?}: no pod of {app}", fault.name))?;
        let (_, pod) = names(&pod);
        let signal = match fault.kind {
            FaultKind::Kill => Signal::KILL,
            FaultKind::Pause | FaultKind::DropMetrics => Signal::STOP,
        };
        self.journal.write(Event::Mark(fault.name.clone()));
        cluster.signal_container(namespace, &pod, &container, signal.as_raw())?;
        *hit = fault.ends().then_some(Hit { pod });
        Ok(())
    }

    /// Ends one, by its index, if it has begun.
    pub fn end(&mut self, index: usize) {
        let Some((fault, hit)) = self.faults.get_mut(index) else { return };
        let Some(Hit { pod }) = hit.take() else { return };
        let Part { namespace, container, .. } = fault.target();
        let woken = cluster_of(self.world, fault)
            .and_then(|c| c.signal_container(namespace, &pod, &container, Signal::CONT.as_raw()));
        // The container may have been replaced meanwhile; then there is nothing to wake.
        if let Err(error) = woken {
            tracing::warn!(%error, fault = %fault.name, "could not end the fault");
        }
        self.journal.write(Event::Mark(format!("{} ended", fault.name)));
    }

    /// Ends all that have begun: nothing stays paused.
    pub fn end_all(&mut self) {
        (0..self.faults.len()).for_each(|i| self.end(i));
    }
}

fn cluster_of<'a>(world: &'a World, fault: &Fault) -> anyhow::Result<&'a Cluster> {
    world
        .cluster(&fault.cluster)
        .with_context(|| format!("fault {:?} names the unknown cluster {:?}", fault.name, fault.cluster))
}
