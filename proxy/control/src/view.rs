//! One version of an answer, and the messages that lead to it: encoded once, for all streams that need the same.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;

use crate::endpoints::Endpoints;
use crate::profile::Profile;

/// Ways to a version that are kept. Streams that keep up need two: from nothing, and from the version before.
const WAYS_MAX: usize = 8;

/// What is known of a target.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// For a `Get` stream.
    Endpoints(Endpoints),
    /// For a `GetProfile` stream.
    Profile(Profile),
}

impl View {
    fn messages_since(&self, before: Option<&Self>) -> Arc<[Bytes]> {
        let encoded = |message: &dyn Fn() -> Vec<u8>| Bytes::from(message());
        match (self, before) {
            (Self::Endpoints(now), before) => {
                let before = match before {
                    Some(Self::Endpoints(before)) => Some(before),
                    _ => None,
                };
                now.updates_since(before).iter().map(|update| encoded(&|| update.encode_to_vec())).collect()
            }
            (now, Some(before)) if now == before => [].into(),
            (Self::Profile(now), _) => [encoded(&|| now.message().encode_to_vec())].into(),
        }
    }
}

/// The ways to a version: the number of the version before, if there was one, and the messages from there.
type Ways = Vec<(Option<u64>, Arc<[Bytes]>)>;

/// One version of what is known.
#[derive(Debug)]
pub struct Version {
    number: u64,
    /// What is known.
    pub view: View,
    ways: Mutex<Ways>,
}

impl Version {
    /// The first version.
    pub fn first(view: View) -> Self {
        Self { number: 0, view, ways: Mutex::default() }
    }

    /// The one after this.
    pub fn next(&self, view: View) -> Self {
        Self { number: self.number + 1, view, ways: Mutex::default() }
    }

    /// What a stream says that has told of `before`; nothing if that is the same. A stream that was slow skips the
    /// versions between.
    pub fn messages_since(&self, before: Option<&Self>) -> Arc<[Bytes]> {
        let from = before.map(|b| b.number);
        // Others that need the same wait for it instead of doing it too.
        let mut ways = self.ways.lock();
        if let Some((_, messages)) = ways.iter().find(|(f, _)| *f == from) {
            return messages.clone();
        }
        let messages = self.view.messages_since(before.map(|b| &b.view));
        if ways.len() < WAYS_MAX {
            ways.push((from, messages.clone()));
        }
        messages
    }
}
