//! What an inference server says of itself: the metrics that vLLM (0.10 and newer) and llama.cpp's server have. The
//! latter has had none of its cache since May 2025.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::batch::Load;

/// Whose metrics, and whose behaviour while the model is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Names {
    /// vLLM's: nothing listens before the model is loaded.
    #[default]
    Vllm,
    /// llama.cpp's: listens at once, and answers everything with 503 until then.
    LlamaCpp,
}

/// The page in Prometheus' text format.
pub(super) fn text(names: Names, model: &str, load: &Load) -> String {
    let mut page = String::new();
    let labels = match names {
        Names::Vllm => format!("{{engine=\"0\",model_name=\"{model}\"}}"),
        Names::LlamaCpp => String::new(),
    };
    let mut add = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
        // A String takes whatever is written.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}");
    };
    match names {
        Names::Vllm => {
            add("vllm:num_requests_running", "gauge", "Requests in model execution batches", &load.running);
            add("vllm:num_requests_waiting", "gauge", "Requests waiting to be processed", &load.waiting);
            add(
                "vllm:kv_cache_usage_perc",
                "gauge",
                "KV-cache usage; 1 means 100 percent usage",
                &load.kv_usage,
            );
            add("vllm:num_preemptions_total", "counter", "Preemptions", &load.preemptions);
            add("vllm:prompt_tokens_total", "counter", "Prefill tokens processed", &load.prompt_tokens);
            add("vllm:generation_tokens_total", "counter", "Tokens generated", &load.generated_tokens);
        }
        Names::LlamaCpp => {
            add("llamacpp:requests_processing", "gauge", "Number of requests processing", &load.running);
            add("llamacpp:requests_deferred", "gauge", "Number of requests deferred", &load.waiting);
            add("llamacpp:prompt_tokens_total", "counter", "Prompt tokens processed", &load.prompt_tokens);
            add("llamacpp:tokens_predicted_total", "counter", "Tokens generated", &load.generated_tokens);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_servers_own_names() {
        let load = Load { running: 3, waiting: 2, kv_usage: 0.25, ..Load::default() };
        for (names, samples) in [
            (
                Names::Vllm,
                &[
                    "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3",
                    "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2",
                    "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25",
                ][..],
            ),
            (Names::LlamaCpp, &["llamacpp:requests_processing 3", "llamacpp:requests_deferred 2"]),
        ] {
            let page = text(names, "m", &load);
            for sample in samples {
                assert!(page.lines().any(|line| line == *sample), "{sample} in {page}");
            }
        }
        assert!(!text(Names::LlamaCpp, "m", &load).contains("kv_cache"));
    }
}
