//! A hash that is the same in every process and every release: shards and phases are agreed on by it.

/// FNV-1a over the bytes, mixed as SplitMix64 does, since FNV's low bits alone are poor for short names.
#[must_use]
pub fn stable(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A running [`stable`] over several parts, each told apart from the next.
#[derive(Debug, Default)]
pub(crate) struct Digest(u64);

impl Digest {
    /// Takes one more part in.
    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.0 = stable(&self.0.to_le_bytes()) ^ stable(bytes).rotate_left(17);
    }

    /// Takes a number in.
    pub(crate) fn number(&mut self, n: i64) {
        self.part(&n.to_le_bytes());
    }

    /// The hash of all parts.
    pub(crate) fn end(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes of different releases agree on shards by these numbers.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(stable(b"uid-1"), stable(b"uid-1"));
    }

    #[test]
    fn names_that_differ_in_one_digit_spread_evenly() {
        let mut counts = [0_u32; 8];
        for n in 0..8_000 {
            counts[(stable(format!("uid-{n}").as_bytes()) % 8) as usize] += 1;
        }
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }

    #[test]
    fn the_order_and_the_seams_of_parts_count() {
        let digest = |parts: &[&str]| {
            let mut digest = Digest::default();
            parts.iter().for_each(|p| digest.part(p.as_bytes()));
            digest.end()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
    }
}
