//! Policy lists, by which the v1 schema describes load balancers and routes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Guid;
use crate::schema::document::{document, not_an_object};
use crate::schema::member::Member;
use crate::schema::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};

document! {
    /// A policy list: a load balancer if its policies have the type `ELB`.
    pub struct PolicyList {
        /// The id of the policy list.
        "ID" => id: Option<Guid>,
        /// The paths of the backends, `/endpoints/<id>`.
        "References" (always) => references: Vec<String>,
        /// The policies: objects with a `Type` beside their settings.
        "Policies" (always) => policies: Vec<Value>,
    }
}

/// The prefix of the references to endpoints.
const ENDPOINT_PATH: &str = "/endpoints/";

document! {
    /// The `ELB` policy. The order of its members is that of documents of kube-proxy before the HCN API.
    pub struct ElbPolicy {
        /// The port of the frontend.
        "ExternalPort" (always) => external_port: u16,
        /// The port of the backends.
        "InternalPort" (always) => internal_port: u16,
        /// The IP protocol: TCP or UDP.
        "Protocol" (always) => protocol: Protocol,
        /// The type of the policy: `ELB`.
        "Type" (always) => kind: String,
        /// The addresses of the frontend. Empty: all addresses of the node.
        "VIPs" => vips: Vec<String>,
        /// The source address of translated traffic.
        "SourceVIP" => source_vip: String,
        /// Whether this is an internal load balancer.
        "ILB" => ilb: bool,
        /// Direct server return: backends reply to the client directly.
        "IsDSR" => is_dsr: bool,
        /// Whether the frontend is reachable through the routes of the host.
        "LocalRoutedVip" => local_routed_vip: bool,
    }
}

impl ElbPolicy {
    const TYPE: &str = "ELB";

    /// Marks the members that differ from those of the first policy as unreadable: v2 has one value for all ports.
    fn mark_differences(&mut self, first: &LoadBalancer) {
        let sorted = |vips: &[String]| vips.iter().cloned().collect::<BTreeSet<_>>();
        let members = [
            ("VIPs", sorted(&self.vips) != sorted(&first.frontend_vips), Value::from(self.vips.as_slice())),
            ("SourceVIP", self.source_vip != first.source_vip, Value::from(self.source_vip.as_str())),
            ("IsDSR", self.is_dsr != first.flags.contains(LoadBalancerFlags::DSR), Value::from(self.is_dsr)),
        ];
        for (member, differs, value) in members {
            if differs && !self.unreadable.contains(&member) {
                self.unreadable.push(member);
                self.other.insert(member.to_owned(), value);
            }
        }
    }
}

impl TryFrom<PolicyList> for LoadBalancer {
    type Error = String;

    /// Fails with the reason if the policy list is not a load balancer.
    fn try_from(v1: PolicyList) -> Result<Self, String> {
        let mut other = v1.other;
        // These members have another meaning in v2: `Flags` has other bits than the flags of a v2 load balancer.
        for member in ["SchemaVersion", "Flags"] {
            other.shift_remove(member);
        }
        let mut document = LoadBalancer {
            id: v1.id,
            host_compute_endpoints: v1
                .references
                .iter()
                .map(|path| path.strip_prefix(ENDPOINT_PATH).unwrap_or(path).to_owned())
                .collect(),
            other,
            unreadable: v1.unreadable,
            ..LoadBalancer::default()
        };
        for (index, policy) in v1.policies.into_iter().enumerate() {
            let mut elb = ElbPolicy::read(&policy).ok_or_else(|| not_an_object(&policy))?;
            if !elb.kind.eq_ignore_ascii_case(ElbPolicy::TYPE) {
                return Err(format!("a policy list of type {:?} is not a load balancer", elb.kind));
            }
            if index == 0 {
                document.frontend_vips = std::mem::take(&mut elb.vips);
                document.source_vip = std::mem::take(&mut elb.source_vip);
                document.flags = document.flags.with(LoadBalancerFlags::DSR, elb.is_dsr);
            } else {
                elb.mark_differences(&document);
            }
            document.port_mappings.push(PortMapping {
                protocol: elb.protocol,
                internal_port: elb.internal_port,
                external_port: elb.external_port,
                distribution_type: DistributionType::CONNECTION,
                flags: PortMappingFlags::NONE
                    .with(PortMappingFlags::ILB, elb.ilb)
                    .with(PortMappingFlags::LOCAL_ROUTED_VIP, elb.local_routed_vip),
                other: elb.other,
                unreadable: elb.unreadable,
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
                other: mapping.other.clone(),
                unreadable: mapping.unreadable.clone(),
            };
            serde_json::to_value(elb).unwrap_or_default()
        });
        PolicyList {
            id: v2.id,
            references: v2.host_compute_endpoints.iter().map(|id| format!("{ENDPOINT_PATH}{id}")).collect(),
            policies: policies.collect(),
            other: v2.other.clone(),
            unreadable: v2.unreadable.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::Document;

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
    fn policies_that_differ_in_what_v2_has_once_cannot_be_read() {
        let policy = |vips: &[&str], dsr| json!({"Type": "ELB", "VIPs": vips, "IsDSR": dsr, "Protocol": 6, "InternalPort": 80, "ExternalPort": 80});
        let read = |policies: &[Value]| {
            let list = PolicyList { policies: policies.to_vec(), ..PolicyList::default() };
            let read = LoadBalancer::try_from(list).unwrap();
            let unreadable = Document::unreadable_members(&read).iter().map(ToString::to_string).collect::<Vec<_>>();
            (read.frontend_vips, unreadable)
        };
        let both = policy(&["10.0.0.1", "10.0.0.2"], true);
        let vips = vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
        assert_eq!(read(&[both.clone(), policy(&["10.0.0.2", "10.0.0.1"], true)]), (vips.clone(), vec![]));
        let others = [both, policy(&["10.0.0.1"], true), policy(&[], false)];
        let unreadable = [
            r#"cannot read PortMappings.VIPs ["10.0.0.1"]"#,
            "cannot read PortMappings.VIPs []",
            "cannot read PortMappings.IsDSR false",
        ];
        assert_eq!(read(&others), (vips, unreadable.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_route_policy_list_is_not_a_load_balancer() {
        let list = PolicyList { policies: vec![json!({"Type":"ROUTE"})], ..PolicyList::default() };
        assert!(LoadBalancer::try_from(list).unwrap_err().contains("ROUTE"));
    }
}
