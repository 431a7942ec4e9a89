//! Sockets: binds an address, serves it, and releases it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::connection;
use super::connections::Connections;
use super::tls::Tls;
use crate::metrics::Metrics;

/// The pause between attempts to bind an address that another program has.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The TCP keepalive of connections: external load balancers can disappear without closing theirs.
const KEEPALIVE: Duration = Duration::from_secs(15);
const BACKLOG: i32 = 1024;
/// The pause after a failed accept. The connections that make room end in this time.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(10);
/// The pause after a panic: one for each connection must not fill the log.
const PANIC_RETRY_AFTER: Duration = Duration::from_millis(100);
/// In a flood, accepts fail and succeed in turns.
const ACCEPT_ERRORS_RESOLVED_AFTER: Duration = Duration::from_secs(60);

/// From which IP families an unspecified address accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callers {
    /// From both families, if the host has both. kube-proxy does the same: Go binds a dual-stack socket for an unspecified address.
    All,
    OwnFamily,
}

pub(super) fn bind(address: SocketAddr, callers: Callers) -> io::Result<TcpListener> {
    if callers == Callers::All && address.ip().is_unspecified() {
        let everywhere = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port());
        match socket(everywhere, false) {
            // There are many error codes for a host without IPv6.
            Err(error) if error.kind() != ErrorKind::AddrInUse && address.is_ipv4() => {}
            result => return result,
        }
    }
    socket(address, true)
}

fn socket(address: SocketAddr, own_family_only: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(own_family_only)?;
    }
    // On Windows two programs could share the address with this option.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Each open address holds a clone. Once all are dropped, the addresses are free.
pub(super) type Claim = mpsc::Sender<()>;

/// What is served at an address.
#[derive(Clone)]
pub(super) struct Served {
    /// The label of metrics.
    pub(super) name: &'static str,
    pub(super) router: Router,
    /// None to serve HTTP without TLS.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) connections: Arc<Connections>,
    pub(super) metrics: Arc<Metrics>,
    /// Dropped when the address is free again.
    pub(super) claim: Claim,
}

/// An address that is served until this is dropped or closed.
#[derive(Debug)]
pub(super) struct Open {
    stop: oneshot::Sender<()>,
    closed: oneshot::Receiver<()>,
}

impl Open {
    /// Has to be called in a runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the socket.
    pub(super) fn new(listener: TcpListener, served: Served) -> io::Result<Self> {
        Self::accepting(listener, served, accept)
    }

    fn accepting<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        served: Served,
        accept: impl Fn(Arc<tokio::net::TcpListener>, Served) -> F + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = Arc::new(tokio::net::TcpListener::from_std(listener)?);
        let (stop, stopped) = oneshot::channel();
        let (gone, closed) = oneshot::channel();
        tokio::spawn(async move {
            let mut accepting = JoinSet::new();
            let keep_accepting = async {
                loop {
                    accepting.spawn(accept(listener.clone(), served.clone()));
                    // It ends only by a panic, which the hook has logged. Without another one, the address would be closed for good.
                    let _ = accepting.join_next().await;
                    served.metrics.accept_error(served.name);
                    error!("listener {}: started again after a panic", served.name);
                    sleep(PANIC_RETRY_AFTER).await;
                }
            };
            tokio::select! {
                () = keep_accepting => {}
                // The sender is dropped to stop the task.
                _ = stopped => {}
            }
            accepting.shutdown().await;
            // In this order: both tell that the address is free.
            drop(listener);
            drop((gone, served.claim));
        });
        Ok(Self { stop, closed })
    }

    /// Releases the address. Requests in progress are still answered.
    pub(super) async fn close(self) {
        drop(self.stop);
        // Dropped, not sent: the error is the message.
        let _ = self.closed.await;
    }
}

