//! The port of the server, which stays reserved while it is closed.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The timeout for a connection to the server's own address.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// A port. While it is closed it refuses connections, and stays reserved.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound to the same address and never listening: this reserves the port.
    _kept: Socket,
    open: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Port {
    /// Binds an address. Port 0 lets the system choose one.
    pub(crate) fn take(address: SocketAddr) -> io::Result<Self> {
        let kept = bound(address)?;
        let address = kept.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { address, _kept: kept, open: None })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes each connection to `serve`, until the port is closed.
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
            // A client that disconnects before it is accepted is an error here, but not for the test.
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

    /// Refuses new connections. Open ones continue.
    pub(crate) fn close(&mut self) {
        let Some(Listening { ends, thread }) = self.open.take() else { return };
        ends.store(true, Ordering::Release);
        // The thread waits for a connection, and ends after this one. If it fails, joining would block.
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
    // Allows binding again while old connections are in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
