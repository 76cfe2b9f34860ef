//! Which protocol a connection speaks, by its first bytes.
//!
//! What might be a request of HTTP/1 to some lenient server counts as one, so that nobody gets around what is judged by
//! request: only what is none to anybody is opaque. A text protocol whose lines begin like a request (`get key`) must
//! be said to be opaque.

/// Longest that is looked at, in bytes: a ClientHello with keys for the time after quantum computers has under 2 KiB.
pub const MAX_BYTES: usize = 16 << 10;
/// What HTTP/2 starts with (RFC 9113 §3.4).
pub const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a request line has near its end.
const VERSION: &[u8] = b" HTTP/1.";
/// Longest line that is waited for.
const LINE_MAX: usize = 8 << 10;

/// What the bytes so far say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detected {
    /// More are needed.
    More,
    /// HTTP/1, perhaps a malformed one.
    H1,
    /// HTTP/2 by prior knowledge.
    H2,
    /// TLS, to this server if its client names one.
    Tls(Option<String>),
    /// Anything else.
    Opaque,
}

/// Looks at the first bytes of a connection. Never [`Detected::More`] for [`MAX_BYTES`] or more.
pub fn detect(bytes: &[u8]) -> Detected {
    let Some(first) = bytes.first() else { return Detected::More };
    if bytes.starts_with(H2_PREFACE) {
        return Detected::H2;
    }
    if H2_PREFACE.starts_with(bytes) {
        return Detected::More;
    }
    if *first == TLS_HANDSHAKE {
        return match hello(bytes) {
            Ok(Some(sni)) => Detected::Tls(sni),
            Ok(None) if bytes.len() < MAX_BYTES => Detected::More,
            Ok(None) => Detected::Tls(None),
            Err(NotTls) => Detected::Opaque,
        };
    }
    line(bytes)
}

