//! The server as scripts see it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::Problem;
use crate::kind::Kind;
use crate::kubeconfig::{Credentials, kubeconfig};
use crate::mood::{ExpiredWatches, Mood, StreamedLists};
use crate::port::Port;
use crate::session::serve;
use crate::shared::{Received, Shared};
use crate::store::{Says, Word};
use crate::stream::Stream;
use crate::tls::{ClientCertificate, Tls};

/// A server, which ends when it is dropped. Each of its methods takes effect at once, and for all connections.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    port: Mutex<Port>,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl ApiServer {
    /// Serves HTTP at a free port of the loopback interface.
    ///
    /// # Errors
    /// If there is no port to be had.
    pub fn start() -> io::Result<Self> {
        Self::start_at(LOOPBACK, false)
    }

    /// Serves HTTPS at a free port of the loopback interface.
    ///
    /// # Errors
    /// If there is no port to be had, or certificates can't be made.
    pub fn start_tls() -> io::Result<Self> {
        Self::start_at(LOOPBACK, true)
    }

    /// Serves HTTP or HTTPS at an address.
    ///
    /// # Errors
    /// If the address can't be taken, or certificates can't be made.
    pub fn start_at(address: SocketAddr, tls: bool) -> io::Result<Self> {
        let port = Port::take(address)?;
        let address = port.address();
        let tls = tls.then(|| Tls::new(address)).transpose()?.map(Arc::new);
        let server = Self { shared: Arc::new(Shared::new()), port: Mutex::new(port), address, tls };
        server.come_back()?;
        Ok(server)
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves, as `--master` and kubeconfigs have it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A kubeconfig that leads here. JSON is YAML: written to a file as it is, any client reads it.
    #[must_use]
    pub fn kubeconfig(&self, credentials: &Credentials) -> Value {
        kubeconfig(&self.url(), self.tls.as_deref(), credentials)
    }

    /// The certificate of the authority by which clients know the server, as PEM; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        self.tls.as_deref().map(Tls::authority)
    }
}

/// Objects.
impl ApiServer {
    /// Creates an object, or takes the place of the one of its name.
    ///
    /// # Errors
    /// If it is of no kind that is served, or has no name.
    pub fn put(&self, object: Value) -> Result<(), Problem> {
        self.shared.change(|all| all.store.put(object))
    }

    /// Puts each item of a `List`, or each element of an array.
    ///
    /// # Errors
    /// At the first item that is no object of a kind that is served.
    pub fn load(&self, list: Value) -> Result<(), Problem> {
        items(list).into_iter().try_for_each(|object| self.put(object))
    }

    /// Deletes an object, and says whether there was one. Where a kind has no namespaces, the namespace is empty.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.shared.change(|all| all.store.delete((kind, namespace.to_owned(), name.to_owned())))
    }

    /// One object.
    #[must_use]
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let object = self.shared.lock().store.get(&(kind, namespace.to_owned(), name.to_owned()));
        object.map(|object| (*object).clone())
    }

    /// All objects, by kind, namespace and name.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        self.shared.lock().store.objects().map(|object| (**object).clone()).collect()
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.lock().store.version()
    }

    /// The Events that were sent, in the order in which they were created, patches applied.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().events.clone()
    }
}

/// History.
impl ApiServer {
    /// Forgets all versions before the present one, as the API server does after some minutes: who asks for what came after them is
    /// answered 410.
    pub fn forget(&self) {
        self.shared.change(|all| all.store.forget());
    }

    /// Cuts all connections, and goes on with these objects, which have other and lower resource versions than those before: an etcd
    /// restored from a backup.
    ///
    /// For the server, the versions that clients know are then still to come. A list of such a version is refused as a timeout, and so
    /// is a streamed one. A plain watch from such a version is *silent*: the API server accepts it, and sends nothing until its own
    /// versions have come so far.
    ///
    /// # Errors
    /// At the first item that is no object of a kind that is served; then nothing has changed.
    pub fn restore(&self, list: Value) -> Result<(), Problem> {
        self.shared.change(|all| {
            all.store.restore(items(list))?;
            all.cut_all();
            Ok(())
        })
    }

