//! Who holds a port, so that "address already in use" can name a program and a cure.
//!
//! The kernel refuses a port on one address to whoever is second, also where the first has it on *all* addresses,
//! over IPv4 or over both protocols. Which socket that is stands in `/proc/net`, and whose it is in the open files
//! of processes. Where neither may be read, less is said.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// What a port is a port of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// A socket of this machine, of whatever process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its own address; an IPv4 address that was written as an IPv6 one is an IPv4 one.
    pub addr: SocketAddr,
    /// Waits for others: a TCP socket that listens, a UDP socket without a peer.
    pub waits: bool,
    /// User that opened it.
    pub uid: u32,
    inode: u64,
}

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program, as the kernel calls it.
    pub name: String,
}

/// A socket in the way, and whose it is, where that may be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The socket.
    pub socket: Socket,
    /// `None`: not to be seen by this user.
    pub process: Option<Process>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.process {
            Some(p) => write!(f, "{} (pid {}) at {}", p.name, p.pid, self.socket.addr),
            None => write!(f, "a process of user {} at {}", self.socket.uid, self.socket.addr),
        }
    }
}

/// Every socket of this network namespace; empty where it cannot be seen.
pub fn sockets(protocol: Protocol) -> Vec<Socket> {
    let names = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    let read = |name| std::fs::read_to_string(Path::new("/proc/self/net").join(name)).unwrap_or_default();
    names.into_iter().flat_map(|name| parse(&read(name), protocol)).collect()
}

/// Who stands in the way of binding `addr`.
pub fn holders(protocol: Protocol, addr: SocketAddr) -> Vec<Holder> {
    let found = in_the_way(&sockets(protocol), addr);
    let owners = owners(&found.iter().map(|s| s.inode).collect());
    found.into_iter().map(|socket| Holder { process: owners.get(&socket.inode).cloned(), socket }).collect()
}

/// One line that says why `addr` could not be bound: who holds it, and what helps.
pub fn explain(protocol: Protocol, addr: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            let holders = holders(protocol, addr);
            let cure = cure(addr, &holders);
            format!("{protocol} port {} is held by {}; {cure}", addr.port(), names(&holders))
        }
        ErrorKind::AddrNotAvailable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::TimedOut
            if addr.ip().is_loopback() =>
        {
            format!(
                "{} cannot be used ({error}); on Linux all of 127.0.0.0/8 can, once the loopback interface is up \
                 (`ip link set lo up`) and no firewall is in the way",
                addr.ip()
            )
        }
        ErrorKind::AddrNotAvailable => format!("{} is no address of this machine ({error})", addr.ip()),
        ErrorKind::PermissionDenied => format!(
            "port {} may not be opened by this user ({error}); take one that is not below \
             net.ipv4.ip_unprivileged_port_start",
            addr.port()
        ),
        _ => error.to_string(),
    }
}

/// The error with [`explain`]'s line after what was to be done there: `DNS at 127.64.0.10:5353: …`.
pub fn explained(what: &str, protocol: Protocol, addr: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} at {addr}: {}", explain(protocol, addr, error)))
}

/// Holders in one phrase.
pub fn names(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "a socket that is not to be seen from here".into();
    }
    holders.iter().map(Holder::to_string).collect::<Vec<_>>().join(" and ")
}

/// What helps against the holders of a port.
pub fn cure(addr: SocketAddr, holders: &[Holder]) -> String {
    let everywhere = holders.iter().any(|h| h.socket.addr.ip().is_unspecified());
    let known: BTreeSet<String> =
        holders.iter().filter_map(|h| h.process.as_ref()).map(|p| p.pid.to_string()).collect();
    let stop = if known.is_empty() {
        format!("find it with `sudo ss -lnptu 'sport = :{}'` and stop it", addr.port())
    } else {
        format!("stop it (`kill {}`)", known.into_iter().collect::<Vec<_>>().join(" "))
    };
    if everywhere { format!("{stop}, or have it listen on one address instead of on all") } else { stop }
}

