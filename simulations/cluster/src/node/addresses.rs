//! Pod addresses: 127.A.1.1 and up. Every address of 127.0.0.0/8 can be bound without setup.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use simulations_kernel::hash::hash;

/// Leases addresses; a name that is sticky gets the same one again.
#[derive(Debug)]
pub(super) struct Addresses {
    octet: u8,
    /// Where there is one, a pod's address is its name's: pods that start at once come in any order.
    seed: Option<u64>,
    next: u32,
    used: HashSet<Ipv4Addr>,
    sticky: HashMap<String, Ipv4Addr>,
}

/// y in 1..=254, z in 1..=254; 127.A.0.z is for the cluster's own servers.
const SPAN: u32 = 254 * 254;

impl Addresses {
    pub(super) fn new(octet: u8, seed: Option<u64>) -> Self {
        Self { octet, seed, next: 0, used: HashSet::new(), sticky: HashMap::new() }
    }

    /// A free address for a pod by its namespace and name: the next one, going round, so that an address is reused
    /// as late as possible; with a seed, the first that is free from the name's own on.
    /// `None`: all are taken.
    pub(super) fn lease(&mut self, name: &str, sticky: bool) -> Option<Ipv4Addr> {
        if let Some(ip) = self.sticky.get(name).filter(|_| sticky) {
            return Some(*ip);
        }
        if let Some(seed) = self.seed {
            self.next = u32::try_from(hash(seed, ["address", name]) % u64::from(SPAN)).unwrap_or(0);
        }
        for _ in 0..SPAN {
            let n = self.next % SPAN;
            self.next = (n + 1) % SPAN;
            let part = |v: u32| u8::try_from(v + 1).unwrap_or(254);
            let ip = Ipv4Addr::new(127, self.octet, part(n / 254), part(n % 254));
            if self.used.insert(ip) {
                if sticky {
                    self.sticky.insert(name.to_owned(), ip);
                }
                return Some(ip);
            }
        }
        None
    }

    /// Gives an address back; a sticky one stays with its name.
    pub(super) fn release(&mut self, ip: Ipv4Addr) {
        if !self.sticky.values().any(|s| *s == ip) {
            self.used.remove(&ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round_and_stick() {
        let mut a = Addresses::new(9, None);
        let first = a.lease("ns/a", false).unwrap();
        let sticky = a.lease("ns/db-0", true).unwrap();
        assert_eq!((first.to_string(), sticky.to_string()), ("127.9.1.1".into(), "127.9.1.2".into()));
        a.release(first);
        a.release(sticky);
        assert_eq!(a.lease("ns/b", false).unwrap().to_string(), "127.9.1.3", "not the one just given back");
        assert_eq!(a.lease("ns/db-0", true), Some(sticky));
        for seed in [None, Some(7)] {
            let mut all = Addresses::new(9, seed);
            let leased: HashSet<Ipv4Addr> =
                (0..SPAN).filter_map(|n| all.lease(&format!("ns/{n}"), false)).collect();
            assert_eq!(leased.len(), SPAN as usize);
            assert_eq!(all.lease("ns/one-more", false), None);
        }
    }

    #[test]
    fn with_a_seed_the_order_of_pods_does_not_matter() {
        let lease = |seed: u64, names: &[&str]| -> HashMap<String, Ipv4Addr> {
            let mut a = Addresses::new(9, Some(seed));
            names.iter().map(|n| ((*n).to_owned(), a.lease(n, n.ends_with('0')).unwrap())).collect()
        };
        assert_eq!(lease(1, &["ns/a", "ns/b", "ns/db-0"]), lease(1, &["ns/db-0", "ns/b", "ns/a"]));
        assert_ne!(lease(1, &["ns/a"]), lease(2, &["ns/a"]));
    }
}
