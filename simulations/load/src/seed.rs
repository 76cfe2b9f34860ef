//! Seeds for what has to be independent of each other. Pure, and stable: the same arguments give the same seed in every
//! version, so that a run can be repeated.

use sha2::{Digest, Sha256};

/// The seed of a load's arrivals on a cluster. No two of (seed, load, cluster) share a stream: had each been the seed
/// plus a position, the second cluster of one run would get what the first gets in the run with the next seed.
pub fn seed_of(seed: u64, load: &str, cluster: &str) -> u64 {
    derive("load", seed, &[load, cluster])
}

/// The seed of a process's service times: `stream` tells processes with the same seed apart.
pub(crate) fn seed_of_service_times(seed: u64, stream: &str) -> u64 {
    derive("service times", seed, &[stream])
}

/// The seed of the lengths of prompts and answers, of a process as above.
pub(crate) fn seed_of_tokens(seed: u64, stream: &str) -> u64 {
    derive("tokens", seed, &[stream])
}

/// SHA-256 of all parts with their lengths, so that no two lists of parts are the same bytes.
fn derive(purpose: &str, seed: u64, parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in std::iter::once(&purpose).chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn seeds_stay_what_they_are() {
        for (seed, load, cluster, want) in [
            (1, "users", "east", 0x16d5_ff65_37ca_504e),
            (1, "users", "west", 0xb061_56e4_58c8_e407),
            (2, "users", "east", 0x3d9d_3019_cfb1_0069),
            (u64::MAX, "", "", 0xe2c1_0a1d_66cf_50f5),
        ] {
            assert_eq!(seed_of(seed, load, cluster), want, "{seed} {load} {cluster}");
        }
        assert_eq!(seed_of_service_times(1, "web-0"), 0xd5c0_7bdc_a18e_e795);
    }

    #[test]
    fn no_two_share_a_seed() {
        let mut all = BTreeSet::new();
        let mut expected = 0;
        for seed in 0..50 {
            for load in ["load", "users", "batch", "", "loa", "userseast"] {
                for cluster in ["east", "west", "", "d", "deast", "north"] {
                    all.insert(seed_of(seed, load, cluster));
                    expected += 1;
                }
            }
        }
        assert_eq!(all.len(), expected);
    }
}
