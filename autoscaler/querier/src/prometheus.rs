//! A source, asked: the addresses in turn until one answers, all within one deadline.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_core::FailureKind;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use reqwest::{Client, Proxy, redirect};
use thanos_model::{HttpUrl, Scrubber};
use tokio::time::Instant;

use crate::decode::Said;
use crate::exchange::{Limits, exchange};
use crate::health::Health;
use crate::querier::{Answer, Outcome, Querier, QueryError};
use crate::source::{Endpoint, Source, SourceError, Tls};
use crate::tls;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may wait unused: below the minute after which proxies drop it silently.
const IDLE: Duration = Duration::from_secs(50);
/// How often a connection of HTTP/2 is tried, and how long it may take to answer.
const PING: Duration = Duration::from_secs(5);
/// What stands in a form beside the query.
const FORM_BYTES: usize = 64;
/// Most series that can be asked for.
const SERIES_MAX: usize = crate::decode::ITEMS_MAX;

/// A Prometheus API server, or several that hold the same. Clones share connections and what is known of addresses.
#[derive(Clone)]
pub struct Prometheus(Arc<Inner>);

struct Inner {
    client: Client,
    /// What `client` was made by: while it stays, so do the connections.
    by: (Tls, Option<HttpUrl>, bool),
    endpoints: Vec<Endpoint>,
    scrubber: Scrubber,
    limits: Limits,
    health: Arc<Mutex<Health>>,
    /// What times of `health` count from.
    epoch: Instant,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.endpoints.iter().map(|e| &e.shown)).finish()
    }
}

impl Prometheus {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// Which part of the source is wrong, and the cure.
    pub fn new(source: &Source) -> Result<Self, SourceError> {
        Self::build(source, None)
    }

    /// The same for a source that changed, when a credential was renewed for example. Connections stay where TLS and
    /// proxy did, and so does what is known of the addresses.
    ///
    /// # Errors
    /// Which part of the source is wrong; this one goes on.
    pub fn renewed(&self, source: &Source) -> Result<Self, SourceError> {
        Self::build(source, Some(&self.0))
    }

    /// The addresses that are asked, as they may be printed.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.0.endpoints.iter().map(|e| &*e.shown)
    }

    fn build(source: &Source, before: Option<&Inner>) -> Result<Self, SourceError> {
        let endpoints = source.endpoints()?;
        if source.max_series == 0 || source.max_series > SERIES_MAX {
            let message = format!("{} is not from 1 to {SERIES_MAX}", source.max_series);
            return Err(SourceError::new("maxSeries", message));
        }
        let encrypted = |url: &HttpUrl| url.expose().scheme() == "https";
        let encrypted = source.addresses.iter().chain(&source.proxy).any(encrypted);
        let by = (source.tls.clone(), source.proxy.clone(), encrypted);
        let client = match before.filter(|before| before.by == by) {
            Some(before) => before.client.clone(),
            None => client(&by)?,
        };
        let same =
            |before: &&Inner| before.endpoints.iter().map(|e| &e.url).eq(endpoints.iter().map(|e| &e.url));
        let kept = before.filter(same);
        Ok(Self(Arc::new(Inner {
            client,
            by,
            scrubber: source.scrubber(),
            limits: Limits { max_series: source.max_series },
            health: kept
                .map_or_else(|| Arc::new(Mutex::new(Health::new(endpoints.len()))), |b| b.health.clone()),
            epoch: kept.map_or_else(Instant::now, |b| b.epoch),
            endpoints,
        })))
    }

    async fn ask(self, form: String, deadline: Duration) -> Outcome {
        let until = Instant::now() + deadline;
        let this = &*self.0;
        let order = this.health.lock().order(this.now_ms());
        let mut next: VecDeque<usize> = order.into();
        let mut asked = Vec::new();
        let mut silent: Vec<QueryError> = Vec::new();
        let mut running = FuturesUnordered::new();
        loop {
            // The next one is asked as soon as nobody is, or when half of what is left has passed in silence: then
            // whoever answers first is believed.
            if let Some((i, endpoint)) = next.pop_front().and_then(|i| Some((i, this.endpoints.get(i)?))) {
                let left = until.saturating_duration_since(Instant::now());
                let form = with_timeout(&form, left);
                let said = exchange(&this.client, endpoint, form, &this.scrubber, this.limits);
                asked.push(i);
                running.push(said.map(move |said| (i, said)));
            } else if running.is_empty() {
                return Err(all_silent(&silent));
            }
            let now = Instant::now();
            let patience =
                if next.is_empty() { until } else { now + until.saturating_duration_since(now) / 2 };
            loop {
                tokio::select! {
                    biased;
                    Some((i, said)) = running.next() => match said {
                        Said::Answered(outcome) => {
                            let mut health = this.health.lock();
                            health.answered(i);
                            // Whoever was asked before had more time.
                            asked.iter().take_while(|a| **a != i).for_each(|a| health.silent(*a, this.now_ms()));
                            return this.told_by(i, outcome);
                        }
                        Said::Silent(error) => {
                            this.health.lock().silent(i, this.now_ms());
                            asked.retain(|a| *a != i);
                            silent.push(error);
                            if running.is_empty() { break }
                        }
                    },
                    () = tokio::time::sleep_until(patience) => {
                        if Instant::now() < until { break }
                        let mut health = this.health.lock();
                        asked.iter().for_each(|a| health.silent(*a, this.now_ms()));
                        return Err(this.no_answer(&asked));
                    }
                }
            }
        }
    }
}

