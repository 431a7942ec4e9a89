//! Encodes a DNS query, and reads the response code of the response ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035#section-4)).

/// How often a query is sent over UDP, at equal intervals, within the time limit of its answer: a single lost datagram shows nothing about the server.
pub const SENDS: u32 = 3;
/// The id of a query. It can be a constant, because each query has its own socket, which is connected and receives no response to another query.
pub const ID: u16 = 1;
/// The largest number of bytes of a response over UDP without EDNS (RFC 1035, section 2.3.4).
pub const MAX_UDP: usize = 512;
/// The name in the query. In a cluster with the default domain, the cluster DNS resolves it without another server.
const NAME: [&str; 5] = ["kubernetes", "default", "svc", "cluster", "local"];
/// The bytes of a message before its questions.
pub const HEADER: usize = 12;
/// The first bit of the flags: the message is a response.
const RESPONSE: u8 = 0x80;
/// The bits of the code in the second byte of the flags.
const CODE: u8 = 0x0f;
/// Recursion desired. Needed in a cluster with another domain.
const RECURSION_DESIRED: u8 = 0x01;
/// `A` and `IN`.
const TYPE_AND_CLASS: [u8; 4] = [0, 1, 0, 1];

/// The query for an IPv4 address with this id.
pub fn query(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    // One question, and no records.
    let mut message = vec![high, low, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in NAME {
        message.extend(u8::try_from(label.len()));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend(TYPE_AND_CLASS);
    message
}

/// Returns the response code (RCODE) of a response to the query with this id; `None` if the message is not such a response.
pub fn code(message: &[u8], id: u16) -> Option<u8> {
    match message {
        [high, low, flags, more, ..]
            if message.len() >= HEADER && [*high, *low] == id.to_be_bytes() && flags & RESPONSE != 0 =>
        {
            Some(more & CODE)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_question() {
        let expected =
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x0akubernetes\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01";
        assert_eq!(query(0x1234), expected);
    }

    #[test]
    fn only_a_response_with_the_same_id_answers() {
        let query = query(7);
        let mut response = query.clone();
        // NXDOMAIN.
        (response[2], response[3]) = (0x81, 0x83);
        assert_eq!(code(&response, 7), Some(3));
        assert_eq!((code(&response, 8), code(&query, 7)), (None, None), "another id, or a query");
        assert_eq!((code(&response[..11], 7), code(&[], 7)), (None, None));
    }
}
