//! The flags, and what they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args as ClapArgs, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use thanos_model::parse_duration;
use thanos_telemetry::{RunError, cli};

use crate::request::{Request, Statuses, check_url, parse_header, parse_url, shown};
use crate::schedule::{Arrivals, Stage};
use crate::series::{parse_csv, stages as series_stages};
use crate::tls::Tls;

/// Every request holds its body, so a larger one is a mistake.
const BODY_MAX_BYTES: u64 = 256 << 20;

const EXAMPLES: &str = "\
Examples:
  # 200 requests a second for 30 s
  gauntlet load --url http://127.0.0.1:8080/ --stage 30s@200

  # a warm-up, a ramp, a plateau; as JSON
  gauntlet load http://web.local/ --stage 10s@20 --stage 30s@20..500 --stage 1m@500 --output json

  # JSON to an API, with a token; a 404 is an answer like any other
  gauntlet load https://api.local/items -H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\" \\
    -d '{\"name\": \"x\"}' --ok 200..299,404 --stage 1m@50

  # HTTP/2 over TLS, with a certificate authority of one's own
  gauntlet load --http2 --cacert ca.pem https://web.local:8443/ --stage 30s@1000

  # yesterday's traffic in a tenth of the time, as users come: in bursts
  gauntlet load http://web.local/ --series yesterday.csv --speed 10 --arrivals bursty:3

How it counts:
  Requests are sent when they are planned, whether those before were answered or not (open loop), and latency counts
  from the planned time to the last byte. What is answered with another status than --ok, not in --timeout, or not at
  all has failed. Redirects are answers, and are not followed. A request on a kept connection that the server closes
  under it is sent once more on a new one, where that is safe (RFC 9110 §9.2.2), and counted as retried.
  A request that could not be sent is \"dropped\": by the service, if it held every slot and answered nothing
  (\"saturated\"), else by the generator itself, and then the run is invalid. So it is if the generator was late (p99 of sent - planned over 5 ms).

Exit codes:
  0    the run took place as planned, whatever became of the requests
  64   a flag or a file is wrong; nothing was sent
  105  the generator was late, could not send, or died: the figures say nothing of the service
  130  broken off (Ctrl-C, SIGTERM); what is under way may end, a second signal ends at once";

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// One line of JSON.
    Json,
}

/// Send planned load to URLs and report latency from the planned times.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to send requests: http://HOST:PORT/PATH or https://…; several are taken in turn. USER:PASSWORD@ before the
    /// host goes into an Authorization field.
    #[arg(value_name = "URL", value_parser = parse_url, required_unless_present = "urls")]
    pub targets: Vec<Uri>,
    /// The same, as a flag; may be repeated.
    #[arg(long = "url", value_name = "URL", value_parser = parse_url)]
    pub urls: Vec<Uri>,
    /// A stretch of load, in order: 30s@200 is 200 requests per second, 10s@20..200 a ramp.
    #[arg(
        long = "stage",
        required_unless_present = "series",
        conflicts_with = "series",
        value_name = "DURATION@RPS"
    )]
    pub stages: Vec<Stage>,
    /// Play a recorded series instead of stages: a CSV file of time,value (RFC 3339, Unix seconds, or seconds from the
    /// start), with straight lines in between; or of one value a row, with --step.
    #[arg(long, value_name = "FILE")]
    pub series: Option<PathBuf>,
    /// Distance of a series' rows, where they have no time.
    #[arg(long, requires = "series", conflicts_with = "stages", value_parser = parse_duration)]
    pub step: Option<Duration>,
    /// Play a series so many times as fast: 10 plays an hour in six minutes, at the same rates.
    #[arg(long, requires = "series", conflicts_with = "stages", default_value_t = 1.0)]
    pub speed: f64,
    /// Multiply a series' values by this.
    #[arg(long, requires = "series", conflicts_with = "stages", default_value_t = 1.0)]
    pub scale: f64,
    /// How arrivals are spread: even, poisson, or bursty:CV, a gamma renewal process whose distances have this
    /// coefficient of variation, from 1 (as poisson) to 20.
    #[arg(long, default_value_t)]
    pub arrivals: Arrivals,
    /// Where the arrivals' randomness starts; the same seed gives the same times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The method; GET unless told, POST with a body.
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = parse_method)]
    pub method: Option<Method>,
    /// A field of each request, 'Name: value'; may be repeated. Host, User-Agent and Authorization replace ours.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = parse_header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body of each request, or @FILE to read it from there. A Content-Type has to be told with -H.
    #[arg(
        short = 'd',
        long,
        visible_alias = "data",
        value_name = "TEXT|@FILE",
        conflicts_with = "body_file"
    )]
    pub body: Option<String>,
    /// A file with the body of each request.
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,
    /// The statuses that are well, as 200..299,404.
    #[arg(long, value_name = "STATUSES", default_value_t)]
    pub ok: Statuses,
    /// HTTP/2 alone: by prior knowledge on http://, by ALPN on https://. Requests share connections, up to a hundred
    /// each or what the server allows.
    #[arg(long)]
    pub http2: bool,
    /// A connection of its own for each request.
    #[arg(long)]
    pub no_keepalive: bool,
    /// Take any certificate of an https:// target.
    #[arg(short = 'k', long, conflicts_with = "cacert")]
    pub insecure: bool,
    /// Trust the certificate authorities of this PEM file, and no others.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Longest wait for an answer, from the planned time.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Longest wait for a connection, TLS and the name's lookup included; as --timeout unless told.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub connect_timeout: Option<Duration>,
    /// Requests under way at once; more are dropped, and the run is invalid unless the service answered nothing. As
    /// many as may come within a --timeout unless told.
    #[arg(long, value_name = "N")]
    pub max_in_flight: Option<usize>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    pub output: Output,
    /// As --output json.
    #[arg(long)]
    pub json: bool,
}

