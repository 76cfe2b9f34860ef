//! Whole decisions: what must hold for all inputs, what happens over time, and scenarios with their words.

#[path = "decisions/build.rs"]
mod build;
#[path = "decisions/cases.rs"]
mod cases;
#[path = "decisions/clusters.rs"]
mod clusters;
#[path = "decisions/formulas.rs"]
mod formulas;
#[path = "decisions/pauses.rs"]
mod pauses;
#[path = "decisions/pods.rs"]
mod pods;
#[path = "decisions/properties.rs"]
mod properties;
#[path = "decisions/scenarios.rs"]
mod scenarios;
#[path = "decisions/schedules.rs"]
mod schedules;
#[path = "decisions/sequences.rs"]
mod sequences;
#[path = "decisions/starts.rs"]
mod starts;
#[path = "decisions/waits.rs"]
mod waits;
#[path = "decisions/world.rs"]
mod world;
#[path = "decisions/worlds.rs"]
mod worlds;
#[path = "decisions/zero.rs"]
mod zero;
