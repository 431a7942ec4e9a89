//! The networks of HNS, and which one hnsproxy would use.

use hcn::schema::Network;
use hcn_survey::{NetworkChoice, NetworkFacts};
use proxy::network_pattern::{ANY, is_pattern, matches};

pub(super) fn facts(networks: &[Network]) -> Vec<NetworkFacts> {
    let subnets = |network: &Network| {
        let subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
        subnets.map(|subnet| subnet.ip_address_prefix.clone()).collect()
    };
    let fact = |network: &Network| NetworkFacts {
        name: network.name.clone(),
        kind: network.kind.0.clone(),
        subnets: subnets(network),
    };
    networks.iter().map(fact).collect()
}

/// The network that hnsproxy would use, if HNS has it. `configured` is the value of `--network-name` or of the environment.
pub(in crate::commands) fn choose<'a>(
    networks: &'a [Network],
    configured: Option<&str>,
) -> (Option<&'a Network>, NetworkChoice) {
    let name = configured.and_then(|list| list.split(',').map(str::trim).find(|name| !name.is_empty()));
    if let Some(name) = name {
        let is_meant = |network: &&Network| {
            if is_pattern(name) { matches(name, network) } else { network.name.eq_ignore_ascii_case(name) }
        };
        let found = networks.iter().find(is_meant);
        let reason = match found {
            Some(_) => "named by --network-name or KUBE_NETWORK".to_owned(),
            None => format!("network {name:?} not found (known: {})", names(networks.iter())),
        };
        return (found, NetworkChoice { name: found.map(|network| network.name.clone()), reason });
    }
    let of_pods: Vec<_> = networks.iter().filter(|network| matches(ANY, network)).collect();
    match of_pods.as_slice() {
        [only] => (
            Some(only),
            NetworkChoice { name: Some(only.name.clone()), reason: "the only network of a type for pods".into() },
        ),
        [] => (None, NetworkChoice { name: None, reason: "no network of a type for pods; the CNI creates it".into() }),
        several => {
            let names = names(several.iter().copied());
            let reason = format!("several networks of a type for pods; set --network-name (known: {names})");
            (None, NetworkChoice { name: None, reason })
        }
    }
}

fn names<'a>(networks: impl Iterator<Item = &'a Network>) -> String {
    networks.map(|network| network.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use hcn::schema::NetworkType;

    use super::*;

    #[test]
    fn the_named_network_or_the_only_one_for_pods_is_used() {
        let network = |name: &str, kind: &str| Network {
            name: name.into(),
            kind: NetworkType(kind.into()),
            ..Network::default()
        };
        let networks = [network("nat", "nat"), network("cbr0", "l2bridge"), network("vxlan0", "Overlay")];
        let chosen = |networks, configured| choose(networks, configured).1.name;
        assert_eq!(chosen(&networks, Some("VXLAN0,cbr0")).as_deref(), Some("vxlan0"));
        assert_eq!(chosen(&networks, Some("other")), None);
        assert_eq!(chosen(&networks, None), None);
        assert_eq!(chosen(&networks[..2], None).as_deref(), Some("cbr0"));
        assert_eq!(chosen(&networks[..1], None), None);
    }
}
