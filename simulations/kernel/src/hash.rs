//! One hash for everything that is drawn: the same seed and the same words give the same number, on every machine.

/// A number from a seed and words. FNV-1a, with splitmix64's last steps so that all bits depend on all words.
pub fn hash<'a>(seed: u64, words: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for word in words {
        // What is in no text, so that ("a", "bc") is not ("ab", "c").
        for byte in word.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(hash)
}

/// splitmix64's finaliser.
pub fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_words_and_their_borders_count() {
        let all =
            [hash(1, ["a", "bc"]), hash(1, ["ab", "c"]), hash(2, ["a", "bc"]), hash(1, ["a"]), hash(1, [])];
        assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
        assert_eq!(hash(1, ["a", "bc"]), all[0]);
    }
}
