//! Which policies are this process's: shards by UID, a fence each.

use std::collections::BTreeMap;

use crate::hash::stable;
use crate::objects::ClusterId;

/// A shard of a cluster.
pub type Shard = (ClusterId, u16);

/// The shard of whoever has this UID, of so many; the same in every process.
#[must_use]
pub fn shard_of(uid: &str, shards: u16) -> u16 {
    let rest = stable(uid.as_bytes()) % u64::from(shards.max(1));
    u16::try_from(rest).unwrap_or(0)
}

/// The shards that are held, and until when.
#[derive(Debug, Default)]
pub struct Shards {
    held: BTreeMap<Shard, u64>,
}

/// What a word of the elector changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Held as before, or not.
    None,
    /// Held from now on.
    Gained,
    /// Not held any more.
    Lost,
}

impl Shards {
    /// Takes the elector's word.
    pub fn set(&mut self, shard: Shard, valid_until_ms: Option<u64>, now_ms: u64) -> Change {
        let before = self.holds(shard, now_ms);
        match valid_until_ms {
            Some(until) => drop(self.held.insert(shard, until)),
            None => drop(self.held.remove(&shard)),
        }
        match (before, self.holds(shard, now_ms)) {
            (false, true) => Change::Gained,
            (true, false) => Change::Lost,
            _ => Change::None,
        }
    }

    /// Takes out what ran out.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Shard> {
        let over: Vec<Shard> =
            self.held.iter().filter(|(_, until)| **until <= now_ms).map(|(shard, _)| *shard).collect();
        for shard in &over {
            self.held.remove(shard);
        }
        over
    }

    /// Until when this shard is held; `None`: it is not.
    #[must_use]
    pub fn until(&self, shard: Shard, now_ms: u64) -> Option<u64> {
        self.held.get(&shard).copied().filter(|until| *until > now_ms)
    }

    /// Whether this shard is held.
    #[must_use]
    pub fn holds(&self, shard: Shard, now_ms: u64) -> bool {
        self.until(shard, now_ms).is_some()
    }

    /// When the next one runs out.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.held.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_opens_is_kept_open_and_closes_by_word_or_by_time() {
        let mut shards = Shards::default();
        let web = (0, 3);
        assert_eq!(shards.set(web, Some(100), 0), Change::Gained);
        assert_eq!(shards.set(web, Some(200), 50), Change::None);
        assert_eq!((shards.until(web, 199), shards.until(web, 200)), (Some(200), None));
        assert_eq!(shards.expire(199), []);
        assert_eq!(shards.expire(200), [web]);
        assert_eq!(shards.set(web, Some(250), 250), Change::None, "valid until now is not valid");
        assert_eq!(shards.set(web, Some(300), 250), Change::Gained);
        assert_eq!(shards.set(web, None, 260), Change::Lost);
    }

    #[test]
    fn shards_are_about_as_large_and_every_policy_has_one() {
        let mut counts = [0_u32; 5];
        for n in 0..5_000 {
            counts[usize::from(shard_of(&format!("{n}-4b1d"), 5))] += 1;
        }
        assert!(counts.iter().all(|c| (850..1_150).contains(c)), "{counts:?}");
        assert_eq!(shard_of("x", 0), 0);
    }
}
