//! An inference server: what it has room for, and how long it takes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use simulations_load::app::Names;
use thanos_model::format_duration;

use crate::values;

/// Continuous batching: every step gives each request in it a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Inference {
    /// Whose metrics it has, and what it does while the model is loaded (`startUp`): nothing listens (`vllm`), or
    /// everything is answered with 503 (`llamaCpp`).
    #[schemars(with = "values::NamesText")]
    pub names: Names,
    /// Requests in one step; the others wait.
    #[schemars(range(min = 1, max = 1024))]
    pub slots: u16,
    /// Tokens that the KV cache holds; eight times the mean lengths of prompt and answer, or more.
    pub kv_tokens: u32,
    /// Length of a prompt, on average.
    #[schemars(range(min = 1))]
    pub prompt_tokens: u32,
    /// Length of an answer, on average.
    #[schemars(range(min = 1))]
    pub output_tokens: u32,
    /// How long a step takes, whatever is in it.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub step: Duration,
    /// How much longer it takes for each request in it.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub step_per_request: Duration,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            names: Names::Vllm,
            slots: 16,
            kv_tokens: 16_000,
            prompt_tokens: 200,
            output_tokens: 40,
            step: Duration::from_millis(15),
            step_per_request: Duration::from_millis(1),
        }
    }
}

impl Inference {
    /// Flags of `gauntlet app inference`.
    pub fn flags(&self) -> Vec<String> {
        let names = match self.names {
            Names::Vllm => "vllm",
            Names::LlamaCpp => "llama-cpp",
        };
        vec![
            format!("--names={names}"),
            format!("--slots={}", self.slots),
            format!("--kv-tokens={}", self.kv_tokens),
            format!("--prompt-tokens={}", self.prompt_tokens),
            format!("--output-tokens={}", self.output_tokens),
            format!("--step={}", format_duration(self.step)),
            format!("--step-per-request={}", format_duration(self.step_per_request)),
        ]
    }
}
