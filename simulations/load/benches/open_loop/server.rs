//! A server that costs little, so that the generator is what is measured: it reads, counts heads of requests,
//! and answers each with the same bytes.

use std::io::{BufRead, BufReader, Error, Result, Write};
use std::process::{Command, Stdio};

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";

/// The server's process.
pub(crate) struct Child {
    pub(crate) uri: Uri,
    process: std::process::Child,
}

impl Child {
    /// Starts this program again, as a server.
    pub(crate) fn spawn() -> Result<Self> {
        let mut process =
            Command::new(std::env::current_exe()?).arg("server").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.as_mut() {
            BufReader::new(out).read_line(&mut line)?;
        }
        Ok(Self { uri: line.trim().parse().map_err(Error::other)?, process })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says its address in a line, and serves.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "http://{}/", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(answer(stream));
        }
    })
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let (mut buffer, mut kept) = (vec![0; 16 << 10], 0);
    loop {
        let read = stream.read(&mut buffer[kept..]).await?;
        if read == 0 {
            return Ok(());
        }
        let end = kept + read;
        let heads = buffer[..end].windows(4).filter(|w| w == b"\r\n\r\n").count();
        stream.write_all(&ANSWER.repeat(heads)).await?;
        // A head's end may itself be cut in two.
        kept = if heads > 0 && buffer[..end].ends_with(b"\r\n\r\n") { 0 } else { end.min(3) };
        buffer.copy_within(end - kept..end, 0);
    }
}
