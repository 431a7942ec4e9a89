//! The history in the folder of `--state-dir`, so that it survives a restart: a line of JSON for each entry, in two files of limited size.
//!
//! A thread of its own writes, so that a disk that hangs delays nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{info, warn};

use super::ring::Line;
use crate::saved_file::open_regular;

const FILE: &str = "history.jsonl";
/// The lines before those of [`FILE`].
const PREVIOUS: &str = "history.1.jsonl";
/// The limit of each file, in bytes: that of the history in memory, so that both files together have at least as much.
const MAX_SIZE: u64 = 1 << 20;
/// An entry has at most two texts of 1 KiB, which JSON may write six times as long. A longer line is not that of an entry.
const MAX_LINE: usize = 16 << 10;
/// The entries that wait while the disk hangs. Further ones are lost.
const MAX_QUEUED: usize = 4096;

/// What was read at the start.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) lines: Vec<Arc<Line>>,
    /// Lines that are not entries, such as one that was written in part.
    pub(super) skipped: u64,
}

/// Sends entries to the thread that writes them.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(Arc<Line>),
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

/// The fields by which an entry is found.
#[derive(Deserialize)]
struct Header {
    sequence: u64,
    time: Timestamp,
    service: Option<Box<str>>,
}

/// A larger number is damaged: no process writes that number of entries, and JSON parsers of other languages lose digits of it.
const MAX_SEQUENCE: u64 = 1 << 53;

/// The files of the history in a folder, the oldest first.
pub fn saved_in(directory: &Path) -> [PathBuf; 2] {
    [PREVIOUS, FILE].map(|name| directory.join(name))
}

