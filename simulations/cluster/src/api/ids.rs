//! Names and uids from a seed: nothing here draws randomness.
//!
//! What a name is does not hang on who else asked for names meanwhile: the third pod of a ReplicaSet is the same
//! in every run of a seed, whatever events were written between.

use std::collections::HashMap;

use crate::hash::{hash, mix};

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

    /// The next number of this purpose.
    fn next_of<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> u64 {
        let purpose = hash(self.seed, words);
        let asked = self.asked.entry(purpose).or_default();
        *asked = asked.wrapping_add(1);
        mix(purpose.wrapping_add(asked.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A version 4 UUID in form, for an object of a collection. Events are many and nobody's: they have theirs in
    /// the order in which they come.
    pub(crate) fn uid(&mut self, collection: &str, namespace: &str, name: &str) -> String {
        let a = if collection == "events" {
            self.issued = self.issued.wrapping_add(1);
            hash(self.seed.wrapping_add(self.issued), ["event"])
        } else {
            self.next_of(["uid", collection, namespace, name])
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

    /// Five letters after a `generateName`.
    pub(crate) fn suffix(&mut self, collection: &str, namespace: &str, generate: &str) -> String {
        letters(self.next_of(["name", collection, namespace, generate]), 5)
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
                (0..others).for_each(|i| drop(ids.uid("events", "default", &format!("e{i}"))));
                (0..others).for_each(|_| drop(ids.suffix("pods", "default", "other-")));
                let suffix = ids.suffix("pods", "default", "web-");
                format!("{suffix} {}", ids.uid("pods", "default", &suffix))
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
            .flat_map(|_| ["pods", "events"].map(|collection| ids.uid(collection, "a", "x")))
            .collect();
        assert_eq!(uids.len(), 200);
    }
}
