//! Whether HNS has the networks of the pods.

use proxy::network_pattern::{ANY, is_pattern, matches};

use super::super::check::{Check, Finding};
use super::super::facts::Facts;
use crate::commands::probe::networks::choose;

pub(in super::super) const CHECK: Check = Check {
    id: "networks",
    title: "networks of the pods",
    finds: "a failure if HNS lacks a network that `--network-name` or `KUBE_NETWORK` names, or if several networks match a name with `*`, or no name is given and several networks can be meant.",
    cause: "The CNI has not created the network yet, it was deleted with a restart of the node or of HNS, it has another name, or networks of an earlier CNI are left.",
    cure: "Compare the names with `Get-HnsNetwork`. Set `--network-name`. If the network is missing, see the log of the CNI or of its installer. Remove networks that nothing uses.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let (hns, settings) = (facts.hns()?, facts.settings()?);
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for name in &settings.network_names {
        let matching: Vec<_> = hns.networks.iter().filter(|network| matches(name, network)).collect();
        if name != ANY && is_pattern(name) && matching.len() > 1 {
            let names: Vec<_> = matching.iter().map(|network| network.name.as_str()).collect();
            wrong.push(format!("several networks match {name:?}: {}", names.join(", ")));
            continue;
        }
        match choose(&hns.networks, (name != ANY).then_some(name.as_str())) {
            (Some(network), _) => found.push(format!("{} ({})", network.name, network.kind.0)),
            (None, choice) => wrong.push(choice.reason),
        }
    }
    Ok(Finding::failure_unless_empty(wrong, found.join(", ")))
}

#[cfg(test)]
mod tests {
    use hcn::schema::Network;
    use serde_json::json;

    use super::super::super::facts::testing;
    use super::*;

    fn with(networks: &[&str], names: &[&str]) -> Result<Finding, String> {
        let network = |name: &&str| Network { name: name.to_string(), ..testing::network("L2Bridge", json!({})) };
        let facts = testing::hns(networks.iter().map(network).collect(), vec![], vec![]);
        run(&Facts { settings: testing::settings(names, false), ..facts })
    }

    #[test]
    fn the_named_network_or_the_only_one_is_ok() {
        for names in ["CBR0", ANY, "cbr*"] {
            assert_eq!(with(&["cbr0"], &[names]), Ok(Finding::Ok("cbr0 (L2Bridge)".into())), "{names}");
        }
    }

    #[test]
    fn missing_and_ambiguous_networks_are_failures() {
        for (networks, name) in [(&["cbr0"][..], "vxlan0"), (&[], ANY), (&["a", "b"], ANY), (&["cbr0", "cbr1"], "cbr*")]
        {
            assert!(matches!(with(networks, &[name]), Ok(Finding::Failure(_))), "{networks:?} {name}");
        }
    }
}
