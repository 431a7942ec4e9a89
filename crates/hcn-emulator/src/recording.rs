//! Recordings of changes: the change feed of an emulator in a file, with one line of JSON per change after a header line.
//!
//! A file whose name ends in `.gz` is compressed. [`open`] recognizes the compression by the content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::feed::{Change, ChangeFeed, FeedEnd};
use crate::host::Host;

/// The version of the format.
const VERSION: u32 = 1;
/// The longest line, in bytes: that of the longest document over TCP.
const MAX_LINE: usize = crate::wire::MAX_FRAME;
/// The first bytes of a compressed file (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The first line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    recording: u32,
    /// What was recorded, for people.
    pub about: String,
    /// The facts about the host, without objects.
    pub host: Host,
}

impl Header {
    pub fn new(about: impl Into<String>, facts: &Host) -> Self {
        Self { recording: VERSION, about: about.into(), host: Host { objects: Vec::new(), ..facts.clone() } }
    }
}

/// Writes a recording.
#[derive(Debug)]
pub struct Writer<W: Write>(W);

impl<W: Write> Writer<W> {
    /// # Errors
    /// If the header cannot be written.
    pub fn new(output: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self(output);
        writer.line(header)?;
        Ok(writer)
    }

    /// # Errors
    /// If the change cannot be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        self.line(change)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        self.0.write_all(b"\n")
    }

    /// The output, with everything written to it.
    pub fn into_inner(self) -> W {
        self.0
    }
}

impl Writer<Output> {
    /// Creates or truncates a file.
    ///
    /// # Errors
    /// If the file cannot be created or written.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let is_compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let output = if is_compressed {
            Output::Compressed(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Output::Plain(file)
        };
        Self::new(output, header)
    }

    /// Writes all changes of a feed, until it is closed or the emulator ends, and completes the file. Without compression, the file has each
    /// change as soon as no other one waits.
    ///
    /// # Errors
    /// If the file cannot be written, or changes are missing because it was written too slowly.
    pub fn record(mut self, feed: &ChangeFeed) -> Result<(), RecordError> {
        let end = self.write_all(feed)?;
        self.0.finish()?;
        match end {
            FeedEnd::TooSlow { .. } => Err(RecordError::Incomplete(end)),
            FeedEnd::Closed | FeedEnd::EmulatorEnded => Ok(()),
        }
    }

    fn write_all(&mut self, feed: &ChangeFeed) -> io::Result<FeedEnd> {
        loop {
            let change = match feed.try_recv() {
                Ok(Some(change)) => Ok(change),
                Ok(None) => {
                    if let Output::Plain(file) = &mut self.0 {
                        file.flush()?;
                    }
                    feed.recv()
                }
                Err(end) => Err(end),
            };
            match change {
                Ok(change) => self.write(&change)?,
                Err(end) => return Ok(end),
            }
        }
    }
}

/// Why a recording is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Write(#[from] io::Error),
    #[error("changes are missing because the disk was too slow; record to a faster disk")]
    Incomplete(FeedEnd),
}

/// The file of a recording.
#[derive(Debug)]
pub enum Output {
    Plain(BufWriter<File>),
    /// Boxed, since it is larger than the other.
    Compressed(Box<GzEncoder<BufWriter<File>>>),
}

impl Output {
    fn finish(self) -> io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            Self::Compressed(encoder) => encoder.finish()?,
        };
        file.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Compressed(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Compressed(encoder) => encoder.flush(),
        }
    }
}

/// Why a recording, or a line of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    #[error("not a recording of changes: invalid first line: {0}")]
    Header(String),
    #[error("unknown version {0} of the recording (known: {VERSION}); use the hnsproxy that wrote it")]
    Version(u32),
    /// Later lines can be read.
    #[error("invalid line {line} of the recording: {reason}")]
    Line { line: u64, reason: String },
}

/// Reads a recording: an iterator of its changes. An invalid line is one error, and the next line follows.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    /// The number of lines that were read.
    line: u64,
    /// The time of the last change.
    last: Duration,
    has_ended: bool,
}

/// Opens a recording, compressed or not.
///
/// # Errors
/// If the file cannot be read, or its first line is not the header of a recording.
pub fn open(path: &Path) -> Result<Reader<Box<dyn BufRead>>, ReadError> {
    let mut file = BufReader::new(File::open(path)?);
    let is_compressed = file.fill_buf()?.starts_with(GZIP);
    Reader::new(if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

impl<R: BufRead> Reader<R> {
    /// # Errors
    /// If the first line is not the header of a recording.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut input = input;
        let line = next_line(&mut input)?.unwrap_or_default();
        // Of another version, only the number is known to be there.
        #[derive(Deserialize)]
        struct Version {
            recording: u32,
        }
        let invalid = |error: serde_json::Error| ReadError::Header(error.to_string());
        let Version { recording } = serde_json::from_slice(&line).map_err(invalid)?;
        if recording != VERSION {
            return Err(ReadError::Version(recording));
        }
        let header = serde_json::from_slice(&line).map_err(invalid)?;
        Ok(Self { input, header, line: 1, last: Duration::ZERO, has_ended: false })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    fn change(&mut self, line: &[u8]) -> Result<Change, ReadError> {
        let invalid = |reason: String| ReadError::Line { line: self.line, reason };
        let change: Change = serde_json::from_slice(line).map_err(|error| invalid(error.to_string()))?;
        if change.at < self.last {
            let [at, last] = [change.at, self.last].map(|at| at.as_micros());
            return Err(invalid(format!("its time {at} is before that of an earlier line, {last}")));
        }
        self.last = change.at;
        Ok(change)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Change, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        self.line += 1;
        match next_line(&mut self.input) {
            Ok(Some(line)) => Some(self.change(&line)),
            Ok(None) => None,
            Err(error) => {
                self.has_ended = true;
                Some(Err(error.into()))
            }
        }
    }
}

/// The next line; `None` at the end of the input.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == MAX_LINE && !line.ends_with(b"\n") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line is longer than {MAX_LINE} bytes")));
    }
    Ok(Some(line).filter(|line| !line.is_empty()))
}