impl Inner {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// An outcome and who it is of; where there is one address only, errors need not say it.
    fn told_by(&self, i: usize, outcome: Outcome) -> Outcome {
        let by = self.endpoints.get(i).map(|e| e.shown.clone()).unwrap_or_default();
        match outcome {
            Ok(answer) => Ok(Answer { answered_by: by, ..answer }),
            Err(e) if self.endpoints.len() > 1 => {
                Err(QueryError::new(e.kind, format!("{by}: {}", e.message)))
            }
            Err(e) => Err(e),
        }
    }

    fn no_answer(&self, asked: &[usize]) -> QueryError {
        let names: Vec<&str> = asked.iter().filter_map(|i| Some(&*self.endpoints.get(*i)?.shown)).collect();
        QueryError::new(FailureKind::Timeout, format!("{} gave no answer in time", names.join(" and ")))
    }
}

impl Querier for Prometheus {
    fn instant(&self, query: &str, time_ms: i64, deadline: Duration) -> BoxFuture<'static, Outcome> {
        // Of an expression about a third of the characters are written as three.
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(query.len() * 2 + FORM_BYTES));
        form.append_pair("query", query);
        form.append_pair("time", &format!("{}.{:03}", time_ms.div_euclid(1000), time_ms.rem_euclid(1000)));
        self.clone().ask(form.finish(), deadline).boxed()
    }
}

/// The server is told when nobody waits any more, so that it can stop.
fn with_timeout(form: &str, left: Duration) -> String {
    let mut out = String::with_capacity(form.len() + FORM_BYTES);
    out.push_str(form);
    // Writing into memory cannot fail.
    let _ = write!(out, "&timeout={}ms", left.as_millis().max(1));
    out
}

/// One error of several: the first address' kind, since it is the preferred one, and everybody's words.
fn all_silent(errors: &[QueryError]) -> QueryError {
    let kind = errors.first().map_or(FailureKind::Unreachable, |e| e.kind);
    let words: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
    QueryError::new(kind, words.join("; "))
}

fn client((tls, proxy, encrypted): &(Tls, Option<HttpUrl>, bool)) -> Result<Client, SourceError> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls::config(tls, *encrypted)?)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        // One HTTP/2 connection carries all queries: where it died without a word, that must be noticed.
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .http2_keep_alive_while_idle(true)
        // Credentials would go along.
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("gauntlet-autoscaler/", env!("CARGO_PKG_VERSION")));
    builder = match proxy {
        Some(proxy) => {
            let proxy = Proxy::all(proxy.expose().clone())
                .map_err(|e| SourceError::new("proxyUrl", e.without_url().to_string()))?;
            builder.proxy(proxy)
        }
        // HTTP_PROXY is not for querying unless somebody says so.
        None => builder.no_proxy(),
    };
    builder.build().map_err(|e| SourceError::new("tls", e.without_url().to_string()))
}
