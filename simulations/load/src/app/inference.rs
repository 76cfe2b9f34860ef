//! An inference server: requests share steps, each of which gives every one of them a token.
//!
//! ```text
//!  GET /, POST /v1/completions ─► batch ◄─ steps: admit, wait for as long as they take, advance
//!                                   └─► /metrics
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args as ClapArgs;
use parking_lot::Mutex;
use serde::Deserialize;
use thanos_model::parse_duration;
use thanos_telemetry::{Context, RunError};
use tokio::sync::{Notify, oneshot};

use super::{TEXT, serve, started_up};
use batch::{Batch, Rejected, Room, SequenceId, Step, Work};
use tokens::Lengths;

mod batch;
mod pages;
mod tokens;

pub use pages::Names;
pub use tokens::LONGEST_MEANS;

/// Tokens that an answer has where the request does not say (OpenAI's default).
const MAX_TOKENS: u32 = 16;

/// Bytes of prompt that make a token, roughly.
const BYTES_PER_TOKEN: usize = 4;

/// Flags of an inference server.
#[derive(Clone, Debug, ClapArgs)]
pub struct Inference {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Whose metrics it has, and what it does while the model is loaded.
    #[arg(long, value_enum, default_value_t)]
    pub names: Names,
    /// The model's name.
    #[arg(long, default_value = "model")]
    pub model: String,
    /// How long the model is loaded.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub start_up: Duration,
    /// Requests in one step; the others wait.
    #[arg(long, default_value_t = 16)]
    pub slots: usize,
    /// Tokens that the KV cache holds.
    #[arg(long, default_value_t = 16_000)]
    pub kv_tokens: u64,
    /// Length of a prompt, on average, where the request does not bring one.
    #[arg(long, default_value_t = 200)]
    pub prompt_tokens: u32,
    /// Length of an answer, on average, where the request does not say.
    #[arg(long, default_value_t = 40)]
    pub output_tokens: u32,
    /// How long a step takes, whatever is in it.
    #[arg(long, default_value = "15ms", value_parser = parse_duration)]
    pub step: Duration,
    /// How much longer it takes for each request in it.
    #[arg(long, default_value = "1ms", value_parser = parse_duration)]
    pub step_per_request: Duration,
    /// Prompt tokens that are read in a second; the step of a new request waits for them.
    #[arg(long, default_value_t = 20_000)]
    pub prefill_per_second: u32,
    /// Requests that may wait; more get 503.
    #[arg(long, default_value_t = 10_000)]
    pub queue: usize,
    /// Where the randomness of lengths starts; together with --stream, so that replicas differ.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What tells this replica from the others. The address of --listen unless told.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub stream: Option<String>,
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

/// Serves until shutdown.
pub(super) async fn run(args: Inference, ctx: Context) -> Result<(), RunError> {
    let server = Arc::new(Server::new(&args)?);
    let load = match args.names {
        Names::Vllm if !started_up(args.start_up, &ctx).await => return Ok(()),
        Names::Vllm => Duration::ZERO,
        Names::LlamaCpp => args.start_up,
    };
    let steps = async {
        tokio::time::sleep(load).await;
        server.run().await
    };
    tokio::select! {
        served = serve(args.listen, router(server.clone()), args.linger, ctx) => served,
        () = steps => Ok(()),
    }
}

#[derive(Debug)]
struct Server {
    state: Mutex<Requests>,
    /// There is something to do.
    came: Notify,
    is_loaded: AtomicBool,
    lengths: Lengths,
    names: Names,
    model: String,
    step: Duration,
    step_per_request: Duration,
    prefill_per_second: u32,
}

#[derive(Debug)]
struct Requests {
    batch: Batch,
    /// Who waits for which.
    asked: BTreeMap<SequenceId, oneshot::Sender<()>>,
}

impl Server {
    fn new(args: &Inference) -> Result<Self, RunError> {
        let config = |why: String| Err(RunError::Config(why));
        let sizes = [args.prompt_tokens, args.output_tokens, args.prefill_per_second];
        if args.slots == 0 || sizes.contains(&0) {
            let flags = "--slots, --prompt-tokens, --output-tokens, --prefill-per-second";
            return config(format!("{flags}: at least 1"));
        }
        if args.model.contains(['"', '\\', '\n']) {
            return config(format!("--model {:?}: without quotes and backslashes", args.model));
        }
        let whose = args.stream.clone().unwrap_or_else(|| args.listen.to_string());
        let lengths = Lengths::new(args.prompt_tokens, args.output_tokens, args.seed, &whose);
        let longest = lengths.longest_tokens();
        if longest > args.kv_tokens {
            return config(format!(
                "--kv-tokens {}: a request may have {longest} tokens; raise it, or lower --prompt-tokens and \
                 --output-tokens",
                args.kv_tokens
            ));
        }
        let room = Room { slots: args.slots, kv_tokens: args.kv_tokens, waiting: args.queue };
        Ok(Self {
            state: Mutex::new(Requests { batch: Batch::new(room), asked: BTreeMap::new() }),
            came: Notify::new(),
            is_loaded: AtomicBool::new(false),
            lengths,
            names: args.names,
            model: args.model.clone(),
            step: args.step,
            step_per_request: args.step_per_request,
            prefill_per_second: args.prefill_per_second,
        })
    }

