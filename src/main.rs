//! One binary, all parts. Without arguments it runs the demo.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thanos_telemetry::{Context, RunError, Shutdown, cli, logs, open_files, parent};

/// How much less of the processor the harness' own threads get than the load generator's; pods get less still.
const HARNESS_NICE: i32 = 3;

#[derive(Debug, Parser)]
#[command(name = "gauntlet", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Watch two meshed clusters take real load and scale (the default)
    Demo(simulations_harness::command::DemoArgs),
    /// Run a scenario file and judge it
    Run(simulations_harness::command::Args),
    /// The controller that evaluates ScalingPolicies, and what the API server asks about them
    #[command(subcommand)]
    Autoscaler(Autoscaler),
    /// The service mesh
    #[command(subcommand)]
    Proxy(Proxy),
    /// The metrics plane
    #[command(subcommand)]
    Thanos(Thanos),
    /// Send planned load to a URL and report latency
    Load(simulations_load::command::Args),
    /// Write an HTML page about a run, or about several side by side
    Report(simulations_report::command::Args),
    /// Small services to aim load at
    #[command(subcommand)]
    App(simulations_load::app::App),
    /// Look whether the demo would start on this machine, and what to do if not
    Doctor(simulations_cluster::DoctorArgs),
    /// An embedded Kubernetes cluster whose pods are local processes
    Cluster(simulations_cluster::Args),
    /// What a cluster's node starts beside programs of pods
    #[command(subcommand, hide = true)]
    Node(simulations_cluster::Helper),
}

#[derive(Debug, Subcommand)]
enum Autoscaler {
    #[command(flatten)]
    Controller(autoscaler_controller::Command),
    #[command(flatten)]
    Serve(autoscaler_serve::Command),
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value a process")]
enum Proxy {
    /// The data plane: a sidecar in front of an app port
    Sidecar(proxy_dataplane::Args),
    /// The control plane: streams a service's endpoints to the sidecars
    Control(proxy_control::Args),
}

#[derive(Debug, Subcommand)]
enum Thanos {
    /// Scrape targets and remote-write what they say
    Scrape(thanos_scrape::Args),
    /// Take remote writes, replicate them over the ring, serve them by StoreAPI
    Receive(thanos_receive::Args),
    /// The global view: PromQL over every store
    Query(thanos_http::Args),
}

impl Part {
    /// A laptop runs a hundred of these; only what computes on many series gets a thread per core.
    fn wants_many_threads(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Run(_) | Self::Cluster(_) | Self::Load(_) | Self::Thanos(_))
    }

    /// Runs API servers beside a load generator.
    fn runs_clusters(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Run(_))
    }

    async fn run(self, ctx: Context) -> Result<(), RunError> {
        match self {
            Self::Demo(args) => simulations_harness::command::demo(args, ctx).await,
            Self::Run(args) => simulations_harness::command::run(args, ctx).await,
            Self::Autoscaler(Autoscaler::Controller(command)) => {
                autoscaler_controller::run(command, ctx).await
            }
            Self::Autoscaler(Autoscaler::Serve(command)) => autoscaler_serve::run(command, ctx).await,
            Self::Proxy(Proxy::Sidecar(args)) => proxy_dataplane::run(args, ctx).await,
            Self::Proxy(Proxy::Control(args)) => proxy_control::run(args, ctx).await,
            Self::Thanos(Thanos::Scrape(args)) => thanos_scrape::run(args, ctx).await,
            Self::Thanos(Thanos::Receive(args)) => thanos_receive::run(args, ctx).await,
            Self::Thanos(Thanos::Query(args)) => thanos_http::run(args, ctx).await,
            Self::Load(args) => simulations_load::command::run(args, ctx).await,
            Self::Report(args) => simulations_report::command::run(args, ctx).await,
            Self::App(app) => simulations_load::app::run(app, ctx).await,
            Self::Doctor(args) => {
                let needs = simulations_harness::needs::of_demo().map_err(RunError::config)?;
                simulations_cluster::doctor(args, needs, ctx).await
            }
            Self::Cluster(args) => simulations_cluster::run(args, ctx).await,
            // Ended before there was anything to be asynchronous with.
            Self::Node(_) => Ok(()),
        }
    }
}

fn main() -> ExitCode {
    let part = match Cli::try_parse() {
        Ok(cli) => cli.part.unwrap_or_else(|| Part::Demo(Default::default())),
        Err(e) => {
            let usage = e.use_stderr();
            // Fails only where the terminal is gone.
            let _ = e.print();
            return if usage { ExitCode::from(cli::EXIT_CONFIG) } else { ExitCode::SUCCESS };
        }
    };
    // Becomes another program, or watches over some: everything below would be in the way.
    let part = match part {
        Part::Node(helper) => return helper.run(),
        part => part,
    };
    if let Err(e) = live_as_a_pod() {
        return failed(&e);
    }
    open_files::raise();
    logs::init();
    // The one TLS provider; a second call is the only way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = if part.wants_many_threads() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    if part.runs_clusters() {
        // The load generator's own threads stay as they are: what it measures must not wait for API servers.
        builder.on_thread_start(|| {
            // Lowering oneself is always allowed.
            let _ = rustix::process::nice(HARNESS_NICE);
        });
    }
    let result = builder.enable_all().build().map_err(|e| RunError::Failed(e.into())).and_then(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::on_signals().map_err(|e| RunError::Failed(e.into()))?;
            part.run(Context { shutdown }).await
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

fn failed(e: &RunError) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "the one line that says why it ended")]
    {
        eprintln!("gauntlet: {e}");
    }
    ExitCode::from(e.exit_code())
}

/// A process of an embedded cluster's pod ends with the node that runs it, even if the node is killed, and
/// leaves the processor to the harness that measures it.
fn live_as_a_pod() -> Result<(), RunError> {
    if let Some(node) = std::env::var("GAUNTLET_DIE_WITH_PARENT").ok().and_then(|pid| pid.parse().ok()) {
        parent::die_with(node).map_err(|e| RunError::Failed(e.into()))?;
        // Lowering oneself is always allowed.
        let _ = rustix::process::nice(simulations_cluster::machine::POD_NICE);
    }
    Ok(())
}
