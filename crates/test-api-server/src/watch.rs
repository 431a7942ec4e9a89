//! Watches: the current objects if the client requests them, then each change, and each message of the test.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::endless;
use crate::fault_mode::{ExpiredWatches, FaultMode, StreamedLists};
use crate::http::{Request, begin_chunks, begin_compressed_chunks, chunk, end_chunks};
use crate::kind::Kind;
use crate::selector::Selector;
use crate::shared::All;
use crate::status::Status;
use crate::store::{Content, Entry};

/// Lines are collected up to this size, in bytes, and sent as one chunk.
const CHUNK: usize = 64 << 10;

/// A requested watch.
#[derive(Debug)]
pub(crate) struct Watch {
    kind: Kind,
    selector: Selector,
    bookmarks: bool,
    time: Option<Duration>,
    from: Start,
    is_compressed: bool,
}

/// The start of a watch.
#[derive(Debug)]
enum Start {
    /// The current objects, and a bookmark with their version if the client wants it; then the log from `next`.
    State { objects: Vec<Arc<Value>>, version: Option<u64>, next: usize },
    /// The changes after a version. Messages that the test sent before `now` are left out.
    Version { version: u64, next: usize, now: usize },
    /// An ERROR event.
    Refusal(Status),
}

impl Watch {
    pub(crate) fn begin(all: &All, request: &Request, kind: Kind, selector: Selector) -> Result<Self, Status> {
        let bookmarks = request.flag("allowWatchBookmarks") == Some(true);
        let time = request.parameter("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0);
        let from = start(all, request, kind, &selector, bookmarks)?;
        let accepts = request.headers.get("accept-encoding").is_some_and(|codings| codings.contains("gzip"));
        let is_compressed =
            all.behaviour.compressed_streams && accepts && request.flag("sendInitialEvents") == Some(true);
        Ok(Self { kind, selector, bookmarks, time: time.map(Duration::from_secs), from, is_compressed })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Runs until its timeout or the end of the connection.
    pub(crate) fn run(mut self, connection: &mut Connection, fault_mode: FaultMode) -> io::Result<()> {
        if fault_mode == FaultMode::EndlessLine {
            return endless::line(connection, self.kind);
        }
        let end = self.time.and_then(|time| Instant::now().checked_add(time));
        if self.is_compressed {
            begin_compressed_chunks(connection.stream.get_mut())?;
        } else {
            begin_chunks(connection.stream.get_mut())?;
        }
        match fault_mode {
            FaultMode::Silent => return connection.wait_for_end(None),
            FaultMode::CutsWatches(after) => {
                connection.wait_for_end(Some(after))?;
                connection.cut();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            FaultMode::EndsWatches => {
                connection.idle();
                return end_chunks(connection.stream.get_mut());
            }
            _ => {}
        }
        if let (FaultMode::EmptyLists | FaultMode::EmptyStreams, Start::State { objects, .. }) =
            (fault_mode, &mut self.from)
        {
            objects.clear();
        }
        let gzip = self.is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut lines = Lines { connection, fault_mode, gzip, waiting: Vec::new(), sent: Instant::now() };
        let (mut next, version, now) = match &self.from {
            Start::State { objects, version, next } => {
                objects.iter().try_for_each(|object| lines.add(&json!({"type": "ADDED", "object": **object})))?;
                if let Some(version) = version {
                    let annotations = json!({"k8s.io/initial-events-end": "true"});
                    lines.add(&bookmark(self.kind, *version, Some(annotations)))?;
                }
                (*next, 0, *next)
            }
            Start::Version { version, next, now } => (*next, *version, *now),
            Start::Refusal(status) => {
                lines.add(&json!({"type": "ERROR", "object": status.document}))?;
                return lines.end();
            }
        };
        loop {
            lines.send()?;
            let mut all = lines.connection.shared.lock();
            loop {
                if !all.connections.contains_key(&lines.connection.id) {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                let left = |end: Option<Instant>| end.map(|end| end.saturating_duration_since(Instant::now()));
                if all.store.end() > next {
                    break;
                }
                if left(end).is_some_and(|left| left.is_zero()) {
                    drop(all);
                    return lines.end();
                }
                let interval = all.behaviour.bookmark_interval.filter(|_| self.bookmarks);
                let bookmark_at = interval.and_then(|interval| lines.sent.checked_add(interval));
                if left(bookmark_at).is_some_and(|left| left.is_zero()) {
                    lines.sent = Instant::now();
                    let reached = all.store.version();
                    // As in the API server, a watch from a future version gets no bookmark before that version.
                    if reached >= version {
                        drop(all);
                        lines.add(&bookmark(self.kind, reached, None))?;
                        lines.send()?;
                        all = lines.connection.shared.lock();
                    }
                    continue;
                }
                let wait = [left(end), left(bookmark_at)].into_iter().flatten().min();
                all = lines.connection.shared.wait(all, wait);
            }
            let entries = all.store.entries(next);
            drop(all);
            for entry in entries {
                match entry {
                    Entry::Change(change) if change.version > version => {
                        change.event(self.kind, &self.selector).map_or(Ok(()), |event| lines.add(&event))?;
                    }
                    Entry::Message(message) if next >= now && message.kind.is_none_or(|kind| kind == self.kind) => {
                        match &message.content {
                            Content::Bookmark(reached) if self.bookmarks && *reached >= version => {
                                lines.add(&bookmark(self.kind, *reached, None))?;
                            }
                            Content::Bookmark(_) => {}
                            Content::Text(text, cut) => lines.send_text(text, *cut)?,
                        }
                    }
                    _ => {}
                }
                next += 1;
            }
        }
    }
}

fn start(all: &All, request: &Request, kind: Kind, selector: &Selector, bookmarks: bool) -> Result<Start, Status> {
    let store = &all.store;
    let text = request.parameter("resourceVersion");
    let asked: u64 = match text {
        "" => 0,
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid resource version {text:?}")))?,
    };
    let initial = request.flag("sendInitialEvents");
    let newer = request.parameter("resourceVersionMatch");
    match initial {
        None if newer.is_empty() => {}
        None => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Status::invalid("resourceVersionMatch", why));
        }
        Some(_) if all.behaviour.streamed_lists == StreamedLists::Forbidden => {
            let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Status::invalid("sendInitialEvents", why));
        }
        Some(_) if newer != "NotOlderThan" => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Status::invalid("resourceVersionMatch", why));
        }
        Some(true) if all.behaviour.streamed_lists == StreamedLists::Unsupported => {
            let why = "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled";
            return Ok(Start::Refusal(Status::internal(why)));
        }
        Some(_) => {}
    }
    if initial == Some(true) || initial.is_none() && asked == 0 {
        if let Err(status) = store.has_reached(asked) {
            return Ok(Start::Refusal(status));
        }
        let objects = store.at(store.version(), kind).into_values();
        let objects = objects.filter(|object| selector.matches(object)).cloned().collect();
        let version = (initial == Some(true) && bookmarks).then(|| store.version());
        return Ok(Start::State { objects, version, next: store.end() });
    }
    let now = store.end();
    if asked == 0 {
        return Ok(Start::Version { version: store.version(), next: now, now });
    }
    match store.remembers(asked) {
        Ok(()) => Ok(Start::Version { version: asked, next: store.after(asked), now }),
        Err(status) if all.behaviour.expired_watches == ExpiredWatches::Code => Err(status),
        Err(status) => Ok(Start::Refusal(status)),
    }
}