/// Reads both files. Skips what cannot be read: a damaged history must not prevent the start.
pub(super) fn read(directory: &Path) -> Saved {
    let mut saved = Saved::default();
    for path in saved_in(directory) {
        match read_file(&path) {
            Ok(bytes) => saved.add(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("cannot read the history in {}: {error}; leaving it out", path.display()),
        }
    }
    saved
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(MAX_SIZE + MAX_LINE as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Saved {
    fn add(&mut self, bytes: &[u8]) {
        for text in bytes.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
            let last = self.lines.last().map_or(0, |line| line.sequence);
            match line(text).filter(|line| line.sequence > last && line.sequence <= MAX_SEQUENCE) {
                Some(line) => self.lines.push(Arc::new(line)),
                None => self.skipped += 1,
            }
        }
    }
}

fn line(text: &[u8]) -> Option<Line> {
    if text.len() > MAX_LINE {
        return None;
    }
    let Header { sequence, time, service } = serde_json::from_slice(text).ok()?;
    let document = RawValue::from_string(std::str::from_utf8(text).ok()?.to_owned()).ok()?;
    Some(Line { sequence, time, service, document })
}

impl Writer {
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start(directory: PathBuf) -> io::Result<Self> {
        let (queue, received) = sync_channel(MAX_QUEUED);
        let lost = Arc::new(AtomicU64::new(0));
        let count = lost.clone();
        thread::Builder::new().name("history".into()).spawn(move || write_all(&directory, &received, &count))?;
        Ok(Self { queue, lost })
    }

    /// Does not wait: if the queue is full, the entry is lost.
    pub(super) fn send(&self, line: Arc<Line>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The entries that are missing in the files.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until what was sent is written, for at most this time.
    pub(super) fn flush(&self, limit: Duration) {
        let (written, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(written)).is_ok() {
            // If the disk hangs, the last entries are lost.
            let _ = wait.recv_timeout(limit);
        }
    }
}

fn write_all(directory: &Path, received: &Receiver<Message>, lost: &AtomicU64) {
    let mut open = None;
    let mut failed = false;
    for message in received {
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(written) => {
                let _ = written.send(());
                continue;
            }
        };
        let result = append(directory, &mut open, &line);
        if let Err(error) = &result {
            open = None;
            lost.fetch_add(1, Ordering::Relaxed);
            if !failed {
                warn!("cannot write the history to {}: {error}; it does not survive a restart", directory.display());
            }
        } else if failed {
            info!("cannot write the history to {}: resolved", directory.display());
        }
        failed = result.is_err();
    }
}

/// Appends a line. If the file would become too large, first renames it to the previous one.
fn append(directory: &Path, open: &mut Option<(File, u64)>, line: &Line) -> io::Result<()> {
    let mut bytes = line.document.get().as_bytes().to_vec();
    bytes.push(b'\n');
    let path = directory.join(FILE);
    let (file, size) = match open.take() {
        Some((file, size)) => (file, size),
        None => self::open(directory, &path)?,
    };
    let (mut file, size) = if size + bytes.len() as u64 > MAX_SIZE {
        // Windows may refuse to rename an open file.
        drop(file);
        fs::rename(&path, directory.join(PREVIOUS))?;
        self::open(directory, &path)?
    } else {
        (file, size)
    };
    file.write_all(&bytes)?;
    *open = Some((file, size + bytes.len() as u64));
    Ok(())
}

fn open(directory: &Path, path: &Path) -> io::Result<(File, u64)> {
    fs::create_dir_all(directory)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // On Windows a new file has the access control list of its folder.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let mut file = options.open(path)?;
    // The last line may have been written in part. An empty line ends it.
    file.write_all(b"\n")?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, text: &str) -> String {
        format!(r#"{{"sequence":{sequence},"time":"1970-01-01T00:00:00Z","service":"ns/web","message":"{text}"}}"#)
    }

    /// Sends entries of a size to a writer, and waits for it.
    fn write(directory: &Path, sequences: std::ops::RangeInclusive<u64>, size: usize) {
        let writer = Writer::start(directory.to_owned()).unwrap();
        for sequence in sequences {
            writer.send(Arc::new(line(entry(sequence, &"x".repeat(size)).as_bytes()).unwrap()));
            writer.flush(Duration::MAX);
        }
        assert_eq!(writer.lost(), 0);
    }

    /// The sequences that were read, and the number of skipped lines.
    fn read_back(directory: &Path) -> (Vec<u64>, u64) {
        let Saved { lines, skipped } = read(directory);
        (lines.iter().map(|line| line.sequence).collect(), skipped)
    }

    #[test]
    fn entries_are_read_again() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_back(directory.path()), (vec![], 0));
        write(directory.path(), 1..=2, 1);
        write(directory.path(), 3..=3, 1);
        assert_eq!(read_back(directory.path()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn lines_that_are_no_entries_are_skipped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let (long, last) = (entry(9, &"x".repeat(MAX_LINE)), entry(u64::MAX, "last"));
        let text = [entry(7, "a"), "{\"sequence\":8".into(), "[]".into(), entry(7, "b"), long, last];
        fs::write(directory.path().join(FILE), text.join("\n")).unwrap();
        assert_eq!(read_back(directory.path()), (vec![7], 5));
        // The line that was written in part does not make the next one unreadable.
        write(directory.path(), 10..=10, 1);
        assert_eq!(read_back(directory.path()), (vec![7, 10], 5));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_a_pipe_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        assert_eq!(read_back(directory.path()), (vec![], 0));
    }

    #[test]
    fn the_files_have_a_limited_size_and_the_last_entries() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 1..=300, 10_000);
        let sizes = [FILE, PREVIOUS].map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= MAX_SIZE), "{sizes:?}");
        let (sequences, skipped) = read_back(directory.path());
        assert_eq!((sequences.last(), skipped), (Some(&300), 0));
        assert!(sequences.len() > 100 && sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    }

    #[test]
    fn entries_that_cannot_be_written_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let writer = Writer::start(file).unwrap();
        writer.send(Arc::new(line(entry(1, "").as_bytes()).unwrap()));
        writer.flush(Duration::MAX);
        assert_eq!(writer.lost(), 1);
    }
}
