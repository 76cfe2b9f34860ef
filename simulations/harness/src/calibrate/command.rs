//! The command: from the file to the line that goes into it.

use std::path::Path;

use anyhow::Context as _;
use thanos_telemetry::{Context, RunError};

use super::{Failure, Setup, calibrate};
use crate::exit::{INTERRUPTED, INVALID_GENERATOR, THRESHOLDS};
use crate::view::{Output, View};

/// Calibrates in `dir`, and writes `calibration.json` into `report`.
pub(crate) async fn run(
    setup: &Setup,
    dir: &Path,
    report: Option<&Path>,
    ctx: &Context,
) -> Result<(), RunError> {
    let view = View::new(Output::Text);
    let program = std::env::current_exe().context("own program")?;
    view.say(&format!(
        "what does one replica of {} sustain with {}? seed {}, {:?} a rate",
        setup.service,
        setup.slo.text(),
        setup.world.scenario.seed,
        setup.probe
    ));
    let verdict = |code, message| RunError::Verdict { code, message };
    let found = calibrate(setup, dir, &program, &ctx.shutdown, &|line| view.say(line)).await;
    let found = found.map_err(|failure| match failure {
        Failure::Generator(why) => verdict(INVALID_GENERATOR, why),
        Failure::Interrupted => verdict(INTERRUPTED, "broken off".into()),
        Failure::World(error) => RunError::Failed(error),
    })?;
    view.say(&format!("\n{}", found.line()));
    if let Some(report) = report {
        let json = serde_json::to_string_pretty(&found).context("calibration.json")? + "\n";
        let file = report.join("calibration.json");
        std::fs::write(&file, json).with_context(|| format!("--report {}", file.display()))?;
    }
    match found.sustains_rps {
        Some(_) => Ok(()),
        None => Err(verdict(THRESHOLDS, format!("{} held at no rate that was tried", found.slo))),
    }
}