fn bookmark(kind: Kind, version: u64, annotations: Option<Value>) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if let (Some(annotations), Some(metadata)) = (annotations, metadata.as_object_mut()) {
        metadata.insert("annotations".to_owned(), annotations);
    }
    let object = json!({"kind": kind.name(), "apiVersion": kind.api_version(), "metadata": metadata});
    json!({"type": "BOOKMARK", "object": object})
}

/// Replaces a string in a document.
fn set(document: &mut Value, pointer: &str, value: &str) {
    if let Some(found) = document.pointer_mut(pointer) {
        *found = value.into();
    }
}

/// Collects the lines of a watch into chunks.
struct Lines<'a> {
    connection: &'a mut Connection,
    fault_mode: FaultMode,
    gzip: Option<GzEncoder<Vec<u8>>>,
    waiting: Vec<u8>,
    /// When something was last sent.
    sent: Instant,
}

impl Lines<'_> {
    fn add(&mut self, event: &Value) -> io::Result<()> {
        let mut event = Cow::Borrowed(event);
        match self.fault_mode {
            FaultMode::OtherKind => set(event.to_mut(), "/object/kind", "Pod"),
            FaultMode::NoVersion if event.get("type").is_some_and(|name| name == "BOOKMARK") => {
                set(event.to_mut(), "/object/metadata/resourceVersion", "");
            }
            _ => {}
        }
        serde_json::to_writer(&mut self.waiting, &event)?;
        self.waiting.push(b'\n');
        if self.waiting.len() < CHUNK { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        self.sent = Instant::now();
        if self.fault_mode == FaultMode::Half {
            return self
                .send_text(&String::from_utf8_lossy(waiting.get(..waiting.len() / 2).unwrap_or_default()), true);
        }
        self.send_chunk(&waiting)
    }

    fn send_chunk(&mut self, data: &[u8]) -> io::Result<()> {
        let Some(gzip) = &mut self.gzip else { return chunk(self.connection.stream.get_mut(), data) };
        gzip.write_all(data)?;
        gzip.flush()?;
        chunk(self.connection.stream.get_mut(), &std::mem::take(gzip.get_mut()))
    }

    /// Sends a text that need not be a line.
    fn send_text(&mut self, text: &str, cut: bool) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend(text.as_bytes());
        self.send_chunk(&waiting)?;
        if cut {
            self.connection.cut();
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.send()?;
        // Before the end is sent, since the client may send its next request right after it.
        self.connection.idle();
        if let Some(gzip) = self.gzip {
            chunk(self.connection.stream.get_mut(), &gzip.finish()?)?;
        }
        end_chunks(self.connection.stream.get_mut())
    }
}
