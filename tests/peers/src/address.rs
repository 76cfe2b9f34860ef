//! Loopback addresses that nobody else uses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Held open on an address for as long as it is somebody's.
const CLAIM_PORT: u16 = 47_000;

/// An address in 127.1.0.0/16 that is ours until this is dropped, whoever else runs tests on this machine. Embedded
/// clusters begin at 127.2.0.1.
#[derive(Debug)]
pub struct Address {
    ip: Ipv4Addr,
    _claim: TcpListener,
}

impl Address {
    /// Claims one.
    /// # Panics
    /// When none is free.
    #[must_use]
    pub fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        for _ in 0..u16::MAX {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let [hi, lo] = (std::process::id() as u16).wrapping_mul(251).wrapping_add(n).to_be_bytes();
            // .0 and .255 would do on Linux, but look wrong in logs.
            if lo == 0 || lo == 255 {
                continue;
            }
            let ip = Ipv4Addr::new(127, 1, hi, lo);
            if let Ok(claim) = TcpListener::bind((ip, CLAIM_PORT)) {
                return Self { ip, _claim: claim };
            }
        }
        panic!("no address in 127.1.0.0/16 is free");
    }

    /// The address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip.into()
    }

    /// A port on it.
    #[must_use]
    pub fn port(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }

    /// `http://ADDRESS:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.ip)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_address_is_nobody_else_s() {
        let (a, b) = (Address::claim(), Address::claim());
        assert_ne!(a.ip(), b.ip());
        assert!(TcpListener::bind((a.ip(), CLAIM_PORT)).is_err());
        let ip = a.ip();
        drop(a);
        assert!(TcpListener::bind((ip, CLAIM_PORT)).is_ok());
    }
}
