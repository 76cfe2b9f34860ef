//! A container's output as a bounded file of lines, each led by the time it was read.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// A line longer than this is split.
const LINE_MAX_BYTES: usize = 16 << 10;

/// The log of one run of a container.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    written_bytes: u64,
    max_bytes: u64,
}

impl LogFile {
    /// Begins `DIR/INSTANCE.log`; of earlier runs only the last is kept.
    pub(super) fn begin(dir: &Path, instance: u64, max_bytes: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        if let Some(old) = instance.checked_sub(2) {
            let _ = std::fs::remove_file(dir.join(format!("{old}.log")));
            let _ = std::fs::remove_file(dir.join(format!("{old}.log.1")));
        }
        let path = dir.join(format!("{instance}.log"));
        let file = File::create(&path)?;
        Ok(Self { path, file, written_bytes: 0, max_bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.written_bytes > 0 && self.written_bytes.saturating_add(bytes.len() as u64) > self.max_bytes {
            // Somebody may have removed the file, or its folder: the log begins anew there.
            if let Some(dir) = self.path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            match std::fs::rename(&self.path, self.path.with_extension("log.1")) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.file = File::create(&self.path)?;
            self.written_bytes = 0;
        }
        self.file.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Copies from the pipe until every process that holds its other end is gone.
pub(super) async fn pump(mut pipe: Receiver, mut log: LogFile) {
    let mut buffer = vec![0; 8 << 10];
    let mut line: Vec<u8> = Vec::new();
    loop {
        let read = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        let mut out = Vec::with_capacity(read + 64);
        let time = Timestamp::now().to_string();
        for byte in buffer.get(..read).unwrap_or_default() {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LINE_MAX_BYTES {
                finish_line(&mut out, &time, &mut line);
            }
        }
        if let Err(error) = log.write(&out) {
            // The container must not stall on a full disk: read on, and lose its words.
            tracing::warn!(%error, path = %log.path.display(), "container log");
        }
    }
    if !line.is_empty() {
        let mut out = Vec::new();
        finish_line(&mut out, &Timestamp::now().to_string(), &mut line);
        let _ = log.write(&out);
    }
}

fn finish_line(out: &mut Vec<u8>, time: &str, line: &mut Vec<u8>) {
    out.extend_from_slice(time.as_bytes());
    out.push(b' ');
    out.append(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_whose_folder_was_removed_goes_on_at_the_next_turn() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("pod/c");
        let mut log = LogFile::begin(&logs, 0, 10).unwrap();
        log.write(b"12345678").unwrap();
        std::fs::remove_dir_all(dir.path().join("pod")).unwrap();
        log.write(b"after it").unwrap();
        assert_eq!(std::fs::read(logs.join("0.log")).unwrap(), b"after it");
        std::fs::remove_file(logs.join("0.log")).unwrap();
        log.write(b"once more").unwrap();
        assert_eq!(std::fs::read(logs.join("0.log")).unwrap(), b"once more");
    }

    #[tokio::test]
    async fn logs_are_bounded_and_timed() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let pipe = Receiver::from_owned_fd(reader.into()).unwrap();
        let log = LogFile::begin(dir.path(), 0, 2000).unwrap();
        let pump = tokio::spawn(pump(pipe, log));
        for n in 0..100 {
            writeln!(writer, "line {n}").unwrap();
            // Each write its own read, so that the bound is met between lines.
            tokio::task::yield_now().await;
        }
        write!(writer, "no newline").unwrap();
        drop(writer);
        pump.await.unwrap();
        let now = std::fs::read_to_string(dir.path().join("0.log")).unwrap();
        let (time, text) = now.lines().last().unwrap().split_once(' ').unwrap();
        assert_eq!(text, "no newline");
        time.parse::<Timestamp>().unwrap();
        assert!(now.len() <= 2000 + 64, "{}", now.len());
    }
}
