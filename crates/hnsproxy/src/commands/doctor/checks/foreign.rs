//! Load balancers of other programs.

use super::super::check::{Check, Finding};
use super::super::facts::Facts;
use crate::commands::probe::foreign::among;

pub(in super::super) const CHECK: Check = Check {
    id: "foreign-load-balancers",
    title: "load balancers of other programs",
    finds: "a warning for each load balancer that hnsproxy has not created, with the program that likely created it, by its members and its network.",
    cause: "kube-proxy ran on this node before hnsproxy, or runs beside it, or docker, a CNI or a script has created load balancers. Two load balancers cannot have one frontend.",
    cure: "Stop the other proxy. hnsproxy adopts or replaces load balancers of kube-proxy on frontends of Services; `--take-over` removes the rest. Other load balancers stay; remove those that nothing uses.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let foreign = among(&hns.networks, &hns.endpoints, &hns.load_balancers, hns.version, hns.api);
    let lines = foreign.iter().map(|one| {
        let creator = match one.likely_creator.as_str() {
            "unknown" => "of an unknown program".to_owned(),
            program => format!("likely of {program}"),
        };
        format!("load balancer {} ({}): {creator}", one.frontends.join(", "), one.id)
    });
    let count = hns.load_balancers.len();
    let ok = format!("{count} load balancer{}, none of another program", if count == 1 { "" } else { "s" });
    Ok(Finding::warning_unless_empty(lines.collect(), ok))
}

#[cfg(test)]
mod tests {
    use hcn::Guid;
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(balancers: Vec<Value>) -> Result<Finding, String> {
        let balancers = balancers.into_iter().map(testing::load_balancer).collect();
        run(&testing::hns(vec![], vec![testing::endpoint(2, "10.244.1.7")], balancers))
    }

    #[test]
    fn without_foreign_load_balancers_it_is_ok() {
        assert_eq!(with(vec![]), Ok(Finding::Ok("0 load balancers, none of another program".into())));
    }

    #[test]
    fn a_load_balancer_of_kube_proxy_is_a_warning() {
        let id = Guid::from_u128(5);
        let found = with(vec![json!({
            "ID": id, "HostComputeEndpoints": [Guid::from_u128(2)], "FrontendVIPs": ["10.96.0.10"],
            "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80}]
        })]);
        let expected = format!("load balancer 10.96.0.10:80/TCP ({id}): likely of kube-proxy");
        assert_eq!(found, Ok(Finding::Warning(vec![expected])));
    }
}
