//! Serves one connection of a client: its requests in order, and the handles that its client may use.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hcn::call::{Call, Handle, Reply};
use hcn::{Error, Guid, Hcn, Hresult, Kind};

use crate::command::{Command, Counters, Outcome};
use crate::emulator::Emulator;
use crate::feed::ChangeFeed;
use crate::shared::Shared;
use crate::wire::{Answer, Failure, Hello, PROTOCOL, Request, encode, receive};

/// The number of changes that may wait for a client of the change feed: each load balancer and endpoint of a large cluster, replaced at once.
const FEED_CAPACITY: usize = 1 << 16;
/// Changes that wait are sent together up to this number of bytes, to save system calls.
const MAX_WRITE: usize = 64 << 10;

/// Serves a connection until it ends.
pub(crate) fn run(stream: &TcpStream, peer: SocketAddr, shared: &Shared) {
    match serve(stream, shared) {
        Ok(()) => tracing::debug!(%peer, "a connection to the emulator ended"),
        Err(error) => {
            tracing::warn!(%peer, %error, "closing a connection to the emulator");
            // For a person who connected by hand and reads the response. Fails if the client has disconnected.
            if error.kind() == io::ErrorKind::InvalidData {
                let _ = send(stream, &Answer::Refused(error.to_string()));
            }
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(first) = receive(&mut reader)? else { return Ok(()) };
    let Request::<Call, Command>::Hello(Hello { protocol, client }) = first else {
        return Err(invalid("invalid first frame: expected Hello"));
    };
    if protocol != PROTOCOL {
        return Err(invalid(&format!("unknown protocol {protocol} (known: {PROTOCOL})")));
    }
    let session = Session::new(shared, client);
    while let Some(request) = receive(&mut reader)? {
        let answer = match request {
            Request::Call(call) => Answer::Call(session.call(call)),
            Request::Control(command) => Answer::Control(control(shared, command)),
            Request::Hello(_) => return Err(invalid("unexpected second Hello")),
            Request::Subscribe => return subscribed(stream, &mut reader, shared),
            Request::Follow => return followed(stream, &mut reader, shared),
        };
        send(stream, &answer)?;
    }
    Ok(())
}

/// Sends notifications to a connection until it ends.
fn subscribed(stream: &TcpStream, reader: &mut BufReader<&TcpStream>, shared: &Shared) -> io::Result<()> {
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let listener_stream = writer.clone();
    // Held until the answer is sent, which must come before notifications.
    let first = writer.lock().unwrap_or_else(PoisonError::into_inner);
    let subscription = shared.emulator.subscribe(Box::new(move |notification| {
        let stream = listener_stream.lock().unwrap_or_else(PoisonError::into_inner);
        if send(&stream, &Answer::Told(notification)).is_err() {
            // The client has disconnected, which ends the reader below.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }));
    let (answer, subscription) = match subscription {
        Ok(subscription) => (Ok(()), Some(subscription)),
        Err(error) => (Err(failure(error)), None),
    };
    send(&first, &Answer::Subscribed(answer))?;
    drop(first);
    let more: io::Result<Option<Request>> = receive(reader);
    // Shut down first: the drop would wait for a listener that is blocked writing to a client that does not read.
    let _ = stream.shutdown(Shutdown::Both);
    drop(subscription);
    match more? {
        None => Ok(()),
        Some(_) => Err(invalid("unexpected request after Subscribe")),
    }
}

/// Sends the change feed to a connection until one of them ends.
fn followed(stream: &TcpStream, reader: &mut BufReader<&TcpStream>, shared: &Shared) -> io::Result<()> {
    let feed = shared.emulator.follow(FEED_CAPACITY);
    let closer = feed.closer();
    thread::scope(|scope| {
        let forward = move || {
            let ended = forward(stream, &feed);
            // The client reads what was sent, then the end of the stream, and disconnects.
            let _ = stream.shutdown(Shutdown::Write);
            ended
        };
        let sender = thread::Builder::new().name("emulator-feed".into()).spawn_scoped(scope, forward)?;
        let more: io::Result<Option<Request>> = receive(reader);
        closer.close();
        // Ends a write to a client that does not read.
        let _ = stream.shutdown(Shutdown::Both);
        // A client that disconnects makes a write fail.
        let _ = sender.join();
        match more? {
            None => Ok(()),
            Some(_) => Err(invalid("unexpected request after Follow")),
        }
    })
}

/// Sends changes until the feed or the connection ends.
fn forward(mut stream: &TcpStream, feed: &ChangeFeed) -> io::Result<()> {
    loop {
        let mut frames = Vec::new();
        let mut next = feed.recv().map(Some);
        let end = loop {
            match next {
                Ok(Some(change)) => frames.append(&mut encode(&Answer::Changed(change))?),
                Ok(None) => break None,
                Err(end) => break Some(end),
            }
            if frames.len() >= MAX_WRITE {
                break None;
            }
            next = feed.try_recv();
        };
        if let Some(end) = end {
            frames.append(&mut encode(&Answer::FeedEnded(end))?);
        }
        stream.write_all(&frames)?;
        if end.is_some() {
            return Ok(());
        }
    }
}

fn send(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    let frame = match encode(answer) {
        Ok(frame) => frame,
        Err(error) => {
            let error = error.to_string();
            encode(&match answer {
                Answer::Call(_) => Answer::Call(Err(Failure::explained(Hresult::E_OUTOFMEMORY, &error))),
                _ => Answer::Control(Err(error)),
            })?
        }
    };
    stream.write_all(&frame)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Hns { code, record, .. } => Failure { code, record },
        other => Failure::explained(Hresult::RPC_S_CALL_FAILED, &other.to_string()),
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// One connection of a client. Dropping the last one closes the handles of the client.
pub(crate) struct Session<'a> {
    shared: &'a Shared,
    client: Guid,
}

impl<'a> Session<'a> {
    pub(crate) fn new(shared: &'a Shared, client: Guid) -> Self {
        shared.clients().connect(client);
        Self { shared, client }
    }

    pub(crate) fn call(&self, mut call: Call) -> Result<Reply, Failure> {
        self.disown(&mut call);
        let result = self.shared.emulator.call(&call);
        match (&call, &result) {
            (Call::Create { kind, .. } | Call::Open { kind, .. }, Ok(Reply::Handle(handle))) => {
                self.shared.clients().opened(self.client, *handle, *kind);
            }
            (Call::Close { handle, .. }, Ok(_)) => self.shared.clients().closed(self.client, *handle),
            _ => {}
        }
        result.map_err(failure)
    }

    /// Replaces a handle of another client by an invalid one: handles are valid in one process only.
    fn disown(&self, call: &mut Call) {
        let handle = match call {
            Call::Create { network: Some(handle), .. }
            | Call::Query { handle, .. }
            | Call::Modify { handle, .. }
            | Call::Close { handle, .. } => handle,
            _ => return,
        };
        if !self.shared.clients().has_opened(self.client, *handle) {
            *handle = Handle(0);
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut clients = self.shared.clients();
        // Closed under the lock, so that the handles are closed before `Running::clients` no longer counts the client.
        for (handle, kind) in clients.disconnect(self.client) {
            let _ = self.shared.emulator.call(&Call::Close { kind, handle });
        }
    }
}

pub(crate) fn control(shared: &Shared, command: Command) -> Result<Outcome, String> {
    let emulator: &Emulator = &shared.emulator;
    match command {
        Command::Documents(kind) => return Ok(Outcome::Documents(emulator.documents(kind))),
        Command::Journal => {
            return Ok(Outcome::Journal(emulator.journal_details().into_iter().map(Into::into).collect()));
        }
        Command::Counters => {
            let functions = emulator.counters().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
            let counters = Counters { functions, native_calls: emulator.native_calls(), writes: emulator.writes() };
            return Ok(Outcome::Counters(counters));
        }
        Command::Options => return Ok(Outcome::Options(emulator.options())),
        Command::Quirks => return Ok(Outcome::Quirks(emulator.build().quirks)),
        Command::Host => return Ok(Outcome::Host(emulator.to_host(&shared.facts))),
        Command::Facts => return Ok(Outcome::Host(shared.facts.clone())),
        Command::Add { kind, document } => return add(emulator, kind, document),
        Command::AddLocalEndpoint { network, name, addresses } => {
            if emulator.document(Kind::Network, network).is_none() {
                return Err(format!("network {network} not found"));
            }
            return Ok(Outcome::Id(emulator.add_local_endpoint(network, &name, &addresses)));
        }
        Command::Remove { kind, id } => {
            present(emulator, kind, id)?;
            emulator.remove(kind, id);
        }
        Command::Replace { kind, id, document } => {
            present(emulator, kind, id)?;
            check(&document)?
                .filter(|own| *own != id)
                .map_or(Ok(()), |own| Err(format!("invalid document of {} {id}: its ID is {own}", kind.name())))?;
            emulator.replace(kind, id, document);
        }
        Command::ResetJournal => emulator.reset_journal(),
        Command::Inject(fault, None) => emulator.inject(fault),
        Command::Inject(fault, Some(times)) => emulator.inject_times(fault, times),
        Command::ClearFaults => emulator.clear_faults(),
        Command::Release => emulator.release(),
        Command::HungCalls => return Ok(Outcome::Number(emulator.hung_calls())),
        Command::SetOptions(options) => emulator.change_options(|now| *now = options),
        Command::SetQuirks(quirks) => emulator.change_quirks(|now| *now = quirks),
        Command::Stop(lost) => emulator.stop(&lost),
        Command::Start => emulator.start(),
        Command::Reappear => emulator.reappear(),
    }
    Ok(Outcome::Done)
}

fn present(emulator: &Emulator, kind: Kind, id: Guid) -> Result<(), String> {
    match emulator.document(kind, id) {
        Some(_) => Ok(()),
        None => Err(format!("{} {id} not found", kind.name())),
    }
}

/// The id in a document, if it has one.
fn check(document: &serde_json::Value) -> Result<Option<Guid>, String> {
    if !document.is_object() {
        return Err("invalid document: expected a JSON object".into());
    }
    let Some(id) = document.get("ID").filter(|id| !id.is_null()) else { return Ok(None) };
    let id: Option<Guid> = id.as_str().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| "invalid ID in the document".into())
}

fn add(emulator: &Emulator, kind: Kind, document: serde_json::Value) -> Result<Outcome, String> {
    if let Some(id) = check(&document)?
        && emulator.document(kind, id).is_some()
    {
        return Err(format!("{} {id} already exists", kind.name()));
    }
    Ok(Outcome::Id(emulator.add(kind, document)))
}
