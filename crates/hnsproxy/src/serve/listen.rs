//! Sockets: binds an address, serves it, and releases it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// The pause between attempts to bind an address that another program has.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The TCP keepalive of connections: external load balancers can disappear without closing theirs.
const KEEPALIVE: Duration = Duration::from_secs(15);
const BACKLOG: i32 = 1024;

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
            Err(error) if error.kind() != io::ErrorKind::AddrInUse && address.is_ipv4() => {}
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

/// An address that is served until this is dropped or closed.
#[derive(Debug)]
pub(super) struct Open {
    stop: oneshot::Sender<()>,
    closed: oneshot::Receiver<()>,
}

impl Open {
    /// Has to be called in a runtime. The claim is dropped when the address is free again.
    ///
    /// # Errors
    /// If the runtime cannot watch the socket.
    pub(super) fn new(listener: TcpListener, router: Router, claim: Claim) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (stop, stopped) = oneshot::channel();
        let (gone, closed) = oneshot::channel();
        let listener = Announced { inner: listener, _gone: gone, _claim: claim };
        let serve = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
        tokio::spawn(async { serve.await });
        Ok(Self { stop, closed })
    }

    /// Releases the address. Requests in progress are still answered.
    pub(super) async fn close(self) {
        drop(self.stop);
        // Dropped, not sent: the error is the message.
        let _ = self.closed.await;
    }
}

/// A listener that signals when it is dropped, which is when the address is free again.
struct Announced {
    inner: tokio::net::TcpListener,
    _gone: oneshot::Sender<()>,
    _claim: Claim,
}

impl axum::serve::Listener for Announced {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, from) = axum::serve::Listener::accept(&mut self.inner).await;
        // Without keepalive, a dead connection only costs memory.
        let _ = SockRef::from(&stream)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        (stream, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn an_address_is_free_as_soon_as_it_is_released() {
        run(async {
            let listener = bind("127.0.0.1:0".parse().unwrap(), Callers::OwnFamily).unwrap();
            let address = listener.local_addr().unwrap();
            let open = Open::new(listener, Router::new(), mpsc::channel(1).0).unwrap();
            assert_eq!(bind(address, Callers::OwnFamily).unwrap_err().kind(), io::ErrorKind::AddrInUse);
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
}
