//! Probes one address, with a time limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::dns_message;
use crate::status::Question;

/// Long enough for any backend: a response normally takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the address has answered in time.
pub(super) async fn ask(question: Question, address: SocketAddr) -> bool {
    let answered = async {
        match question {
            // Closed at once. Servers that expect TLS log this at most at a high verbosity.
            Question::Connect => TcpStream::connect(address).await.is_ok(),
            Question::Query => query(address).await.unwrap_or(false),
        }
    };
    timeout(TIMEOUT, answered).await.unwrap_or(false)
}

/// # Errors
/// If no socket can be opened, or the system reports that the port is closed.
async fn query(address: SocketAddr) -> std::io::Result<bool> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // A connected socket receives only messages from this address.
    socket.connect(address).await?;
    for _ in 0..dns_message::SENDS {
        socket.send(&dns_message::query(dns_message::ID)).await?;
        // All queries have the same id, so that a late response to an earlier one counts.
        if let Ok(received) = timeout(TIMEOUT / dns_message::SENDS, response(&socket)).await {
            return received.map(|()| true);
        }
    }
    Ok(false)
}

/// Waits for a response to the query. A server that knows no such name is there, too.
async fn response(socket: &UdpSocket) -> std::io::Result<()> {
    let mut response = [0; dns_message::MAX_UDP];
    loop {
        let length = socket.recv(&mut response).await?;
        if dns_message::code(response.get(..length).unwrap_or_default(), dns_message::ID).is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_listener_answers_and_a_closed_port_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(ask(Question::Connect, address).await);
        drop(listener);
        assert!(!ask(Question::Connect, address).await);
    }

    #[tokio::test]
    async fn a_dns_server_answers_with_the_id_of_the_query() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = async {
            let mut message = [0; dns_message::MAX_UDP];
            let (length, client) = server.recv_from(&mut message).await.unwrap();
            let response = &mut message[..length];
            response[2] |= 0x80;
            let mut late = response.to_vec();
            late[0] ^= 1;
            server.send_to(&late, client).await.unwrap();
            server.send_to(response, client).await.unwrap();
        };
        let (answered, ()) = tokio::join!(ask(Question::Query, address), serve);
        assert!(answered);
        drop(server);
        assert!(!ask(Question::Query, address).await);
    }

    /// Receives a number of queries, and answers the last one if `answers`.
    async fn receive(server: &UdpSocket, queries: u32, answers: bool) {
        let mut message = [0; dns_message::MAX_UDP];
        for number in 1..=queries {
            let received = timeout(TIMEOUT * 2, server.recv_from(&mut message)).await.expect("a query");
            let (length, client) = received.unwrap();
            if answers && number == queries {
                message[2] |= 0x80;
                server.send_to(&message[..length], client).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_lost_datagram_is_sent_again_a_limited_number_of_times() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (answered, ()) = tokio::join!(ask(Question::Query, address), receive(&server, 2, true));
        assert!(answered);
        let (answered, ()) = tokio::join!(ask(Question::Query, address), receive(&server, dns_message::SENDS, false));
        assert!(!answered);
        let further = server.try_recv_from(&mut [0; dns_message::MAX_UDP]).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(further, Err(std::io::ErrorKind::WouldBlock));
    }
}