    /// Step after step, for ever.
    async fn run(&self) {
        self.is_loaded.store(true, Ordering::Release);
        loop {
            let came = self.came.notified();
            let step = self.state.lock().batch.admit();
            let Some(step) = step else {
                came.await;
                continue;
            };
            tokio::time::sleep(self.takes(step)).await;
            let mut state = self.state.lock();
            for id in state.batch.advance() {
                if let Some(asked) = state.asked.remove(&id) {
                    // Who left just now needs no answer.
                    let _ = asked.send(());
                }
            }
        }
    }

    fn takes(&self, step: Step) -> Duration {
        let sequences = u32::try_from(step.sequences).unwrap_or(u32::MAX);
        let prefill_s = step.prefilled as f64 / f64::from(self.prefill_per_second);
        let prefill = Duration::try_from_secs_f64(prefill_s).unwrap_or(Duration::MAX);
        self.step.saturating_add(self.step_per_request.saturating_mul(sequences)).saturating_add(prefill)
    }

    /// Waits until it is generated.
    async fn generate(self: &Arc<Self>, work: Work) -> Result<(), Rejected> {
        let (tell, told) = oneshot::channel();
        let asked = {
            let mut state = self.state.lock();
            let id = state.batch.submit(work)?;
            state.asked.insert(id, tell);
            Asked { server: self.clone(), id }
        };
        self.came.notify_one();
        // The sender is dropped only with the request itself.
        let _ = told.await;
        drop(asked);
        Ok(())
    }
}

/// A request whose client may leave.
struct Asked {
    server: Arc<Server>,
    id: SequenceId,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.server.state.lock();
        if state.asked.remove(&self.id).is_some() {
            state.batch.cancel(self.id);
        }
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", get(any))
        .route("/v1/completions", post(completions))
        .route("/metrics", get(metrics))
        .route("/health", get(async || "ok\n"))
        .route("/healthz", get(async || "ok\n"))
        .layer(from_fn_with_state(server.clone(), unless_loading))
        .with_state(server)
}

/// As llama.cpp's server: while the model is loaded everything is 503, health and metrics too.
async fn unless_loading(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    if server.names == Names::LlamaCpp && !server.is_loaded.load(Ordering::Acquire) {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "Loading model");
    }
    next.run(request).await
}

async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let load = server.state.lock().batch.load();
    ([(header::CONTENT_TYPE, TEXT)], pages::text(server.names, &server.model, &load)).into_response()
}

/// A request of a length by chance.
async fn any(State(server): State<Arc<Server>>) -> Response {
    match server.generate(server.lengths.draw()).await {
        Ok(()) => "ok\n".into_response(),
        Err(why) => rejected(why),
    }
}

/// As much of OpenAI's request as matters here.
#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    prompt: String,
    max_tokens: Option<u32>,
    #[serde(default)]
    stream: bool,
}

async fn completions(State(server): State<Arc<Server>>, Json(asked): Json<Completion>) -> Response {
    if asked.stream {
        return refused(StatusCode::BAD_REQUEST, "answers are not streamed here; leave out stream");
    }
    let prompt_tokens = u32::try_from(asked.prompt.len().div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
    let work = Work {
        prompt_tokens: prompt_tokens.max(1),
        output_tokens: asked.max_tokens.unwrap_or(MAX_TOKENS).max(1),
    };
    if let Err(why) = server.generate(work).await {
        return rejected(why);
    }
    let Work { prompt_tokens, output_tokens } = work;
    Json(serde_json::json!({
        "object": "text_completion",
        "model": server.model,
        "choices": [{"index": 0, "text": " ok".repeat(output_tokens as usize), "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": u64::from(prompt_tokens) + u64::from(output_tokens),
        },
    }))
    .into_response()
}

fn rejected(why: Rejected) -> Response {
    match why {
        Rejected::Full => refused(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait"),
        Rejected::TooLong => {
            refused(StatusCode::BAD_REQUEST, "prompt and max_tokens are more than the KV cache holds")
        }
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    let error = serde_json::json!({"error": {"code": status.as_u16(), "message": message}});
    (status, Json(error)).into_response()
}
