//! Patterns of network names: which networks of a host can be meant by a name with `*`.

use hcn::schema::Network;

/// The pattern of a network that the settings do not name: the only network for pods.
pub const ANY: &str = "*";

/// The types of networks whose endpoints are pods.
const POD_NETWORKS: [&str; 3] = ["L2Bridge", "L2Tunnel", "Overlay"];

/// The scripts of Calico and flannel create a network with this name, which has no pods: it keeps the virtual switch, so that the node does not lose
/// its connections when the network of the pods is created.
const WITHOUT_PODS: &str = "External";

pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether a pattern can mean a network. [`ANY`] means only networks for pods; another pattern is compared with the name.
pub fn matches(pattern: &str, network: &Network) -> bool {
    let is_for_pods = || {
        POD_NETWORKS.iter().any(|kind| network.kind.0.eq_ignore_ascii_case(kind))
            && !network.name.eq_ignore_ascii_case(WITHOUT_PODS)
    };
    !network.name.is_empty()
        && if pattern == ANY { is_for_pods() } else { has_form(&network.name.to_lowercase(), &pattern.to_lowercase()) }
}

/// Whether a name has the form of a pattern, in which each `*` stands for any text.
fn has_form(name: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first occurrence of each part leaves the most for the others.
    for part in middle.split('*') {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use hcn::schema::NetworkType;

    use super::*;

    fn network(name: &str, kind: &str) -> Network {
        Network { name: name.into(), kind: NetworkType(kind.into()), ..Network::default() }
    }

    #[test]
    fn each_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("Calico*", "Calico", true),
            ("calico*", "CALICO-2", true),
            ("vpcbr*", "vpcbr02ab", true),
            ("vpcbr*", "my-vpcbr", false),
            ("*Overlay*Network", "BaseOVNKubernetesHybridOverlayNetwork", true),
            ("*overlay*net", "overlay-network", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("**", "x", true),
            ("a*b*b", "ab", false),
            ("a*b*b", "axbb", true),
        ] {
            assert_eq!(matches(pattern, &network(name, "nat")), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_alone_means_networks_for_pods() {
        for (name, kind, expected) in [
            ("cbr0", "l2bridge", true),
            ("vxlan0", "Overlay", true),
            ("azure", "L2Tunnel", true),
            ("nat", "nat", false),
            ("Ethernet", "Transparent", false),
            ("External", "L2Bridge", false),
            ("", "Overlay", false),
        ] {
            assert_eq!(matches(ANY, &network(name, kind)), expected, "{name}");
        }
    }
}
