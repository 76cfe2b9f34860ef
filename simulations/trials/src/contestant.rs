//! Who can be put on trial.

use std::str::FromStr;

use simulations_rules::Rule;
use simulations_world::{Scene, World};

/// One who scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contestant {
    /// The rules of another autoscaler.
    Rule(Rule),
}

impl Contestant {
    /// Everybody, in the order of a table.
    pub const ALL: [Self; 4] = [
        Self::Rule(Rule::Hpa),
        Self::Rule(Rule::HpaTuned),
        Self::Rule(Rule::Keda),
        Self::Rule(Rule::KedaTuned),
    ];

    /// What it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule(Rule::Hpa) => "hpa",
            Self::Rule(Rule::HpaTuned) => "hpa-tuned",
            Self::Rule(Rule::Keda) => "keda",
            Self::Rule(Rule::KedaTuned) => "keda-tuned",
        }
    }

    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.title(),
        }
    }

    /// Whether it promises to break no [law](crate::laws); the others are counted.
    pub fn keeps_laws(self) -> bool {
        match self {
            Self::Rule(_) => false,
        }
    }

    /// Puts it into a world of that scene.
    pub fn begin(self, scene: &Scene, world: &World) {
        match self {
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