/// Accepts connections until it is cancelled. Their last requests are answered then.
async fn accept(listener: Arc<tokio::net::TcpListener>, served: Served) {
    let Served { name, router, tls, connections, metrics, .. } = &served;
    let number = connections.add_listener();
    let (_running, stopped) = watch::channel(());
    let mut failed: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if failed.take_if(|last| last.elapsed() >= ACCEPT_ERRORS_RESOLVED_AFTER).is_some() {
                    info!("listener {name}: cannot accept connections: resolved");
                }
                // Without keepalive, a dead connection only costs memory.
                let _ = SockRef::from(&stream)
                    .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
                let connection = connections.admit(number).await;
                let served = connection::serve(stream, tls.clone(), router.clone(), connection, stopped.clone());
                let (name, metrics) = (*name, metrics.clone());
                tokio::spawn(async move {
                    served.await.into_iter().for_each(|cause| metrics.connection_closed(name, cause.as_str()));
                });
            }
            // The client has closed the connection before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                metrics.accept_error(name);
                if failed.replace(Instant::now()).is_none() {
                    warn!("listener {name}: cannot accept connections: {error}");
                }
                // The process has no descriptors or no memory left. New clients wait in the queue of the socket.
                connections.evict_half();
                sleep(ACCEPT_RETRY_AFTER).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::serve::connections::Limits;
    use crate::serve::key_pair::KeyPairFiles;

    fn open(listener: TcpListener, router: Router, limits: Limits) -> Open {
        open_with(None, listener, router, limits)
    }

    fn open_with(tls: Option<Arc<Tls>>, listener: TcpListener, router: Router, limits: Limits) -> Open {
        let (connections, claim) = (Arc::new(Connections::new(limits)), mpsc::channel(1).0);
        Open::new(listener, Served { name: "test", router, tls, connections, metrics: Arc::default(), claim }).unwrap()
    }

    /// Serves a page at an address, with short timeouts.
    fn impatient(request: u64, idle: u64) -> (Open, SocketAddr) {
        impatient_with(None, request, idle)
    }

    fn impatient_with(tls: Option<Arc<Tls>>, request: u64, idle: u64) -> (Open, SocketAddr) {
        let listener = bind("127.0.0.1:0".parse().unwrap(), Callers::OwnFamily).unwrap();
        let address = listener.local_addr().unwrap();
        let [request_timeout, idle_timeout] = [request, idle].map(Duration::from_millis);
        let limits = Limits { request_timeout, idle_timeout, ..Limits::default() };
        (open_with(tls, listener, Router::new().route("/", get(|| async { "page" })), limits), address)
    }

    /// Sends a text, and returns all that is answered until the server closes the connection.
    async fn exchange(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Bytes that the server has not read reset the connection.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn an_address_is_free_as_soon_as_it_is_released() {
        run(async {
            let listener = bind("127.0.0.1:0".parse().unwrap(), Callers::OwnFamily).unwrap();
            let address = listener.local_addr().unwrap();
            let open = open(listener, Router::new(), Limits::default());
            assert_eq!(bind(address, Callers::OwnFamily).unwrap_err().kind(), ErrorKind::AddrInUse);
            open.close().await;
            bind(address, Callers::OwnFamily).unwrap();
        });
    }

    #[test]
    fn an_address_is_served_again_after_a_panic() {
        run(async {
            let listener = bind("127.0.0.1:0".parse().unwrap(), Callers::OwnFamily).unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new().route("/", get(|| async { "page" }));
            let (connections, claim) = (Arc::new(Connections::new(Limits::default())), mpsc::channel(1).0);
            let served = Served { name: "test", router, tls: None, connections, metrics: Arc::default(), claim };
            let panics = AtomicBool::new(true);
            let accept = move |listener: Arc<tokio::net::TcpListener>, served| {
                let panics = panics.swap(false, Ordering::Relaxed);
                async move {
                    if panics {
                        let _ = listener.accept().await;
                        panic!("on purpose");
                    }
                    super::accept(listener, served).await;
                }
            };
            let open = Open::accepting(listener, served, accept).unwrap();
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            assert_eq!(exchange(address, request).await, "");
            assert!(exchange(address, request).await.ends_with("\r\n\r\npage"));
            open.close().await;
            bind(address, Callers::OwnFamily).unwrap();
        });
    }

    #[test]
    fn each_family_has_its_own_socket_where_that_is_asked() {
        run(async {
            let four = bind("0.0.0.0:0".parse().unwrap(), Callers::OwnFamily).unwrap();
            let port = four.local_addr().unwrap().port();
            let all = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
            // A host without IPv6 has nothing to show here.
            if std::net::TcpListener::bind("[::1]:0").is_ok() {
                bind(all, Callers::OwnFamily).unwrap();
            }
        });
    }

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_connection_without_a_complete_request_is_closed() {
        run(async {
            let (_open, address) = impatient(100, HOUR);
            for sent in ["", "GET / HTTP/1.1\r\nHost: a\r\n"] {
                assert_eq!(exchange(address, sent).await, "", "{sent}");
            }
        });
    }

    #[test]
    fn a_connection_without_a_complete_handshake_is_closed() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let [certificate, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
            let tls = Tls::open("metrics", KeyPairFiles { certificate, key }).unwrap();
            let (_open, address) = impatient_with(Some(Arc::new(tls)), 100, HOUR);
            // The beginning of a record with a handshake.
            for sent in ["", "\u{16}\u{3}\u{1}\u{2}"] {
                assert_eq!(exchange(address, sent).await, "", "{sent:?}");
            }
        });
    }

    #[test]
    fn a_connection_without_another_request_is_closed() {
        run(async {
            let (_open, address) = impatient(500, 501);
            for rest in ["", "GET /"] {
                let answer = exchange(address, &format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{rest}")).await;
                assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\npage"), "{answer}");
            }
        });
    }

    #[test]
    fn a_request_with_too_many_or_too_large_headers_is_refused() {
        run(async {
            let (_open, address) = impatient(HOUR, HOUR);
            let many = (0..200).map(|n| format!("h{n}: v\r\n")).collect();
            for headers in [many, format!("h: {}\r\n", "v".repeat(32 << 10))] {
                let answer = exchange(address, &format!("GET / HTTP/1.1\r\n{headers}\r\n")).await;
                assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
            }
        });
    }

    #[test]
    fn a_released_address_closes_idle_connections() {
        run(async {
            let (open, address) = impatient(HOUR, HOUR);
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
            open.close().await;
            stream.read_to_string(&mut String::new()).await.unwrap();
        });
    }
}