/// A first line of text is a request if it may be one to anybody: by its beginning, or by a version in it. Other bytes
/// than those of text are another protocol's, which all of them have early on.
fn line(bytes: &[u8]) -> Detected {
    if bytes.first().is_some_and(u8::is_ascii_whitespace) {
        return Detected::H1;
    }
    let method = bytes.iter().position(|b| !is_token(*b)).unwrap_or(bytes.len());
    // Other blanks than the one that belongs there are blanks to some.
    if method > 0 && matches!(bytes.get(method), Some(b' ' | b'\t' | 0x0b | 0x0c)) {
        return Detected::H1;
    }
    let control = |b: &u8| *b == 0x7f || (*b < b' ' && !matches!(b, b'\t' | b'\r'));
    let end = bytes.iter().position(control);
    let text = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    if text.windows(VERSION.len()).any(|w| w.eq_ignore_ascii_case(VERSION)) {
        return Detected::H1;
    }
    match end {
        Some(_) => Detected::Opaque,
        // A line without an end: whoever reads requests can say that it is too long.
        None if bytes.len() >= LINE_MAX => Detected::H1,
        None => Detected::More,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A record of the handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const RECORD_MAX: usize = 1 << 14;

struct NotTls;

/// The server that a ClientHello names (RFC 8446 §4.1.2, RFC 6066 §3); `Ok(None)` while it is not whole.
fn hello(bytes: &[u8]) -> Result<Option<Option<String>>, NotTls> {
    let mut handshake = Vec::new();
    let mut rest = bytes;
    // A hello may be cut into several records.
    loop {
        match rest {
            [] | [_] | [TLS_HANDSHAKE, 3] => return Ok(None),
            [TLS_HANDSHAKE, 3, ..] => {}
            _ => return Err(NotTls),
        }
        let Some((head, body)) = rest.split_at_checked(5) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if length == 0 || length > RECORD_MAX {
            return Err(NotTls);
        }
        let (whole, after) = body.split_at_checked(length).map_or((body, None), |(b, a)| (b, Some(a)));
        handshake.extend_from_slice(whole);
        if handshake.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(NotTls);
        }
        if let Some([_, a, b, c]) = handshake.first_chunk::<4>() {
            let wanted = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if let Some(hello) = handshake.get(4..4 + wanted) {
                // One that cannot be read has a name that is not known.
                return Ok(Some(server_name(hello)));
            }
            if wanted > MAX_BYTES {
                return Ok(Some(None));
            }
        }
        match after {
            Some(after) => rest = after,
            None => return Ok(None),
        }
    }
}

fn server_name(hello: &[u8]) -> Option<String> {
    let mut hello = Reader(hello);
    // Version and random.
    hello.take(2 + 32)?;
    hello.vector8()?;
    hello.vector16()?;
    hello.vector8()?;
    let mut extensions = Reader(hello.vector16()?);
    while let (Some(kind), Some(body)) = (extensions.u16(), extensions.vector16()) {
        if kind != EXTENSION_SERVER_NAME {
            continue;
        }
        let mut names = Reader(Reader(body).vector16()?);
        while let (Some(kind), Some(name)) = (names.u8(), names.vector16()) {
            let name = std::str::from_utf8(name).ok()?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if kind == 0 && (1..=253).contains(&name.len()) && name.bytes().all(plain) {
                return Some(name.to_ascii_lowercase());
            }
        }
        return None;
    }
    None
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|b| u16::from_be_bytes(*b))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let n = self.u8()?;
        self.take(n.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.take(n.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ClientHello in records of at most `record` bytes.
    fn client_hello(name: Option<&str>, record: usize) -> Vec<u8> {
        let v16 = |body: &[u8]| [&(body.len() as u16).to_be_bytes()[..], body].concat();
        let mut extensions = [&[0u8, 43][..], &v16(&[2, 3, 4])].concat();
        if let Some(name) = name {
            let list = v16(&[&[0u8][..], &v16(name.as_bytes())].concat());
            extensions.extend_from_slice(&[&[0u8, 0][..], &v16(&list)].concat());
        }
        let hello = [&[3u8, 3][..], &[7; 32], &[0], &v16(&[0x13, 1]), &[1, 0], &v16(&extensions)].concat();
        let length = (hello.len() as u32).to_be_bytes();
        let handshake = [&[CLIENT_HELLO][..], &length[1..], &hello].concat();
        handshake.chunks(record).flat_map(|c| [&[TLS_HANDSHAKE, 3, 1][..], &v16(c)].concat()).collect()
    }

    #[test]
    fn protocols_by_their_first_bytes() {
        use Detected::{H1, H2, More, Opaque, Tls};
        let table: [(&[u8], Detected); 37] = [
            (b"", More),
            (b"G", More),
            (b"GET ", H1),
            (b"GET / HTTP/1.1\r\n", H1),
            (b"M-SEARCH * HTTP/1.1\r\n", H1),
            (b"\r\nGET / HTTP/1.1\r\n", H1),
            (b"PRI", More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2),
            (b"PRI * HTTP/1.1\r\n", H1),
            (b"PRINT / HTTP/1.1\r\n", H1),
            // What some lenient server takes for a request.
            (b" GET / HTTP/1.1\r\n", H1),
            (b"GET\t/ HTTP/1.1\r\n", H1),
            (b"GET  / HTTP/9\r\n", H1),
            (b"set key 0 0 5\r\n", H1),
            // Redis, AMQP, PostgreSQL, MQTT, SSH, PING alone, MongoDB, and nonsense.
            (b"*1\r\n$4\r\nPING\r\n", Opaque),
            (b"AMQP\0\0\x09\x01", Opaque),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Opaque),
            (b"\x10\x0e\0\x04MQTT", Opaque),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Opaque),
            (b"PING\r\n", Opaque),
            (b"A\0\0\0\x01", Opaque),
            (b"\xff\xfe\x01", Opaque),
            (b":80 GET", More),
            (b":80 GET\n", Opaque),
            // However long or odd, a line that names a version is a request to somebody.
            (&[b'A'; 64], More),
            (&[b'A'; 8192], H1),
            (b"\"GET\" / HTTP/1.1\r\n", H1),
            (b"GET\xa0/ HTTP/1.1\r\n", H1),
            (b"\xef\xbb\xbfGET / http/1.1\r\n", H1),
            (b"(GET) / HTTP/1", More),
            (b"(GET) / HTTP/1.\0", H1),
            (b"\0GET / HTTP/1.1\r\n", Opaque),
            // The beginning of TLS, and what only looks like it.
            (b"\x16", More),
            (b"\x16\x03\x01", More),
            (b"\x16\x02\x01\x00\x05", Opaque),
            (b"\x16\x03\x01\x00\x00", Opaque),
        ];
        for (bytes, expected) in table {
            assert_eq!(detect(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        for record in [1, 5, 100, 16_000] {
            let named = client_hello(Some("Web.Default"), record);
            assert_eq!(detect(&named), Tls(Some("web.default".into())), "{record}");
            assert_eq!(detect(&named[..named.len() - 1]), More, "{record}");
            assert_eq!(detect(&client_hello(None, record)), Tls(None), "{record}");
        }
        assert_eq!(detect(&client_hello(Some("a b"), 100)), Tls(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_something_and_more_bytes_change_no_verdict(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), tls: bool, more in proptest::collection::vec(any::<u8>(), 0..50)
        ) {
            let mut bytes = bytes;
            if tls {
                let mut hello = client_hello(Some("web"), 40);
                for (at, b) in bytes.iter().enumerate().take(3) {
                    let n = hello.len();
                    if let Some(byte) = hello.get_mut((at * 31 + usize::from(*b)) % n) {
                        *byte ^= b;
                    }
                }
                bytes = hello;
            }
            let verdict = detect(&bytes);
            let longer = [&bytes[..], &more].concat();
            if verdict != Detected::More {
                prop_assert_eq!(detect(&longer), verdict);
            }
            prop_assert_ne!(detect(&[&bytes[..], &vec![b'x'; MAX_BYTES]].concat()), Detected::More);
        }
    }
}
