//! What holds where a policy does not say: the HPA controller's flags, by their names there without the prefix.

use std::time::Duration;

use autoscaler_core::{Defaults, Float};
use thanos_telemetry::RunError;

/// Time between evaluations where neither policy nor flags say, in milliseconds.
pub(crate) const SYNC_PERIOD_MS: i64 = 15_000;

/// Flags that kube-controller-manager has as `--horizontal-pod-autoscaler-…`.
#[derive(Clone, Debug, clap::Args)]
pub struct DefaultsArgs {
    /// Relative distance from a target that is left alone, where a policy's behavior names no tolerance
    #[arg(long, default_value_t = 0.1)]
    pub tolerance: f64,
    /// For how long a higher recommendation keeps replicas up, where a policy's behavior names no window
    #[arg(long, default_value = "5m", value_parser = thanos_model::parse_duration)]
    pub downscale_stabilization: Duration,
    /// For how long after its start a pod's CPU counts only while the pod is ready
    #[arg(long, default_value = "5m", value_parser = thanos_model::parse_duration)]
    pub cpu_initialization_period: Duration,
    /// Until when after its start a pod that is unready counts as never ready
    #[arg(long, default_value = "30s", value_parser = thanos_model::parse_duration)]
    pub initial_readiness_delay: Duration,
    /// Time between evaluations of a policy that names no interval
    #[arg(long, default_value = "15s", value_parser = thanos_model::parse_duration)]
    pub sync_period: Duration,
}

/// What holds where a policy does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// For the decision.
    pub defaults: Defaults,
    /// Time between evaluations.
    pub sync_period: Duration,
}

impl DefaultsArgs {
    /// The flags, if they make sense.
    ///
    /// # Errors
    /// [`RunError::Config`] names the flag and what it may be.
    pub(crate) fn given(&self) -> Result<Given, RunError> {
        let wrong =
            |flag: &str, value: String, cure: &str| Err(RunError::Config(format!("{flag} {value}: {cure}")));
        if !(0.0..=1000.0).contains(&self.tolerance) {
            return wrong(
                "--tolerance",
                self.tolerance.to_string(),
                "write a number from 0 to 1000, for example 0.1",
            );
        }
        let shown = thanos_model::format_duration;
        if self.downscale_stabilization > Duration::from_secs(3600) {
            let cure = "write at most 1h, as in a policy's behavior";
            return wrong("--downscale-stabilization", shown(self.downscale_stabilization), cure);
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&self.sync_period) {
            return wrong("--sync-period", shown(self.sync_period), "write 100ms to 1h, for example 15s");
        }
        for (flag, given) in [
            ("--cpu-initialization-period", self.cpu_initialization_period),
            ("--initial-readiness-delay", self.initial_readiness_delay),
        ] {
            if given > Duration::from_secs(86_400) {
                return wrong(flag, shown(given), "write at most 1d");
            }
        }
        let ms = |given: Duration| i64::try_from(given.as_millis()).unwrap_or(i64::MAX);
        let defaults = Defaults {
            tolerance: Float::new(self.tolerance),
            downscale_window_ms: ms(self.downscale_stabilization),
            cpu_initialization_period_ms: ms(self.cpu_initialization_period),
            initial_readiness_delay_ms: ms(self.initial_readiness_delay),
            ..Defaults::default()
        };
        Ok(Given { defaults, sync_period: self.sync_period })
    }
}

impl Default for Given {
    /// The HPA controller's.
    fn default() -> Self {
        Self {
            defaults: Defaults::default(),
            sync_period: Duration::from_millis(SYNC_PERIOD_MS.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        defaults: DefaultsArgs,
    }

    fn given(flags: &[&str]) -> Result<Given, String> {
        let cli = Cli::try_parse_from([&["x"], flags].concat()).map_err(|e| e.to_string())?;
        cli.defaults.given().map_err(|e| e.to_string())
    }

    #[test]
    fn without_flags_they_are_the_hpas() {
        assert_eq!(given(&[]), Ok(Given::default()));
    }

    #[test]
    fn flags_are_taken_and_impossible_ones_are_named() {
        let found =
            given(&["--tolerance=0.05", "--downscale-stabilization=30s", "--sync-period=1s"]).unwrap();
        assert_eq!(found.defaults.tolerance, Float::new(0.05));
        assert_eq!((found.defaults.downscale_window_ms, found.sync_period), (30_000, Duration::from_secs(1)));
        let found = given(&["--cpu-initialization-period=2m", "--initial-readiness-delay=0"]).unwrap();
        assert_eq!(found.defaults.cpu_initialization_period_ms, 120_000);
        assert_eq!(found.defaults.initial_readiness_delay_ms, 0);
        for (flag, words) in [
            ("--tolerance=-1", "--tolerance -1: write a number from 0 to 1000"),
            ("--tolerance=NaN", "--tolerance NaN"),
            ("--downscale-stabilization=2h", "--downscale-stabilization 2h: write at most 1h"),
            ("--cpu-initialization-period=2d", "--cpu-initialization-period 2d: write at most 1d"),
            ("--initial-readiness-delay=25h", "--initial-readiness-delay 1d1h: write at most 1d"),
            ("--sync-period=0", "--sync-period 0s: write 100ms to 1h"),
            ("--sync-period=soon", "soon"),
        ] {
            let error = given(&[flag]).unwrap_err();
            assert!(error.contains(words), "{flag}: {error}");
        }
    }
}
