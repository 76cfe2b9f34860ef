//! Names and uids from a seed: nothing here draws randomness.
//!
//! What a name is does not hang on who else asked for names meanwhile: the third pod of a ReplicaSet is the same
//! in every run of a seed, whatever events were written between.

use std::collections::HashMap;

use simulations_kernel::hash::{hash, mix};

/// The letters of Kubernetes' generated names: no vowels, nothing that reads as another.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A source of identifiers.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    /// How often something was asked for, by the hash of what it was.
    asked: HashMap<u64, u64>,
    issued: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, asked: HashMap::new(), issued: 0 }
    }

    /// The next number of a purpose, or a later one; nothing is drawn by looking.
    fn number(&self, purpose: u64, later: u64) -> u64 {
        let asked = self.asked.get(&purpose).copied().unwrap_or(0).wrapping_add(1).wrapping_add(later);
        mix(purpose.wrapping_add(asked.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn draw(&mut self, purpose: u64, times: u64) {
        let asked = self.asked.entry(purpose).or_default();
        *asked = asked.wrapping_add(times);
    }

    fn uid_of(&self, collection: &str, namespace: &str, name: &str) -> u64 {
        hash(self.seed, ["uid", collection, namespace, name])
    }

    fn name_of(&self, collection: &str, namespace: &str, generate: &str) -> u64 {
        hash(self.seed, ["name", collection, namespace, generate])
    }

    /// A version 4 UUID in form, for an object of a collection. Events are many and nobody's: they have theirs in
    /// the order in which they come. The same until an object [has it](Self::drawn).
    pub(crate) fn uid(&self, collection: &str, namespace: &str, name: &str) -> String {
        let a = if collection == "events" {
            hash(self.seed.wrapping_add(self.issued.wrapping_add(1)), ["event"])
        } else {
            self.number(self.uid_of(collection, namespace, name), 0)
        };
        let b = mix(a ^ self.seed);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    /// Five letters after a `generateName`, so many later than the next. The same until an object
    /// [has them](Self::drawn).
    pub(crate) fn suffix(&self, collection: &str, namespace: &str, generate: &str, later: u64) -> String {
        letters(self.number(self.name_of(collection, namespace, generate), later), 5)
    }

    /// An object was stored with the uid of its name, and with the name that was `later` than the next of a
    /// `generateName` where it was made from one.
    pub(crate) fn drawn(&mut self, collection: &str, namespace: &str, name: &str, made: Option<(&str, u64)>) {
        if collection == "events" {
            self.issued = self.issued.wrapping_add(1);
        } else {
            self.draw(self.uid_of(collection, namespace, name), 1);
        }
        if let Some((generate, later)) = made {
            self.draw(self.name_of(collection, namespace, generate), later.wrapping_add(1));
        }
    }
}

/// `len` letters that stand for `number`.
pub(crate) fn letters(mut number: u64, len: usize) -> String {
    let mut out = String::with_capacity(len);
    for _ in 0..len {
        let index = usize::try_from(number % LETTERS.len() as u64).unwrap_or(0);
        out.push(char::from(LETTERS.get(index).copied().unwrap_or(b'x')));
        number /= LETTERS.len() as u64;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_the_seeds_whatever_is_asked_for_between() {
        let names = |seed: u64, others: usize| -> Vec<String> {
            let mut ids = Ids::new(seed);
            let mut name = || {
                (0..others).for_each(|i| ids.drawn("events", "default", &format!("e{i}"), None));
                (0..others).for_each(|_| ids.drawn("pods", "default", "other-x", Some(("other-", 0))));
                let suffix = ids.suffix("pods", "default", "web-", 0);
                let name = format!("{suffix} {}", ids.uid("pods", "default", &suffix));
                ids.drawn("pods", "default", &suffix, Some(("web-", 0)));
                name
            };
            (0..4).map(|_| name()).collect()
        };
        assert_eq!(names(1, 0), names(1, 7));
        assert_ne!(names(1, 0), names(2, 0));
        assert_eq!(BTreeSet::from_iter(names(1, 0)).len(), 4);
    }

    #[test]
    fn a_successor_of_the_same_name_is_another() {
        let mut ids = Ids::new(3);
        let uids: BTreeSet<String> = (0..100)
            .flat_map(|_| {
                ["pods", "events"].map(|collection| {
                    let uid = ids.uid(collection, "a", "x");
                    ids.drawn(collection, "a", "x", None);
                    uid
                })
            })
            .collect();
        assert_eq!(uids.len(), 200);
    }
}
