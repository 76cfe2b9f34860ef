//! Which addresses are this proxy's own: a request sent there would come back, again and again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where a side of this proxy listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own(SocketAddr);

impl Own {
    pub(crate) fn listening(addr: SocketAddr) -> Self {
        Self(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }

    /// Whether a connection to `addr` would be accepted by ourselves.
    pub(crate) fn is(&self, addr: SocketAddr) -> bool {
        if addr.port() != self.0.port() {
            return false;
        }
        // An IPv4 address may come as an IPv6 one, and no address at all means this host.
        let ip = addr.ip().to_canonical();
        match self.0.ip() {
            listen if listen.is_unspecified() => ip.is_unspecified() || is_of_this_host(ip),
            IpAddr::V4(listen) if ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listen.is_loopback(),
            IpAddr::V6(listen) if ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen.is_loopback(),
            listen => listen == ip,
        }
    }
}

/// Only an address of the host itself can be bound. Asked for an address with our own port only, so rarely, and of the
/// kernel each time, for addresses come and go.
fn is_of_this_host(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses() {
        let table = [
            ("127.0.0.1:4140", "127.0.0.1:4140", true),
            ("127.0.0.1:4140", "0.0.0.0:4140", true),
            ("127.0.0.1:4140", "[::ffff:127.0.0.1]:4140", true),
            ("127.0.0.1:4140", "[::ffff:0.0.0.0]:4140", true),
            ("127.0.0.1:4140", "127.0.0.1:4141", false),
            ("127.0.0.1:4140", "127.0.0.2:4140", false),
            ("127.0.0.1:4140", "[::1]:4140", false),
            ("127.1.2.3:4140", "0.0.0.0:4140", true),
            ("[::1]:4140", "[::]:4140", true),
            ("[::1]:4140", "[::1]:4140", true),
            ("[::ffff:127.0.0.1]:4140", "127.0.0.1:4140", true),
            ("0.0.0.0:4140", "127.0.0.1:4140", true),
            ("0.0.0.0:4140", "127.7.7.7:4140", true),
            ("0.0.0.0:4140", "0.0.0.0:4140", true),
            ("0.0.0.0:4140", "192.0.2.1:4140", false),
            ("[::]:4140", "[::ffff:127.0.0.1]:4140", true),
            ("[::]:4140", "[2001:db8::1]:4140", false),
        ];
        for (listen, addr, expected) in table {
            let own = Own::listening(listen.parse().unwrap());
            assert_eq!(own.is(addr.parse().unwrap()), expected, "{listen} {addr}");
        }
    }
}
