//! The packet that is explained, as people write it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hcn::schema::Protocol;

use super::PacketError;

/// The first packet of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub protocol: Protocol,
    pub client: IpAddr,
    pub frontend: SocketAddr,
}

impl Question {
    /// # Errors
    /// If no packet can have these addresses.
    pub fn new(client: IpAddr, to: To) -> Result<Self, PacketError> {
        let To { frontend, protocol } = to;
        if client.is_ipv4() == frontend.is_ipv4() {
            Ok(Self { protocol, client, frontend })
        } else {
            Err(PacketError::Families { client, frontend })
        }
    }

    /// Reads `from=CLIENT&to=VIP:PORT/PROTOCOL`.
    ///
    /// # Errors
    /// The message for the client.
    pub fn from_query(query: &str) -> Result<Self, String> {
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(other, _)| other == name).map(|(_, value)| value).ok_or_else(|| format!("missing {name}"))
        };
        let client = client(&value("from")?).map_err(|error| format!("invalid from: {error}"))?;
        let to = value("to")?.parse().map_err(|error| format!("invalid to: {error}"))?;
        Self::new(client, to).map_err(|error| error.to_string())
    }

    /// What [`from_query`](Self::from_query) reads.
    pub fn to_query(&self) -> String {
        format!("from={}&to={}/{}", self.client, self.frontend, self.protocol)
    }
}

/// The destination of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct To {
    pub frontend: SocketAddr,
    pub protocol: Protocol,
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected VIP:PORT/PROTOCOL, e.g. 10.96.0.10:80/TCP or [fd00::a]:53/UDP";
        let (frontend, protocol) = text.rsplit_once('/').ok_or(EXPECTED)?;
        let frontend = frontend.parse().map_err(|_| EXPECTED)?;
        match protocol.to_ascii_uppercase().as_str() {
            "TCP" => Ok(Self { frontend, protocol: Protocol::TCP }),
            "UDP" => Ok(Self { frontend, protocol: Protocol::UDP }),
            _ => Err(format!("unknown protocol {protocol} (known: TCP, UDP)")),
        }
    }
}

/// # Errors
/// If the text is not an address.
pub fn client(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address, e.g. 10.244.1.11 or fd00::b".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_an_address_a_port_and_a_protocol() {
        let to = |text: &str| text.parse::<To>();
        let web = To { frontend: "10.96.0.10:80".parse().unwrap(), protocol: Protocol::TCP };
        let dns = To { frontend: "[fd00::a]:53".parse().unwrap(), protocol: Protocol::UDP };
        assert_eq!((to("10.96.0.10:80/TCP"), to("[fd00::a]:53/udp")), (Ok(web), Ok(dns)));
        let invalid = ["10.96.0.10:80", "10.96.0.10/TCP", "web:80/TCP", "fd00::a:53/UDP", "10.96.0.10:80/SCTP", ""];
        assert!(invalid.into_iter().all(|text| to(text).is_err()));
    }

    #[test]
    fn a_query_may_be_in_any_order_and_escaped() {
        let question = Question::new("fd00::b".parse().unwrap(), "[fd00::a]:53/UDP".parse().unwrap()).unwrap();
        for query in [&question.to_query(), "to=%5Bfd00%3A%3Aa%5D%3A53%2FUDP&from=fd00%3A%3Ab"] {
            assert_eq!(Question::from_query(query), Ok(question), "{query}");
        }
        let error = |query: &str| Question::from_query(query).unwrap_err();
        assert_eq!((error(""), error("from=fd00::b")), ("missing from".into(), "missing to".into()));
        assert_eq!(error("from=web&to="), "invalid from: expected an IP address, e.g. 10.244.1.11 or fd00::b");
        assert!(error("from=10.244.1.11&to=10.96.0.10:80").starts_with("invalid to: expected VIP:PORT/PROTOCOL"));
        assert!(error("from=10.244.1.11&to=[fd00::a]:53/UDP").contains("the other IP family"));
    }
}
