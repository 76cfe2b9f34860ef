//! Whole decisions: what must hold for all inputs, what happens over time, and scenarios with their words.

#[path = "decisions/build.rs"]
mod build;
#[path = "decisions/cuts.rs"]
mod cuts;
#[path = "decisions/properties.rs"]
mod properties;
#[path = "decisions/scenarios.rs"]
mod scenarios;
#[path = "decisions/sequences.rs"]
mod sequences;
