//! One list and its watch, without an end: every call with a deadline, every pause known beforehand.
//!
//! ```text
//!  list, page by page ─► Listing, Applied…, Listed
//!        │ resourceVersion
//!        ▼
//!  watch ─► Applied, Gone ── it ended ──► watch from where it was
//!        └─ 410: that is too long ago ──► list again
//! ```
//!
//! A server that falls silent is given up after a while and asked again; nothing here draws lots, so that a run in
//! virtual time is the same each time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout};

/// How long one watch lasts; a new one begins where it ended.
const WATCH_S: u32 = 30;
/// How long an API server may say nothing; above [`WATCH_S`], or quiet objects would be a fault.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Pauses while the API server is away, doubled up to the second: in a longer one something may change unseen.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// The same while it forbids, which a person has to change.
const PAUSE_FORBIDDEN: Duration = Duration::from_secs(60);
/// Objects of one page of a list.
const PAGE: u32 = 500;

/// What a watch says.
pub(crate) enum Word<K> {
    /// A list begins: what is applied until it is whole is all that there is.
    Listing,
    Applied(K),
    Gone(K),
    /// Everything that there is was applied.
    Listed,
    /// It fails, and goes on trying.
    Failed(String),
}

/// Which objects of a collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    pub labels: Option<String>,
    pub fields: Option<String>,
}

impl Chosen {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Self {
        Self { fields: Some(format!("metadata.name={name}")), ..Self::default() }
    }
}

/// What is asked for.
struct Asked<K> {
    api: Api<K>,
    chosen: Chosen,
    /// Deadline of one call.
    deadline: Duration,
}

/// Why a call gave nothing.
struct Failure {
    message: String,
    /// Nobody may do this here: it takes a person, not time.
    forbidden: bool,
}

impl Failure {
    fn of(e: &kube::Error) -> Self {
        let forbidden = matches!(e, kube::Error::Api(status) if status.code == 403);
        Self { message: told(e), forbidden }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, forbidden: false }
    }
}

/// Why a watch cannot go on.
enum Broken {
    /// Its place is too long ago.
    Gone,
    /// The server may be able to later.
    Again(Failure),
    /// The server will not, from this place.
    Anew(Failure),
}

/// A list and its watch.
pub(crate) struct Follow<K> {
    asked: Asked<K>,
    /// For logs.
    told: (String, String),
    at: At<K>,
    failing: bool,
    /// Whether it fails since it is forbidden.
    forbidden: bool,
    /// Shared with others that would be forbidden for the same reason.
    turns: Option<Arc<Turns>>,
    /// The pause after the next failure, and until when the last one lasts.
    pause: Duration,
    until: Option<Instant>,
}

enum At<K> {
    Start,
    /// The next page, or the first.
    List(Option<String>),
    /// A page; then the next one, or the watch from a version.
    Page(VecDeque<K>, Result<String, String>),
    Watch(String),
    /// From a version, since then.
    Watching(String, Events<K>, Instant),
}

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

