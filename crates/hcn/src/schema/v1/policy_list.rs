//! Policy lists, by which the v1 schema describes load balancers and routes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Guid;
use crate::schema::{
    DistributionType, LoadBalancer, LoadBalancerFlags, Other, PortMapping, PortMappingFlags, Protocol,
};

/// A policy list: a load balancer if its policies have the type `ELB`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyList {
    /// The id of the policy list.
    #[serde(rename = "ID", deserialize_with = "crate::schema::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The paths of the backends, `/endpoints/<id>`.
    #[serde(deserialize_with = "crate::schema::list")]
    pub references: Vec<String>,
    /// The policies: objects with a `Type` beside their settings.
    #[serde(deserialize_with = "crate::schema::list")]
    pub policies: Vec<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

/// The prefix of the references to endpoints.
const ENDPOINT_PATH: &str = "/endpoints/";

/// The `ELB` policy. The order of its members is that of documents of kube-proxy before the HCN API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ElbPolicy {
    /// The port of the frontend.
    pub external_port: u16,
    /// The port of the backends.
    pub internal_port: u16,
    /// The IP protocol: TCP or UDP.
    pub protocol: Protocol,
    /// The type of the policy: `ELB`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The addresses of the frontend. Empty: all addresses of the node.
    #[serde(rename = "VIPs", deserialize_with = "crate::schema::list", skip_serializing_if = "Vec::is_empty")]
    pub vips: Vec<String>,
    /// The source address of translated traffic.
    #[serde(rename = "SourceVIP", skip_serializing_if = "String::is_empty")]
    pub source_vip: String,
    /// Whether this is an internal load balancer.
    #[serde(rename = "ILB", skip_serializing_if = "super::is_false")]
    pub ilb: bool,
    /// Direct server return: backends reply to the client directly.
    #[serde(rename = "IsDSR", skip_serializing_if = "super::is_false")]
    pub is_dsr: bool,
    /// Whether the frontend is reachable through the routes of the host.
    #[serde(rename = "LocalRoutedVip", skip_serializing_if = "super::is_false")]
    pub local_routed_vip: bool,
}

impl ElbPolicy {
    const TYPE: &str = "ELB";
}

impl TryFrom<PolicyList> for LoadBalancer {
    type Error = String;

    /// Fails with the reason if the policy list is not a load balancer.
    fn try_from(v1: PolicyList) -> Result<Self, String> {
        let mut document = LoadBalancer {
            id: v1.id,
            host_compute_endpoints: v1
                .references
                .iter()
                .map(|path| path.strip_prefix(ENDPOINT_PATH).unwrap_or(path).to_owned())
                .collect(),
            ..LoadBalancer::default()
        };
        for policy in v1.policies {
            let elb: ElbPolicy = serde_json::from_value(policy).map_err(|error| error.to_string())?;
            if !elb.kind.eq_ignore_ascii_case(ElbPolicy::TYPE) {
                return Err(format!("a policy list of type {:?} is not a load balancer", elb.kind));
            }
            document.source_vip = elb.source_vip;
            document.frontend_vips = elb.vips;
            document.flags = document.flags.with(LoadBalancerFlags::DSR, elb.is_dsr);
            document.port_mappings.push(PortMapping {
                protocol: elb.protocol,
                internal_port: elb.internal_port,
                external_port: elb.external_port,
                distribution_type: DistributionType::CONNECTION,
                flags: PortMappingFlags::NONE
                    .with(PortMappingFlags::ILB, elb.ilb)
                    .with(PortMappingFlags::LOCAL_ROUTED_VIP, elb.local_routed_vip),
            });
        }
        Ok(document)
    }
}

impl From<&LoadBalancer> for PolicyList {
    fn from(v2: &LoadBalancer) -> Self {
        let policies = v2.port_mappings.iter().map(|mapping| {
            let elb = ElbPolicy {
                external_port: mapping.external_port,
                internal_port: mapping.internal_port,
                protocol: mapping.protocol,
                kind: ElbPolicy::TYPE.to_owned(),
                vips: v2.frontend_vips.clone(),
                source_vip: v2.source_vip.clone(),
                ilb: mapping.flags.contains(PortMappingFlags::ILB),
                is_dsr: v2.flags.contains(LoadBalancerFlags::DSR),
                local_routed_vip: mapping.flags.contains(PortMappingFlags::LOCAL_ROUTED_VIP),
            };
            serde_json::to_value(elb).unwrap_or_default()
        });
        PolicyList {
            id: v2.id,
            references: v2.host_compute_endpoints.iter().map(|id| format!("{ENDPOINT_PATH}{id}")).collect(),
            policies: policies.collect(),
            other: Other::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_list_of_an_old_kube_proxy_is_converted_between_both_schemas() {
        let document = LoadBalancer {
            host_compute_endpoints: vec![
                "ca8b877b-ab90-499a-bc0e-7d736c425632".into(),
                "ee0ef08b-8434-4f8b-b748-393884e77465".into(),
            ],
            frontend_vips: vec!["11.0.98.129".into()],
            port_mappings: vec![PortMapping {
                protocol: Protocol::TCP,
                internal_port: 80,
                external_port: 80,
                ..PortMapping::default()
            }],
            ..LoadBalancer::default()
        };
        let golden = r#"{"Policies":[{"ExternalPort":80,"InternalPort":80,"Protocol":6,"Type":"ELB","VIPs":["11.0.98.129"]}],"References":["/endpoints/ca8b877b-ab90-499a-bc0e-7d736c425632","/endpoints/ee0ef08b-8434-4f8b-b748-393884e77465"]}"#;
        let golden: Value = serde_json::from_str(golden).unwrap();
        let list = PolicyList::from(&document);
        assert_eq!(serde_json::to_value(&list).unwrap(), golden);
        assert_eq!(LoadBalancer::try_from(list), Ok(document));
    }

    #[test]
    fn a_route_policy_list_is_not_a_load_balancer() {
        let list = PolicyList { policies: vec![json!({"Type":"ROUTE"})], ..PolicyList::default() };
        assert!(LoadBalancer::try_from(list).unwrap_err().contains("ROUTE"));
    }
}
