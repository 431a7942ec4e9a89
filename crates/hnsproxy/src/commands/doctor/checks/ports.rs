//! Whether programs of the host can get the ports that Services use.

use std::collections::BTreeSet;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "ports",
    title: "ephemeral and reserved ports",
    finds: "a warning if node ports of Services are in the dynamic port range of Windows and not reserved, or if fewer than 4096 ports of that range are left.",
    cause: "Windows gives ports of the dynamic range to programs, so that a node port can be in use when it is programmed. Reservations, by Hyper-V and by HNS for load balancers without direct server return, use up the range; then HNS refuses load balancers (0x8007000E), and programs cannot connect.",
    cure: "Move the range: `netsh int ipv4 set dynamicport tcp start=49152 num=16384`. See the reservations with `netsh int ipv4 show excludedportrange tcp`; a restart of the node releases those that nothing uses. Use direct server return.",
    run,
};

/// A quarter of the default range.
const MIN_LEFT: usize = 4096;

fn run(facts: &Facts) -> Result<Finding, String> {
    let protocols = facts.port_ranges.as_ref().map_err(Clone::clone)?;
    let no_ports = BTreeSet::new();
    let node_ports = facts.node_ports.as_ref().unwrap_or(&no_ports);
    let (mut lines, mut ok) = (Vec::new(), Vec::new());
    for (protocol, ranges) in protocols {
        let Some(dynamic) = &ranges.dynamic else { continue };
        let is_reserved = |port: &u16| ranges.reserved.iter().any(|range| range.contains(port));
        let left = dynamic.clone().filter(|port| !is_reserved(port)).count();
        let range = format!("{}-{}", dynamic.start(), dynamic.end());
        if left < MIN_LEFT {
            lines.push(format!("{protocol}: {left} ports of the dynamic range {range} left"));
        }
        let inside: Vec<_> = node_ports.iter().filter(|port| dynamic.contains(port) && !is_reserved(port)).collect();
        if !inside.is_empty() {
            let ports: Vec<_> = inside.iter().map(ToString::to_string).collect();
            lines.push(format!("{protocol}: node ports in the dynamic range {range}: {}", ports.join(", ")));
        }
        ok.push(format!("{protocol} {range}, {left} ports left"));
    }
    if ok.is_empty() {
        return Err("no dynamic port range found in the output of netsh".to_owned());
    }
    Ok(Finding::warning_unless_empty(lines, ok.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::testing;
    use super::super::super::port_ranges::parse;
    use super::*;

    fn with(netsh: &str, node_ports: &[u16]) -> Result<Finding, String> {
        let node_ports = Ok(node_ports.iter().copied().collect());
        run(&Facts { port_ranges: Ok(parse(netsh)), node_ports, ..testing::none() })
    }

    #[test]
    fn the_default_range_is_ok() {
        let netsh = "Protocol tcp\nStart Port : 49152\nNumber of Ports : 16384\n Start Port End Port\n 50000 50059 *\n";
        assert_eq!(with(netsh, &[30080]), Ok(Finding::Ok("TCP 49152-65535, 16324 ports left".into())));
    }

    #[test]
    fn node_ports_in_the_range_are_a_warning_unless_they_are_reserved() {
        let netsh = "tcp\nStart : 1025\nNumber : 64511\n 30080 30080 *\n";
        assert!(matches!(with(netsh, &[30080]), Ok(Finding::Ok(_))));
        let expected = "TCP: node ports in the dynamic range 1025-65535: 30081";
        assert_eq!(with(netsh, &[30080, 30081]), Ok(Finding::Warning(vec![expected.into()])));
    }

    #[test]
    fn few_ports_left_are_a_warning() {
        let expected = "UDP: 255 ports of the dynamic range 49152-49406 left";
        assert_eq!(with("udp\nStart : 49152\nNumber : 255\n", &[]), Ok(Finding::Warning(vec![expected.into()])));
    }

    #[test]
    fn an_output_without_a_range_is_skipped() {
        assert!(with("The system cannot find the file specified.", &[]).is_err());
    }
}
