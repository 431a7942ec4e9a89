//! Reads the port ranges that `netsh int ipv4 show dynamicport` and `show excludedportrange` print, in any language of Windows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// By the name of the protocol.
pub(super) type PortRanges = BTreeMap<&'static str, Ranges>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// The ports that Windows gives to programs that ask for any port.
    pub(super) dynamic: Option<RangeInclusive<u16>>,
    pub(super) reserved: Vec<RangeInclusive<u16>>,
}

/// Reads any number of outputs, one after the other. The words are in the language of Windows: what counts is the name of the protocol, a number
/// behind a colon (start and number of the dynamic ports), and two numbers in a line (start and end of a reservation).
pub(super) fn parse(text: &str) -> PortRanges {
    let mut all = PortRanges::new();
    let mut protocol = None;
    let mut start: Option<u16> = None;
    for line in text.lines() {
        let lower = line.to_lowercase();
        let mut words = lower.split(|one: char| !one.is_ascii_alphanumeric());
        if let Some(found) = words.find_map(|word| ["tcp", "udp"].iter().position(|name| *name == word)) {
            protocol = ["TCP", "UDP"].get(found).copied();
            start = None;
        }
        let Some(protocol) = protocol else { continue };
        let number = line.rsplit_once(':').and_then(|(_, number)| number.trim().parse::<u32>().ok());
        match (number, start) {
            (Some(first), None) => start = u16::try_from(first).ok(),
            (Some(count), Some(first)) => {
                let last = (u32::from(first) + count).saturating_sub(1);
                let last = u16::try_from(last).unwrap_or(u16::MAX);
                all.entry(protocol).or_default().dynamic = (count > 0).then_some(first..=last);
                start = None;
            }
            (None, _) => {
                let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u16>().ok());
                if let (Some(first), Some(last)) = (numbers.next(), numbers.next()) {
                    all.entry(protocol).or_default().reserved.push(first..=last);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_any_language() {
        let english = "\r\nProtocol tcp Dynamic Port Range\r\n---------------------------------\r\nStart Port      : 49152\r\n\
            Number of Ports : 16384\r\n\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port\r\n----------    --------\r\n\
            \x20     5357        5357\r\n     50000       50059     *\r\n\r\n* - Administered port exclusions.\r\n";
        let tcp = Ranges { dynamic: Some(49152..=65535), reserved: vec![5357..=5357, 50000..=50059] };
        assert_eq!(parse(english), PortRanges::from([("TCP", tcp)]));
        let german = "Protokoll UDP dynamischer Portbereich\nStartport : 1025\nAnzahl von Ports : 64511\n";
        let udp = Ranges { dynamic: Some(1025..=65535), reserved: vec![] };
        assert_eq!(parse(german), PortRanges::from([("UDP", udp)]));
    }

    #[test]
    fn other_text_has_no_ranges() {
        assert_eq!(parse("a : 1\nb : 2\n1 2\ntcp\nc : x\n"), PortRanges::new());
    }
}
