//! Asks one address, with a time limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::dns;
use crate::status::Question;

/// A backend that answers takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The id of each query. Each has a socket of its own, and so a port of its own: no response to another query arrives there.
const QUERY_ID: u16 = 1;
/// The bytes of a response over UDP without extensions.
const MAX_RESPONSE: usize = 512;

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
/// If no socket can be had, or the system reports that the port is closed.
async fn query(address: SocketAddr) -> std::io::Result<bool> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Only messages from this address are received then.
    socket.connect(address).await?;
    socket.send(&dns::query(QUERY_ID)).await?;
    let mut response = [0; MAX_RESPONSE];
    loop {
        let length = socket.recv(&mut response).await?;
        if dns::answers(response.get(..length).unwrap_or_default(), QUERY_ID) {
            return Ok(true);
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
            let mut message = [0; MAX_RESPONSE];
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
}
