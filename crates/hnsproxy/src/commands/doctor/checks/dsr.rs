//! Whether the endpoints of pods have the policies that direct server return needs.

use hcn::Features;
use hcn_survey::EndpointFacts;
use proxy::network_pattern::{ANY, matches};

use super::super::check::{Check, Finding};
use super::super::facts::Facts;
use crate::commands::probe::policies::{endpoints_without, endpoints_without_loopback};

pub(in super::super) const CHECK: Check = Check {
    id: "dsr-policies",
    title: "endpoints have the policies that direct server return needs",
    finds: "with `--enable-dsr`, a warning for each local endpoint of a pod without an OutBoundNAT policy for its own address, or, in an L2Bridge network, without exceptions in its OutBoundNAT policy.",
    cause: "The CNI configuration lacks `loopbackDSR: true`: a pod cannot reach itself through a Service. Or it lacks the ExceptionList with the subnets of pods and Services: replies of backends are translated and do not find back to the client.",
    cure: "Set both in the CNI configuration, and create the pods again: policies of an endpoint are set when it is created. Without them, set `--enable-dsr=false`.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let (hns, settings) = (facts.hns()?, facts.settings()?);
    if !settings.enable_dsr {
        return Err("direct server return is off".to_owned());
    }
    if !Features::of(hns.version).dsr {
        return Err(format!("HNS {} has no direct server return", hns.version));
    }
    let of_pods = hns.networks.iter().filter(|network| matches(ANY, network));
    let without = of_pods.flat_map(|network| {
        let loopback = endpoints_without_loopback(network, &hns.endpoints);
        endpoints_without(network, &hns.endpoints).into_iter().chain(loopback)
    });
    let line = |EndpointFacts { id, name, address, missing }| {
        format!("endpoint {address} ({name}, {id}): missing {}", missing.join(", "))
    };
    Ok(Finding::warning_unless_empty(without.map(line).collect(), "all endpoints of pods have the policies"))
}

#[cfg(test)]
mod tests {
    use hcn::Version;
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(network: &str, policies: Value) -> Facts {
        let endpoint = testing::with_policies(policies, testing::endpoint(2, "10.244.1.7"));
        let facts = testing::hns(vec![testing::network(network, json!({}))], vec![endpoint], vec![]);
        Facts { settings: testing::settings(&["cbr0"], true), ..facts }
    }

    fn exceptions() -> Value {
        json!({"Type": "OutBoundNAT", "Settings": {"Exceptions": ["10.0.0.0/8"]}})
    }

    fn loopback(destination: &str) -> Value {
        json!({"Type": "OutBoundNAT", "Settings": {"Destinations": [destination]}})
    }

    #[test]
    fn endpoints_with_both_policies_are_ok() {
        for destination in ["10.244.1.7", "10.244.1.7/32"] {
            let facts = with("L2Bridge", json!([exceptions(), loopback(destination)]));
            assert!(matches!(run(&facts), Ok(Finding::Ok(_))), "{destination}");
        }
        assert!(matches!(run(&with("Overlay", json!([loopback("10.244.1.7")]))), Ok(Finding::Ok(_))));
    }

    #[test]
    fn missing_policies_are_warnings() {
        let missing = |network: &str, policies| match run(&with(network, policies)) {
            Ok(Finding::Warning(lines)) => lines.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(missing("L2Bridge", json!([])), 2);
        assert_eq!(missing("L2Bridge", json!([exceptions()])), 1);
        assert_eq!(missing("L2Bridge", json!([exceptions(), loopback("10.244.1.8")])), 1);
        assert_eq!(missing("Overlay", json!([])), 1);
    }

    #[test]
    fn without_direct_server_return_the_check_is_skipped() {
        let off = Facts { settings: testing::settings(&["cbr0"], false), ..with("L2Bridge", json!([])) };
        assert!(run(&off).is_err());
        assert!(run(&testing::with_version(with("L2Bridge", json!([])), Version::new(9, 2))).is_err());
    }
}