impl<K> Follow<K>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    /// Nothing is asked for yet. `cluster` and `what` are for logs.
    pub(crate) fn new(api: Api<K>, chosen: Chosen, deadline: Duration, cluster: &str, what: &str) -> Self {
        Self {
            asked: Asked { api, chosen, deadline },
            told: (cluster.to_owned(), what.to_owned()),
            at: At::Start,
            failing: false,
            forbidden: false,
            turns: None,
            pause: PAUSE_FIRST,
            until: None,
        }
    }

    /// Shares its turns, while it is forbidden, with others.
    pub(crate) fn in_turns(self, turns: Arc<Turns>) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// Lists everything once more.
    pub(crate) fn again(&mut self) {
        self.at = At::Start;
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> Word<K> {
        loop {
            if let Some(until) = self.until.take() {
                match self.turns.as_ref().filter(|_| self.forbidden) {
                    Some(turns) => turns.wait(until).await,
                    None => sleep_until(until).await,
                }
            }
            match std::mem::replace(&mut self.at, At::Start) {
                At::Start => {
                    self.at = At::List(None);
                    return Word::Listing;
                }
                At::List(page) => match self.asked.list(page).await {
                    Ok(at) => self.at = at,
                    Err(why) => return self.failed(why),
                },
                At::Page(mut objects, next) => match (objects.pop_front(), next) {
                    (Some(object), next) => {
                        self.at = At::Page(objects, next);
                        return Word::Applied(object);
                    }
                    (None, Err(page)) => self.at = At::List(Some(page)),
                    (None, Ok(version)) => {
                        self.at = At::Watch(version);
                        self.well();
                        return Word::Listed;
                    }
                },
                At::Watch(version) => match self.asked.watch(&version).await {
                    Ok(stream) => self.at = At::Watching(version, stream, Instant::now()),
                    Err(why) => return self.broken(version, why),
                },
                At::Watching(version, stream, began) => {
                    if let Some(word) = self.hear(version, stream, began).await {
                        return word;
                    }
                }
            }
        }
    }

    /// One event of a watch; `None`: nothing to tell.
    async fn hear(&mut self, version: String, mut stream: Events<K>, began: Instant) -> Option<Word<K>> {
        let event = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(e))) => return Some(self.broken(version, broken(&e))),
            // Its time was over. One that ends at once shall not be begun at once.
            Ok(None) => {
                if began.elapsed() < PAUSE_FIRST {
                    self.until = Some(Instant::now() + PAUSE_FIRST);
                }
                self.at = At::Watch(version);
                return None;
            }
            Err(_) => {
                let message = format!("the API server fell silent for {SILENCE:?}");
                return Some(self.broken(version, Broken::Again(message.into())));
            }
        };
        if let WatchEvent::Error(status) = &event {
            let why = Failure { message: status.message.clone(), forbidden: status.code == 403 };
            return Some(self.broken(version, refused(status.code, why)));
        }
        self.well();
        let go_on = |version: Option<String>, before: String| {
            self.at = At::Watching(version.filter(|v| !v.is_empty()).unwrap_or(before), stream, began);
        };
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                go_on(object.resource_version(), version);
                Some(Word::Applied(object))
            }
            WatchEvent::Deleted(object) => {
                go_on(object.resource_version(), version);
                Some(Word::Gone(object))
            }
            WatchEvent::Bookmark(bookmark) => {
                go_on(Some(bookmark.metadata.resource_version), version);
                None
            }
            WatchEvent::Error(_) => None,
        }
    }

    /// A watch that cannot go on.
    fn broken(&mut self, version: String, why: Broken) -> Word<K> {
        match why {
            Broken::Again(why) => {
                let word = self.failed(why);
                self.at = At::Watch(version);
                word
            }
            Broken::Anew(why) => self.failed(why),
            Broken::Gone => {
                self.at = At::List(None);
                // A server that says so time after time shall not be asked for everything without a pause.
                self.rest(false);
                Word::Listing
            }
        }
    }

    fn failed(&mut self, why: Failure) -> Word<K> {
        let Failure { message, forbidden } = why;
        let (cluster, what) = &self.told;
        if !self.failing {
            tracing::warn!(cluster, what, error = message, "cannot be watched; going on with what is known");
        }
        self.failing = true;
        self.at = At::Start;
        self.rest(forbidden);
        Word::Failed(message)
    }

    fn rest(&mut self, forbidden: bool) {
        let until = Instant::now() + self.pause;
        let turns = self.turns.as_ref().filter(|_| forbidden);
        self.until = Some(turns.map_or(until, |turns| turns.book(until)));
        let longest = if forbidden { PAUSE_FORBIDDEN } else { PAUSE_LONGEST };
        self.pause = (self.pause * 2).min(longest);
        self.forbidden = forbidden;
    }

    fn well(&mut self) {
        if self.failing {
            let (cluster, what) = &self.told;
            tracing::info!(cluster, what, "watched again");
        }
        if std::mem::take(&mut self.forbidden)
            && let Some(turns) = &self.turns
        {
            turns.granted();
        }
        (self.failing, self.pause) = (false, PAUSE_FIRST);
    }
}

impl<K> Asked<K>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    async fn list(&self, page: Option<String>) -> Result<At<K>, Failure> {
        let params = ListParams {
            label_selector: self.chosen.labels.clone(),
            field_selector: self.chosen.fields.clone(),
            limit: Some(PAGE),
            continue_token: page,
            ..ListParams::default()
        };
        let list = match timeout(self.deadline, self.api.list(&params)).await {
            Ok(list) => list.map_err(|e| Failure::of(&e))?,
            Err(_) => return Err(self.no_answer().into()),
        };
        let version = list.metadata.resource_version.unwrap_or_default();
        let next = match list.metadata.continue_.filter(|page| !page.is_empty()) {
            Some(page) => Err(page),
            None => Ok(version),
        };
        Ok(At::Page(list.items.into(), next))
    }

    async fn watch(&self, version: &str) -> Result<Events<K>, Broken> {
        let params = WatchParams {
            label_selector: self.chosen.labels.clone(),
            field_selector: self.chosen.fields.clone(),
            timeout: Some(WATCH_S),
            ..WatchParams::default()
        };
        match timeout(self.deadline, self.api.watch(&params, version)).await {
            Ok(stream) => stream.map(StreamExt::boxed).map_err(|e| broken(&e)),
            Err(_) => Err(Broken::Again(self.no_answer().into())),
        }
    }

    fn no_answer(&self) -> String {
        format!("the API server did not answer within {:?}", self.deadline)
    }
}

/// What an error of a watch means.
fn broken(e: &kube::Error) -> Broken {
    match e {
        kube::Error::Api(status) => refused(status.code, Failure::of(e)),
        _ => Broken::Again(Failure::of(e)),
    }
}

/// A place that the server does not know, because it was set back for example, is no place to go on from.
fn refused(code: u16, why: Failure) -> Broken {
    match code {
        410 => Broken::Gone,
        429 | 500 | 502 | 503 => Broken::Again(why),
        _ => Broken::Anew(why),
    }
}

/// The server's own sentence where there is one; the crate's rendering repeats the whole status.
pub(crate) fn told(e: &kube::Error) -> String {
    match e {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

mod turns;

pub(crate) use turns::Turns;

#[cfg(test)]
mod tests;