fn parse_method(text: &str) -> Result<Method, String> {
    // Methods are case-sensitive, and nobody means a method named "post".
    let bad = || format!("{text:?} is no method (write GET, POST, …)");
    match Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(|_| bad())? {
        Method::CONNECT => Err("CONNECT makes a tunnel, and asks nothing".into()),
        method => Ok(method),
    }
}

impl Args {
    pub(super) fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }

    /// Every URL that was told.
    pub(super) fn all_urls(&self) -> Result<Vec<Uri>, RunError> {
        let all: Vec<Uri> = self.targets.iter().chain(&self.urls).cloned().collect();
        if all.is_empty() {
            return Err(RunError::Config("--url: name one, http://HOST[:PORT]/PATH".into()));
        }
        for uri in &all {
            check_url(uri).map_err(|e| RunError::Config(format!("--url {}: {e}", shown(uri))))?;
        }
        Ok(all)
    }

    /// The stages, also of a series.
    pub(super) fn planned_stages(&self) -> Result<Vec<Stage>, RunError> {
        let Some(file) = &self.series else { return Ok(self.stages.clone()) };
        let bad = |e| RunError::Config(format!("--series {}: {e}", file.display()));
        let points = parse_csv(&cli::read_config(file)?, self.step).map_err(bad)?;
        series_stages(&points, self.speed, self.scale).map_err(bad)
    }

    /// What is asked of these URLs.
    pub(super) fn request(&self, urls: &[Uri]) -> Result<Request, RunError> {
        for (flag, time) in [("--timeout", Some(self.timeout)), ("--connect-timeout", self.connect_timeout)] {
            if time.is_some_and(|t| t.is_zero()) {
                return Err(RunError::Config(format!(
                    "{flag} 0: nothing is answered in no time; write for example 10s"
                )));
            }
        }
        let body = self.read_body()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        let posts = if body.is_some() { Method::POST } else { Method::GET };
        let secure = urls.iter().any(|u| u.scheme_str() == Some("https"));
        Ok(Request {
            method: self.method.clone().unwrap_or(posts),
            headers,
            body: body.unwrap_or_default(),
            ok: self.ok.clone(),
            connect_timeout: self.connect_timeout,
            keep_alive: !self.no_keepalive,
            http2: self.http2,
            tls: if secure { Some(self.tls()?) } else { None },
        })
    }

    fn read_body(&self) -> Result<Option<Bytes>, RunError> {
        let file = match (&self.body, &self.body_file) {
            (Some(text), _) => match text.strip_prefix('@') {
                Some(file) => ("--body @", Path::new(file)),
                None => return Ok(Some(Bytes::from(text.clone()))),
            },
            (None, Some(file)) => ("--body-file ", file.as_path()),
            (None, None) => return Ok(None),
        };
        let (flag, file) = file;
        let bad = |e: &dyn std::fmt::Display| RunError::Config(format!("{flag}{}: {e}", file.display()));
        let size = std::fs::metadata(file).map_err(|e| bad(&e))?.len();
        if size > BODY_MAX_BYTES {
            return Err(bad(&format!("{size} bytes are more than {BODY_MAX_BYTES}")));
        }
        std::fs::read(file).map(|bytes| Some(Bytes::from(bytes))).map_err(|e| bad(&e))
    }

    fn tls(&self) -> Result<Tls, RunError> {
        let bad = |e| RunError::Config(format!("--cacert {e}"));
        match &self.cacert {
            Some(file) => Tls::of_file(file).map_err(bad),
            None if self.insecure => Tls::insecure().map_err(RunError::Config),
            None => Tls::of_this_machine()
                .map_err(|e| RunError::Config(format!("{e}: give --cacert FILE or --insecure"))),
        }
    }
}
