//! Asks servers of the cluster, all at the same time: a DNS query by UDP or TCP, or whether they accept a TCP connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use super::facts::{Answer, Server, Transport};
use crate::dns_message::{HEADER, ID, MAX_UDP, SENDS, code, query};

/// Of the connection, and of each message.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The codes (RCODE) of the answers to a DNS query, in the order of the servers.
pub(super) fn codes(servers: Vec<Server>) -> Vec<Answer<u8>> {
    each(servers, code_of)
}

/// Whether the servers accept TCP connections, which are closed at once, in the order of the servers.
pub(super) fn connections(servers: Vec<Server>) -> Vec<Answer<()>> {
    each(servers, |address, _| TcpStream::connect_timeout(&address, TIMEOUT).map(drop))
}

fn each<T: Send>(servers: Vec<Server>, ask: fn(SocketAddr, Transport) -> io::Result<T>) -> Vec<Answer<T>> {
    thread::scope(|scope| {
        let begun: Vec<_> = servers
            .into_iter()
            .map(|server| {
                let (address, transport) = (server.address, server.transport);
                (server, scope.spawn(move || ask(address, transport)))
            })
            .collect();
        let answer = |(server, thread): (Server, thread::ScopedJoinHandle<'_, io::Result<T>>)| {
            let result = thread.join().unwrap_or_else(|_| Err(io::Error::other("the query failed")));
            Answer { server, result: result.map_err(|error| reason(&error)) }
        };
        begun.into_iter().map(answer).collect()
    })
}

fn reason(error: &io::Error) -> String {
    if is_timeout(error) { format!("no answer in {} s", TIMEOUT.as_secs()) } else { error.to_string() }
}

/// The names of the system differ.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn code_of(address: SocketAddr, transport: Transport) -> io::Result<u8> {
    let answer = match transport {
        Transport::Udp => by_udp(address)?,
        Transport::Tcp => by_tcp(address)?,
    };
    code(&answer, ID).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not DNS"))
}

fn by_udp(address: SocketAddr) -> io::Result<Vec<u8>> {
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_read_timeout(Some(TIMEOUT / SENDS))?;
    socket.connect(address)?;
    let mut answer = vec![0; MAX_UDP];
    let mut received = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..SENDS {
        socket.send(&query(ID))?;
        received = socket.recv(&mut answer);
        if !received.as_ref().is_err_and(is_timeout) {
            break;
        }
    }
    answer.truncate(received?);
    Ok(answer)
}

fn by_tcp(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let question = query(ID);
    let length = u16::try_from(question.len()).unwrap_or_default();
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    // The header is enough, and a server that sends the rest slowly is not waited for.
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length)).min(HEADER)];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(address: SocketAddr, transport: Transport) -> Server {
        Server { service: "kube-system/kube-dns".into(), address, transport, is_backend: false }
    }

    /// The answer with a code to a question.
    fn answer(question: &[u8], code: u8) -> Vec<u8> {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        answer[3] |= code;
        answer
    }

    #[test]
    fn servers_that_answer_have_a_code_and_others_a_reason() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(TIMEOUT * 2)).unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let servers = vec![
            server(udp.local_addr().unwrap(), Transport::Udp),
            server(tcp.local_addr().unwrap(), Transport::Tcp),
            server(silent.local_addr().unwrap(), Transport::Udp),
            server(closed, Transport::Tcp),
        ];
        let udp = thread::spawn(move || {
            let mut question = [0; MAX_UDP];
            // The first one is lost.
            udp.recv_from(&mut question).unwrap();
            let (length, from) = udp.recv_from(&mut question).unwrap();
            udp.send_to(&answer(&question[..length], 3), from).unwrap();
        });
        let tcp = thread::spawn(move || {
            let mut stream = tcp.accept().unwrap().0;
            let mut question = vec![0; 2 + query(ID).len()];
            stream.read_exact(&mut question).unwrap();
            let answer = answer(&question[2..], 0);
            stream.write_all(&[&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat()).unwrap();
        });
        let codes: Vec<_> = codes(servers).into_iter().map(|answer| answer.result).collect();
        assert_eq!(codes[..3], [Ok(3), Ok(0), Err("no answer in 2 s".to_owned())]);
        assert!(codes[3].is_err());
        udp.join().unwrap();
        tcp.join().unwrap();
    }

    #[test]
    fn only_a_listener_accepts_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let servers = [listener.local_addr().unwrap(), closed].map(|address| server(address, Transport::Tcp));
        let accepted: Vec<_> = connections(servers.to_vec()).iter().map(|answer| answer.result.is_ok()).collect();
        assert_eq!(accepted, [true, false]);
    }
}
