//! The server's port: open, or closed and kept, so that it can be opened again.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The own address takes a connection within this time, or never will.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// A port. Closed, it refuses connections, and no one else is given it.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound as well, and never listening.
    _kept: Socket,
    open: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Port {
    /// Takes an address. Port 0 lets the system choose one.
    pub(crate) fn take(address: SocketAddr) -> io::Result<Self> {
        let kept = bound(address)?;
        let address = kept.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { address, _kept: kept, open: None })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives every connection to `serve`, until the port is closed.
    pub(crate) fn open(&mut self, serve: impl Fn(TcpStream) + Send + 'static) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let socket = bound(self.address)?;
        socket.listen(1024)?;
        let listener = TcpListener::from(socket);
        let ends = Arc::new(AtomicBool::new(false));
        let end = ends.clone();
        let thread = thread::spawn(move || {
            // Whoever went away before being taken is not missed.
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Acquire) {
                    break;
                }
                serve(stream);
            }
        });
        self.open = Some(Listening { ends, thread });
        Ok(())
    }

    /// Refuses connections from now on. Those that are open are none of its business.
    pub(crate) fn close(&mut self) {
        let Some(Listening { ends, thread }) = self.open.take() else { return };
        ends.store(true, Ordering::Release);
        // It waits for a connection: here is one. Without it, the thread can't be waited for either.
        if TcpStream::connect_timeout(&self.address, WAKE_TIMEOUT).is_ok() {
            let _ = thread.join();
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // So that it can be bound anew while old connections fade away.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