    /// Forgets the Events that were sent, as the API server does after an hour.
    pub fn forget_events(&self) {
        self.shared.change(|all| all.events.clear());
    }

    /// Sends a bookmark to each watch that allows them, of one kind or of all.
    pub fn bookmark(&self, kind: Option<Kind>) {
        self.shared.change(|all| {
            let says = Says::Bookmark(all.store.version());
            all.store.say(Word { kind, says });
        });
    }

    /// Sends any text to each open watch, of one kind or of all.
    pub fn say(&self, kind: Option<Kind>, text: &str) {
        self.shared.change(|all| all.store.say(Word { kind, says: Says::Text(text.to_owned(), false) }));
    }

    /// Sends any text, half a line for instance, to each open watch, of one kind or of all, and cuts its connection.
    pub fn break_off(&self, kind: Option<Kind>, text: &str) {
        self.shared.change(|all| all.store.say(Word { kind, says: Says::Text(text.to_owned(), true) }));
    }
}

/// Moods.
impl ApiServer {
    /// How requests are answered from now on, whatever they ask for.
    pub fn set_mood(&self, mood: Mood) {
        self.shared.change(|all| {
            all.behaviour.mood = mood;
            all.behaviour.moods.clear();
        });
    }

    /// How requests for one kind are answered from now on.
    pub fn set_mood_for(&self, kind: Kind, mood: Mood) {
        self.shared.change(|all| all.behaviour.moods.insert(kind, mood));
    }

    /// Whether lists are streamed.
    pub fn set_streamed_lists(&self, streamed_lists: StreamedLists) {
        self.shared.change(|all| all.behaviour.streamed_lists = streamed_lists);
    }

    /// How a watch is refused whose version is forgotten.
    pub fn set_expired_watches(&self, expired_watches: ExpiredWatches) {
        self.shared.change(|all| all.behaviour.expired_watches = expired_watches);
    }

    /// Lets in only whoever has one of these tokens, or a certificate. Who is in already stays.
    pub fn allow_tokens<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) {
        let tokens = tokens.into_iter().map(str::to_owned).collect();
        self.shared.change(|all| all.behaviour.tokens = Some(tokens));
    }

    /// The certificate of clients, and its key, as files have them; none without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<(String, String)> {
        let ClientCertificate { certificate, key, .. } = self.tls.as_ref()?.client();
        Some((certificate, key))
    }

    /// Gives clients another certificate, and no longer accepts the one before. Who is in already stays.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn renew_certificate(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            let ClientCertificate { der, .. } = tls.renew_client()?;
            self.shared.change(|all| all.behaviour.withdrawn.insert(der));
        }
        Ok(())
    }

    /// Lets in everyone, as at first.
    pub fn allow_anyone(&self) {
        self.shared.change(|all| all.behaviour.tokens = None);
    }
}

/// Connections.
impl ApiServer {
    /// Cuts all connections, in the middle of whatever they say.
    pub fn cut(&self) {
        self.shared.change(|all| all.cut_all());
    }

    /// Is gone: cuts all connections, and refuses new ones.
    pub fn go_away(&self) {
        self.port.lock().unwrap_or_else(PoisonError::into_inner).close();
        self.cut();
    }

    /// Is there again, at the same address.
    ///
    /// # Errors
    /// If the port can't be opened.
    pub fn come_back(&self) -> io::Result<()> {
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        port.open(move |stream| accept(&shared, tls.as_deref(), stream))
    }

    /// How many watches of a kind are open.
    #[must_use]
    pub fn watches(&self, kind: Kind) -> usize {
        let all = self.shared.lock();
        all.connections.values().filter(|connection| connection.busy.is_some_and(|(_, of)| of == Some(kind))).count()
    }

    /// Every request so far, whatever became of it.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How often something was asked of a kind over all namespaces: list, watch.
    #[must_use]
    pub fn count(&self, verb: &str, kind: Kind) -> usize {
        let path = kind.path();
        self.shared.lock().received.iter().filter(|request| request.verb == verb && request.path == path).count()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn accept(shared: &Arc<Shared>, tls: Option<&Tls>, socket: TcpStream) {
    // What fails here is no connection yet, and nothing is owed to it.
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
