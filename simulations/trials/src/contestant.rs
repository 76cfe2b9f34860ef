//! Who can be put on trial.

use std::str::FromStr;

use simulations_rules::Rule;
use simulations_world::{Member, Scene, Source, World};

use crate::autoscaler::{self, Notes};

/// One who scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contestant {
    /// This project's controller.
    Autoscaler,
    /// The rules of another autoscaler.
    Rule(Rule),
}

impl Contestant {
    /// Everybody, in the order of a table.
    pub const ALL: [Self; 5] = [
        Self::Autoscaler,
        Self::Rule(Rule::Hpa),
        Self::Rule(Rule::HpaTuned),
        Self::Rule(Rule::Keda),
        Self::Rule(Rule::KedaTuned),
    ];

    /// What it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autoscaler => "autoscaler",
            Self::Rule(Rule::Hpa) => "hpa",
            Self::Rule(Rule::HpaTuned) => "hpa-tuned",
            Self::Rule(Rule::Keda) => "keda",
            Self::Rule(Rule::KedaTuned) => "keda-tuned",
        }
    }

    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Autoscaler => "this autoscaler, two processes",
            Self::Rule(rule) => rule.title(),
        }
    }

    /// Whether it promises to break no [law](crate::laws); the others are counted.
    pub fn keeps_laws(self) -> bool {
        match self {
            Self::Autoscaler => true,
            Self::Rule(_) => false,
        }
    }

    /// Puts what it needs into a scene before the world begins.
    pub fn prepare(self, scene: &mut Scene) {
        let Self::Autoscaler = self else { return };
        let added = autoscaler::manifests(scene);
        if let Some(Member { pods: Source::Api { manifests, .. }, .. }) = scene.setup.clusters.first_mut() {
            manifests.push_str("\n---\n");
            manifests.push_str(&added);
        }
    }

    /// Puts it into a world of that scene.
    pub fn begin(self, scene: &Scene, world: &World, notes: &Notes) {
        match self {
            Self::Autoscaler => autoscaler::begin(scene, world, notes),
            Self::Rule(rule) => rule.begin(scene, world),
        }
    }
}

impl FromStr for Contestant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|c| c.name() == text);
        found.ok_or_else(|| format!("{text}: nobody is called so; there are {}", names()))
    }
}
