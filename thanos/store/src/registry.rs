//! Which stores a complete answer needs: pure bookkeeping of what discovery lists and what answers.
//!
//! A store that stops answering stays *expected*, and every query that it might have data for says so. It is
//! let go only when
//! - its operator took it away: a file no longer lists it, or it left DNS and went politely (it still answered
//!   after DNS dropped it, or closed its connection with HTTP/2's GOAWAY as a server does that shuts down);
//! - a new store took its place: one with the same external labels that first answered after it fell silent;
//! - it has been gone for [`Keep::forget_after_ms`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use thanos_model::TimestampMs;

use crate::endpoint::{HostPort, Info};

/// How long what is gone stays expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// After it left discovery and stopped answering, milliseconds.
    pub(crate) forget_after_ms: i64,
    /// The same for one that left politely, milliseconds.
    pub(crate) departed_after_ms: i64,
}

/// Where endpoints are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// `--endpoint host:port`; never changes.
    Static,
    /// A file: leaving it is an operator's word.
    File(usize),
    /// A DNS name: a store that crashed leaves it too.
    Dns(usize),
}

/// One store. Its key is its name in discovery, which outlives its address.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) addr: HostPort,
    listed_by: BTreeSet<Source>,
    left_ms: Option<TimestampMs>,
    /// It went politely.
    departed: bool,
    pub(crate) last_check_ms: Option<TimestampMs>,
    first_answer_ms: Option<TimestampMs>,
    last_answer_ms: Option<TimestampMs>,
    pub(crate) error: Option<String>,
    pub(crate) info: Option<Info>,
}

impl Entry {
    fn new(key: &str, addr: HostPort) -> Self {
        Self {
            key: key.to_owned(),
            addr,
            listed_by: BTreeSet::new(),
            left_ms: None,
            departed: false,
            last_check_ms: None,
            first_answer_ms: None,
            last_answer_ms: None,
            error: None,
            info: None,
        }
    }

    /// Whether the last Info came back.
    pub(crate) fn answers(&self) -> bool {
        self.error.is_none() && self.first_answer_ms.is_some()
    }

    /// Why it cannot be asked, as a sentence without a moving clock in it.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.answers() {
            return None;
        }
        let mut text = format!("store {self} ");
        match &self.error {
            None => text.push_str("was found but has not answered yet"),
            Some(error) => text.push_str(&format!("does not answer: {error}")),
        }
        if let Some(at) = self.last_answer_ms {
            text.push_str(&format!("; last answer {}", at_time(at)));
        }
        if self.left_ms.is_some() {
            text.push_str("; no longer in discovery");
        }
        Some(text)
    }

    fn kept(&self, now_ms: TimestampMs, keep: Keep) -> bool {
        let Some(left_ms) = self.left_ms else { return true };
        let Some(answered_ms) = self.last_answer_ms else { return false };
        let gone_ms = now_ms.saturating_sub(left_ms.max(if self.answers() { left_ms } else { answered_ms }));
        gone_ms < if self.departed && !self.answers() { keep.departed_after_ms } else { keep.forget_after_ms }
    }
}

/// `receive-0.receive:10901 (127.1.0.3:10901, receive {cluster="west"})`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        let addr = self.addr.to_string();
        match (&self.info, addr == self.key) {
            (None, true) => Ok(()),
            (None, false) => write!(f, " ({addr})"),
            (Some(info), true) => write!(f, " ({info})"),
            (Some(info), false) => write!(f, " ({addr}, {info})"),
        }
    }
}

pub(crate) fn at_time(t_ms: TimestampMs) -> String {
    Timestamp::from_millisecond(t_ms).map_or_else(|_| format!("at {t_ms} ms"), |t| format!("at {t:.0}"))
}

/// All stores that are expected to answer.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: BTreeMap<String, Entry>,
    keep: Keep,
}

impl Registry {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { entries: BTreeMap::new(), keep }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Takes the whole list of one source. Returns the keys that no source lists any more.
    pub(crate) fn listed(
        &mut self,
        source: Source,
        found: &BTreeMap<String, HostPort>,
        now_ms: TimestampMs,
    ) -> Vec<String> {
        for (key, addr) in found {
            let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry::new(key, addr.clone()));
            if entry.addr != *addr {
                // The same store somewhere else: what it was stays known, whether it answers does not.
                entry.addr = addr.clone();
                entry.first_answer_ms = None;
                entry.error = None;
            }
            entry.listed_by.insert(source);
            (entry.left_ms, entry.departed) = (None, false);
        }
        let mut left = Vec::new();
        for (key, entry) in &mut self.entries {
            if !found.contains_key(key) && entry.listed_by.remove(&source) && entry.listed_by.is_empty() {
                entry.left_ms = Some(now_ms);
                left.push(key.clone());
            }
        }
        if matches!(source, Source::File(_)) {
            for key in &left {
                self.entries.remove(key);
            }
        }
        left
    }

    /// A store answered Info.
    pub(crate) fn answered(&mut self, key: &str, info: Info, now_ms: TimestampMs) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.last_check_ms = Some(now_ms);
        entry.last_answer_ms = Some(now_ms);
        entry.first_answer_ms.get_or_insert(now_ms);
        entry.error = None;
        entry.info = Some(info);
        entry.departed = entry.left_ms.is_some();
    }

    /// A store did not answer Info; `goodbye`: its server had closed the connection politely.
    pub(crate) fn failed(&mut self, key: &str, error: String, goodbye: bool, now_ms: TimestampMs) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.last_check_ms = Some(now_ms);
        entry.error = Some(error);
        // When it is back, it is a new arrival to those whose place it may take.
        entry.first_answer_ms = None;
        entry.departed |= goodbye;
    }

    /// Lets go of what is no longer expected.
    pub(crate) fn sweep(&mut self, now_ms: TimestampMs) {
        let replaced: Vec<String> = self
            .entries
            .values()
            .filter(|gone| gone.left_ms.is_some() && !gone.answers() && self.is_replaced(gone))
            .map(|gone| gone.key.clone())
            .collect();
        for key in replaced {
            self.entries.remove(&key);
        }
        let keep = self.keep;
        self.entries.retain(|_, e| e.kept(now_ms, keep));
    }

    fn is_replaced(&self, gone: &Entry) -> bool {
        let (Some(info), Some(silent_ms)) = (&gone.info, gone.last_answer_ms) else { return false };
        let same = |e: &Entry| e.info.as_ref().is_some_and(|i| i.label_sets == info.label_sets);
        !info.label_sets.is_empty()
            && self
                .entries
                .values()
                .any(|e| e.key != gone.key && e.answers() && e.first_answer_ms > Some(silent_ms) && same(e))
    }
}

#[cfg(test)]
mod tests;
