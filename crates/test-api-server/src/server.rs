//! The interface of the server for tests.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Problem;
use crate::fault_mode::{ExpiredWatches, FaultMode, StreamedLists};
use crate::kind::Kind;
use crate::kubeconfig::{Credentials, kubeconfig};
use crate::port::Port;
use crate::session::serve;
use crate::shared::{Received, Shared};
use crate::store::{Content, Message};
use crate::stream::Stream;
use crate::tls::{ClientCertificate, ServerCertificate, Tls};

/// A server, which stops when it is dropped. Methods take effect at once and for all connections.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    port: Mutex<Port>,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl ApiServer {
    /// Serves HTTP on a free port of the loopback interface.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start() -> io::Result<Self> {
        Self::start_at(LOOPBACK, false)
    }

    /// Serves HTTPS on a free port of the loopback interface.
    ///
    /// # Errors
    /// If no port is free, or certificates cannot be generated.
    pub fn start_tls() -> io::Result<Self> {
        Self::start_at(LOOPBACK, true)
    }

    /// Serves HTTPS on a free port of the loopback interface, with a certificate that is its own certificate authority, and a key on P-521.
    ///
    /// # Errors
    /// If no port is free, or certificates cannot be generated.
    pub fn start_self_signed() -> io::Result<Self> {
        Self::start_with(LOOPBACK, Some(ServerCertificate::SelfSigned))
    }

    /// Serves HTTP or HTTPS on an address.
    ///
    /// # Errors
    /// If the address cannot be bound, or certificates cannot be generated.
    pub fn start_at(address: SocketAddr, tls: bool) -> io::Result<Self> {
        Self::start_with(address, tls.then_some(ServerCertificate::Signed))
    }

    fn start_with(address: SocketAddr, certificate: Option<ServerCertificate>) -> io::Result<Self> {
        let port = Port::take(address)?;
        let address = port.address();
        let tls = certificate.map(|certificate| Tls::new(address, certificate)).transpose()?.map(Arc::new);
        let server = Self { shared: Arc::new(Shared::new()), port: Mutex::new(port), address, tls };
        server.make_available()?;
        Ok(server)
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, as for `--master` and in kubeconfigs.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A kubeconfig for this server, as JSON, which is YAML that any client reads.
    #[must_use]
    pub fn kubeconfig(&self, credentials: &Credentials) -> Value {
        kubeconfig(&self.url(), self.tls.as_deref(), credentials)
    }

    /// The certificate of the certificate authority of the server, as PEM; `None` without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        self.tls.as_deref().map(Tls::authority)
    }
}

/// Objects.
impl ApiServer {
    /// Creates an object, or replaces the one with its name.
    ///
    /// # Errors
    /// If its kind is unknown, or it has no name.
    pub fn put(&self, object: Value) -> Result<(), Problem> {
        self.shared.change(|all| all.store.put(object))
    }

    /// Puts each item of a `List`, or each element of an array.
    ///
    /// # Errors
    /// At the first invalid item, as [`Self::put`].
    pub fn load(&self, list: Value) -> Result<(), Problem> {
        items(list).into_iter().try_for_each(|object| self.put(object))
    }

    /// Deletes an object; `false` if there is none. The namespace of a cluster-scoped kind is empty.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.shared.change(|all| all.store.delete((kind, namespace.to_owned(), name.to_owned())))
    }

    #[must_use]
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let object = self.shared.lock().store.get(&(kind, namespace.to_owned(), name.to_owned()));
        object.map(|object| (*object).clone())
    }

    /// All objects, ordered by kind, namespace and name.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        self.shared.lock().store.objects().map(|object| (**object).clone()).collect()
    }

    /// The resource version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.lock().store.version()
    }

    /// The Events that clients have sent, in the order of their creation, with patches applied.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().events.clone()
    }
}

/// Resource versions and watches.
impl ApiServer {
    /// Expires all resource versions before the current one, as the API server does after some minutes: a request from an expired version
    /// is rejected with code 410.
    pub fn forget(&self) {
        self.shared.change(|all| all.store.forget());
    }

    /// Closes all connections, and continues with these objects, which have lower resource versions than before: an etcd restored from a
    /// backup.
    ///
    /// The versions that clients know are then in the future of the server. A list from such a version is rejected with a timeout, and so
    /// is a streamed list. A plain watch is accepted, but no event is sent until the server reaches that version.
    ///
    /// # Errors
    /// At the first invalid item, as [`Self::put`]; then nothing has changed.
    pub fn restore(&self, list: Value) -> Result<(), Problem> {
        self.shared.change(|all| {
            all.store.restore(items(list))?;
            all.cut_all();
            Ok(())
        })
    }

    /// Deletes all Events, as the API server does after an hour.
    pub fn forget_events(&self) {
        self.shared.change(|all| all.events.clear());
    }

    /// Sends a bookmark to each watch that allows bookmarks, of one kind or of all.
    pub fn bookmark(&self, kind: Option<Kind>) {
        self.shared.change(|all| {
            let content = Content::Bookmark(all.store.version());
            all.store.send(Message { kind, content });
        });
    }

