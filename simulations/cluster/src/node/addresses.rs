//! Pod addresses: 127.A.1.1 and up. Every address of 127.0.0.0/8 can be bound without setup.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

/// Leases addresses; a name that is sticky gets the same one again.
#[derive(Debug)]
pub(super) struct Addresses {
    octet: u8,
    next: u32,
    used: HashSet<Ipv4Addr>,
    sticky: HashMap<String, Ipv4Addr>,
}

/// y in 1..=254, z in 1..=254; 127.A.0.z is for the cluster's own servers.
const SPAN: u32 = 254 * 254;

impl Addresses {
    pub(super) fn new(octet: u8) -> Self {
        Self { octet, next: 0, used: HashSet::new(), sticky: HashMap::new() }
    }

    /// The next free address, going round, so that an address is reused as late as possible.
    /// `None`: all are taken.
    pub(super) fn lease(&mut self, sticky_name: Option<&str>) -> Option<Ipv4Addr> {
        if let Some(ip) = sticky_name.and_then(|name| self.sticky.get(name)) {
            return Some(*ip);
        }
        for _ in 0..SPAN {
            let n = self.next % SPAN;
            self.next = (n + 1) % SPAN;
            let part = |v: u32| u8::try_from(v + 1).unwrap_or(254);
            let ip = Ipv4Addr::new(127, self.octet, part(n / 254), part(n % 254));
            if self.used.insert(ip) {
                if let Some(name) = sticky_name {
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
        let mut a = Addresses::new(9);
        let first = a.lease(None).unwrap();
        let sticky = a.lease(Some("ns/db-0")).unwrap();
        assert_eq!((first.to_string(), sticky.to_string()), ("127.9.1.1".into(), "127.9.1.2".into()));
        a.release(first);
        a.release(sticky);
        assert_eq!(a.lease(None).unwrap().to_string(), "127.9.1.3", "not the one just given back");
        assert_eq!(a.lease(Some("ns/db-0")), Some(sticky));
        let mut all = Addresses::new(9);
        assert_eq!((0..SPAN).filter_map(|_| all.lease(None)).collect::<HashSet<_>>().len(), SPAN as usize);
        assert_eq!(all.lease(None), None);
    }
}
