//! The HTTP server of a pod. It answers each request with the name of the pod and the address of the client that it sees.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use vswitch_lab::tun::Namespace;

use super::cluster::TARGET_PORT;

/// How long a client may take for its request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Server {
    has_to_stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts a server in a namespace.
    pub(super) fn start(namespace: &Namespace, name: &str) -> Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, TARGET_PORT));
        let listener = namespace.run(bind)?.with_context(|| format!("cannot start the server of {name}"))?;
        let has_to_stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (has_to_stop, name) = (has_to_stop.clone(), name.to_owned());
            std::thread::spawn(move || serve(&listener, &name, &has_to_stop))
        };
        Ok(Self { has_to_stop, thread })
    }

    /// Answers the connections that are open, and ends.
    pub(super) fn stop(self, namespace: &Namespace) {
        self.has_to_stop.store(true, Ordering::Relaxed);
        // Connections are accepted in order, so this one is the last.
        let last = namespace.run(|| TcpStream::connect((Ipv4Addr::LOCALHOST, TARGET_PORT)));
        if matches!(last, Ok(Ok(_))) {
            // A panic of the thread was reported by the thread.
            let _ = self.thread.join();
        }
    }
}

fn serve(listener: &TcpListener, name: &str, has_to_stop: &AtomicBool) {
    std::thread::scope(|connections| {
        for connection in listener.incoming() {
            // A connection that fails is a failed request, which its client counts.
            let Ok(connection) = connection else { continue };
            let Ok(client) = connection.peer_addr() else { continue };
            if client.ip().is_loopback() && has_to_stop.load(Ordering::Relaxed) {
                return;
            }
            connections.spawn(move || answer(&connection, name, client));
        }
    });
}

fn answer(mut connection: &TcpStream, name: &str, client: SocketAddr) -> std::io::Result<()> {
    connection.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut lines = BufReader::new(connection).lines();
    // The request ends with an empty line.
    while !lines.next().transpose()?.unwrap_or_default().is_empty() {}
    let body = format!("{name} answers {client}\n");
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    connection.shutdown(Shutdown::Write)?;
    // Until the client closes: it has the answer then, and the pod can end.
    lines.next().transpose().map(drop)
}