/// Which of these sockets keep others from `addr`: those that wait there, at this address or at all of them.
fn in_the_way(sockets: &[Socket], addr: SocketAddr) -> Vec<Socket> {
    let at = |ip: IpAddr| {
        sockets.iter().filter(move |s| s.addr.port() == addr.port() && s.addr.ip() == ip).cloned()
    };
    let own = at(addr.ip()).chain(at(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let waiting = |list: Vec<Socket>| list.into_iter().filter(|s| s.waits).collect::<Vec<_>>();
    let own: Vec<Socket> = own.collect();
    let both: Vec<Socket> = at(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).collect();
    let any: Vec<Socket> = sockets
        .iter()
        .filter(|s| addr.ip().is_unspecified() && s.addr.port() == addr.port())
        .cloned()
        .collect();
    // One that is for IPv6 alone looks as one for both: it is named only if there is no other.
    [waiting(own.clone()), waiting(both), waiting(any), own]
        .into_iter()
        .find(|l| !l.is_empty())
        .unwrap_or_default()
}

/// Which processes have these sockets open, of those that may be looked at.
fn owners(inodes: &BTreeSet<u64>) -> BTreeMap<u64, Process> {
    let mut found = BTreeMap::new();
    if inodes.is_empty() {
        return found;
    }
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        for file in std::fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let Some(inode) = target.to_str().and_then(inode) else { continue };
            if inodes.contains(&inode) && !found.contains_key(&inode) {
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.insert(inode, Process { pid, name: name.trim().to_owned() });
            }
        }
        if found.len() == inodes.len() {
            break;
        }
    }
    found
}

/// `socket:[123]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A table of `/proc/net`. Source: Linux `Documentation/networking/proc_net_tcp.rst` (format).
fn parse(table: &str, protocol: Protocol) -> Vec<Socket> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let state = *fields.get(3)?;
        let waits = match protocol {
            Protocol::Tcp => state == "0A",
            Protocol::Udp => state == "07",
        };
        // What is closed but for the time it waits keeps nobody away.
        let over = protocol == Protocol::Tcp && state == "06";
        (!over).then_some(())?;
        Some(Socket {
            addr: address(fields.get(1)?)?,
            waits,
            uid: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// `0100007F:1F90`, or with four such words for IPv6; words are as the machine holds them.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| -> Option<[u8; 4]> {
        Some(u32::from_str_radix(ip.get(at * 8..(at + 1) * 8)?, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(word(0)?.into()),
        32 => {
            let mut bytes = [0; 16];
            for (i, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(i)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(addr: &str, waits: bool) -> Socket {
        Socket { addr: addr.parse().unwrap(), waits, uid: 0, inode: 1 }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 42 1\n\
                   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 43 1\n\
                   2: 0100007F:C350 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 1\n\
                   broken\n";
        let found: Vec<_> =
            parse(tcp, Protocol::Tcp).into_iter().map(|s| (s.addr.to_string(), s.waits, s.uid)).collect();
        assert_eq!(
            found,
            [("127.0.0.1:8080".to_owned(), true, 1000), ("127.0.0.1:8080".to_owned(), false, 0)]
        );
        for (text, expected) in [
            ("00000000:14E9", Some("0.0.0.0:5353")),
            ("00000000000000000000000000000000:14E9", Some("[::]:5353")),
            ("0000000000000000FFFF00000100407F:192B", Some("127.64.0.1:6443")),
            ("00000000000000000000000001000000:0050", Some("[::1]:80")),
            ("000000000000000000000000:0050", None),
            ("0100007F", None),
            ("ü100007F:1F90", None),
        ] {
            assert_eq!(address(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn who_waits_at_the_address_or_at_all_of_them_is_in_the_way() {
        let all = [
            socket("0.0.0.0:1", true),
            socket("127.64.1.1:2", true),
            socket("127.64.1.2:2", true),
            socket("[::]:3", true),
            socket("0.0.0.0:3", true),
            socket("[::]:4", true),
            socket("127.64.1.1:5", false),
            socket("[::1]:6", true),
        ];
        for (addr, expected) in [
            ("127.64.1.1:1", vec!["0.0.0.0:1"]),
            ("127.64.1.1:2", vec!["127.64.1.1:2"]),
            ("127.64.1.1:3", vec!["0.0.0.0:3"]),
            ("127.64.1.1:4", vec!["[::]:4"]),
            ("127.64.1.1:5", vec!["127.64.1.1:5"]),
            ("127.64.1.1:6", vec![]),
            ("0.0.0.0:2", vec!["127.64.1.1:2", "127.64.1.2:2"]),
        ] {
            let found: Vec<String> =
                in_the_way(&all, addr.parse().unwrap()).iter().map(|s| s.addr.to_string()).collect();
            assert_eq!(found, expected, "{addr}");
        }
    }

    #[test]
    fn an_error_names_address_holder_and_cure() {
        let held = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let addr = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), held.local_addr().unwrap().port());
        let error = std::net::TcpListener::bind(addr).unwrap_err();
        let text = explained("the API", Protocol::Tcp, addr, &error).to_string();
        let pid = std::process::id();
        assert!(
            text.starts_with(&format!("the API at {addr}: TCP port {} is held by ", addr.port())),
            "{text}"
        );
        assert!(text.contains(&format!("(pid {pid}) at 0.0.0.0:{}", addr.port())), "{text}");
        assert!(text.contains(&format!("`kill {pid}`), or have it listen on one address")), "{text}");
        assert!(!text.contains("os error"), "{text}");
    }
}
