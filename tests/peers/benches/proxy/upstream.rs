//! A server that costs little, in a process of its own: it finds the ends of heads, and answers each with bytes that
//! were made once. It counts what it answered.

use std::cell::Cell;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::rc::Rc;

use peers::server::Spec;
use peers::{Address, Server, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Answered with [`TINY_BYTES`].
pub(crate) const TINY: &str = "/tiny";
/// Answered with [`LARGE_BYTES`].
pub(crate) const LARGE: &str = "/large";
/// Answered with the number of other answers so far.
const COUNT: &str = "/count";
const TINY_BYTES: usize = 10;
const LARGE_BYTES: usize = 16 << 10;
const PORT: u16 = 8080;
/// A head that is longer ends its connection.
const HEAD_MAX_BYTES: usize = 16 << 10;

/// The server's process, on two addresses, so that a balancer has to choose.
pub(crate) struct Upstream {
    server: Server,
    second: Address,
}

impl Upstream {
    /// Starts this program again, as a server.
    pub(crate) async fn start(world: &World) -> super::Result<Self> {
        let second = Address::claim();
        let spec = Spec {
            name: "upstream".into(),
            program: std::env::current_exe()?,
            flags: format!("upstream {{ip}}:{PORT} {}", second.port(PORT)),
            ready: "8080/count",
        };
        Ok(Self { server: Server::start(spec, Address::claim(), world.dir()).await, second })
    }

    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.server.at.port(PORT), self.second.port(PORT)]
    }

    /// Answers so far.
    pub(crate) async fn answered(&self) -> super::Result<u64> {
        let (_, count) = peers::http::get(&format!("{}{COUNT}", self.server.url(PORT))).await?;
        Ok(count.parse()?)
    }
}

struct Answers {
    tiny: Vec<u8>,
    large: Vec<u8>,
    given: Cell<u64>,
}

/// Serves on these addresses until it is killed.
pub(crate) fn serve(addresses: &[String]) -> Result<()> {
    let answers = Rc::new(Answers {
        tiny: answer(&"t".repeat(TINY_BYTES)),
        large: answer(&"l".repeat(LARGE_BYTES)),
        given: Cell::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut last = None;
        for address in addresses {
            let listener = TcpListener::bind(address).await?;
            last = Some(tokio::task::spawn_local(accept(listener, answers.clone())));
        }
        match last {
            Some(accepting) => accepting.await.map_err(Error::other)?,
            None => Err(Error::other("upstream needs addresses")),
        }
    })
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-upstream: bench\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn accept(listener: TcpListener, answers: Rc<Answers>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        tokio::task::spawn_local(async move { answers.connection(stream).await });
    }
}

impl Answers {
    async fn connection(&self, mut stream: TcpStream) -> Result<()> {
        let (mut unread, mut out) = (Vec::with_capacity(HEAD_MAX_BYTES), Vec::new());
        while stream.read_buf(&mut unread).await? > 0 && unread.len() < HEAD_MAX_BYTES {
            let mut start = 0;
            while let Some(length) = unread[start..].windows(4).position(|w| w == b"\r\n\r\n") {
                self.answer(&unread[start..start + length], &mut out);
                start += length + 4;
            }
            unread.drain(..start);
            stream.write_all(&out).await?;
            out.clear();
        }
        Ok(())
    }

    fn answer(&self, head: &[u8], out: &mut Vec<u8>) {
        let asks = |path: &str| head.strip_prefix(b"GET ").is_some_and(|h| h.starts_with(path.as_bytes()));
        if asks(COUNT) {
            return out.extend(answer(&self.given.get().to_string()));
        }
        self.given.set(self.given.get() + 1);
        out.extend_from_slice(if asks(LARGE) { &self.large } else { &self.tiny });
    }
}
