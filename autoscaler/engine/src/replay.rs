//! A whole run as data: what the engine was told, and that it does the same when told again.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::effect::Effect;
use crate::engine::Engine;
use crate::event::Event;
use crate::time::Now;

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// What the engine began with.
    pub config: Config,
    /// What it was told, and when.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// When.
    pub now: Now,
    /// What.
    pub event: Event,
}

impl Replay {
    /// A run of an engine with this configuration, with no steps yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, steps: Vec::new() }
    }

    /// Does the run again; gives what each step wants done.
    #[must_use]
    pub fn run(&self) -> Vec<Vec<Effect>> {
        let mut engine = Engine::new(self.config.clone());
        self.steps.iter().map(|step| engine.step(step.now, step.event.clone())).collect()
    }
}