    /// Sends a text, which need not be an event, to each open watch of one kind or of all.
    pub fn send_text(&self, kind: Option<Kind>, text: &str) {
        self.shared.change(|all| all.store.send(Message { kind, content: Content::Text(text.to_owned(), false) }));
    }

    /// Sends a text, for example half a line, to each open watch of one kind or of all, then closes its connection.
    pub fn send_text_and_close(&self, kind: Option<Kind>, text: &str) {
        self.shared.change(|all| all.store.send(Message { kind, content: Content::Text(text.to_owned(), true) }));
    }
}

/// Faults and authentication.
impl ApiServer {
    /// Sets the fault for all requests, and removes those of single kinds.
    pub fn set_fault_mode(&self, fault_mode: FaultMode) {
        self.shared.change(|all| {
            all.behaviour.fault_mode = fault_mode;
            all.behaviour.fault_modes.clear();
        });
    }

    /// Sets the fault for requests of one kind.
    pub fn set_fault_mode_for(&self, kind: Kind, fault_mode: FaultMode) {
        self.shared.change(|all| all.behaviour.fault_modes.insert(kind, fault_mode));
    }

    pub fn set_streamed_lists(&self, streamed_lists: StreamedLists) {
        self.shared.change(|all| all.behaviour.streamed_lists = streamed_lists);
    }

    pub fn set_expired_watches(&self, expired_watches: ExpiredWatches) {
        self.shared.change(|all| all.behaviour.expired_watches = expired_watches);
    }

    /// Compresses streamed lists with gzip for clients that accept it, as API servers do from 1.37 on.
    pub fn compress_streams(&self) {
        self.shared.change(|all| all.behaviour.compressed_streams = true);
    }

    /// Sets how often watches send a bookmark of themselves, as API servers do: every minute at the start. `None`: never.
    pub fn set_bookmark_interval(&self, interval: Option<Duration>) {
        self.shared.change(|all| all.behaviour.bookmark_interval = interval);
    }

    /// The bytes of endless bodies that were sent so far, including those that the network buffers.
    #[must_use]
    pub fn endless_bytes(&self) -> u64 {
        self.shared.lock().endless_bytes
    }

    /// Requires one of these tokens, or a client certificate. Open connections stay authenticated.
    pub fn allow_tokens<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) {
        let tokens = tokens.into_iter().map(str::to_owned).collect();
        self.shared.change(|all| all.behaviour.tokens = Some(tokens));
    }

    /// The client certificate and its key, as PEM; `None` without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<(String, String)> {
        let ClientCertificate { certificate, key, .. } = self.tls.as_ref()?.client();
        Some((certificate, key))
    }

    /// Issues another client certificate, and no longer accepts the previous one. Open connections stay authenticated.
    ///
    /// # Errors
    /// If the certificate cannot be generated.
    pub fn renew_certificate(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            let ClientCertificate { der, .. } = tls.renew_client()?;
            self.shared.change(|all| all.behaviour.withdrawn.insert(der));
        }
        Ok(())
    }

    /// Requires no authentication, as at the start.
    pub fn allow_anyone(&self) {
        self.shared.change(|all| all.behaviour.tokens = None);
    }
}

/// Connections.
impl ApiServer {
    /// Closes all connections, in the middle of answers.
    pub fn cut(&self) {
        self.shared.change(|all| all.cut_all());
    }

    /// Closes all connections and refuses new ones.
    pub fn make_unavailable(&self) {
        self.port.lock().unwrap_or_else(PoisonError::into_inner).close();
        self.cut();
    }

    /// Accepts connections again, on the same address.
    ///
    /// # Errors
    /// If the port cannot be opened.
    pub fn make_available(&self) -> io::Result<()> {
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        port.open(move |stream| accept(&shared, tls.as_deref(), stream))
    }

    /// The number of open watches of a kind.
    #[must_use]
    pub fn watches(&self, kind: Kind) -> usize {
        let all = self.shared.lock();
        all.connections.values().filter(|connection| connection.busy.is_some_and(|(_, of)| of == Some(kind))).count()
    }

    /// All requests so far, including rejected ones.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// The number of requests with a verb (list, watch) for a kind over all namespaces.
    #[must_use]
    pub fn count(&self, verb: &str, kind: Kind) -> usize {
        let path = kind.path();
        self.shared.lock().received.iter().filter(|request| request.verb == verb && request.path == path).count()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.make_unavailable();
    }
}

fn accept(shared: &Arc<Shared>, tls: Option<&Tls>, socket: TcpStream) {
    // A client that disconnects is an error here, but not for the test.
    let _ = socket.set_nodelay(true);
    let (Ok(registered), Ok(stream)) = (socket.try_clone(), socket.try_clone()) else { return };
    let stream = match tls {
        Some(tls) => tls.accept(stream),
        None => Ok(Stream::Plain(stream)),
    };
    let Ok(stream) = stream else { return };
    let id = shared.change(|all| all.connect(registered));
    let shared = shared.clone();
    thread::spawn(move || serve(shared, id, stream, socket));
}

fn items(list: Value) -> Vec<Value> {
    match list {
        Value::Array(items) => items,
        Value::Object(mut list) => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
