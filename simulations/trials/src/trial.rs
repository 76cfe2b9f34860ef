//! One contestant in one world.

use simulations_kernel::shrink::shrink;
use simulations_kernel::{Schedule, Trace};
use simulations_world::{Life, Scene, Trouble, WorldFault};

use crate::autoscaler::Notes;
use crate::contestant::Contestant;
use crate::laws;

/// How long whoever has too many replicas at the end has to lower them, in milliseconds: what a store lost of another
/// part than a whole cluster is expected for an hour.
pub const PATIENCE_MS: i64 = 4_200_000;

/// A world to be lived in.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its seed.
    pub seed: u64,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: i64,
    /// What goes wrong instead of what the seed says.
    pub faults: Option<Schedule<WorldFault>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The world's seed.
    pub seed: u64,
    /// What happened.
    pub life: Life,
    /// Which laws were broken, and how.
    pub broken: Vec<String>,
    /// At the end replicas were more than the load asks for, and [`PATIENCE_MS`] later they were not.
    pub late: bool,
    /// SHA-256 of all that happened, in hexadecimal.
    pub digest: String,
}

impl Trial {
    /// The world of a seed.
    pub fn of(seed: u64, lasts_ms: i64) -> Self {
        Self { seed, lasts_ms, faults: None }
    }

    /// The scene.
    pub fn scene(&self) -> Scene {
        let mut scene = Scene::drawn(self.seed, self.lasts_ms, Trouble::Drawn);
        if let Some(faults) = &self.faults {
            scene.setup.faults = faults.clone();
        }
        scene
    }

    /// Lives through it.
    pub fn run(&self, contestant: Contestant, trace: &Trace) -> Outcome {
        let outcome = self.lived(contestant, trace, 0);
        let is_late = contestant == Contestant::Autoscaler
            && outcome.life.ordered > outcome.life.suits.1
            && outcome.broken.len() == 1
            && self.lived(contestant, &Trace::new(), PATIENCE_MS).broken.is_empty();
        let broken = if is_late { Vec::new() } else { outcome.broken };
        Outcome { broken, late: is_late, ..outcome }
    }

    /// Lives through it, and longer.
    fn lived(&self, contestant: Contestant, trace: &Trace, longer_ms: i64) -> Outcome {
        let (mut scene, notes) = (self.scene(), Notes::default());
        scene.lasts_ms += longer_ms;
        contestant.prepare(&mut scene);
        let life = scene.live(trace, |world, _| contestant.begin(&scene, world, &notes));
        let mut broken = laws::broken(&scene, &life);
        broken.extend(notes.all());
        if contestant == Contestant::Autoscaler {
            broken.extend(laws::one_writer(&scene, &life));
        }
        Outcome { seed: self.seed, life, broken, late: false, digest: trace.digest() }
    }

    /// The least that has to go wrong for any law to be broken, found with at most so many further lives.
    pub fn shrunk(&self, contestant: Contestant, tries: usize) -> Schedule<WorldFault> {
        let all = self.scene().setup.faults;
        shrink(&all, tries, |faults| {
            let candidate = Self { faults: Some(faults.clone()), ..self.clone() };
            !candidate.run(contestant, &Trace::new()).broken.is_empty()
        })
    }
}
