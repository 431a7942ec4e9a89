//! The read-only part of a probe.

use std::collections::BTreeMap;

use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{ApiVersion, Call, Error, Features, Guid, Hcn, Kind, Reply, Version};
use hcn_survey::{Answer, Check, Finding, HostFacts, ListFacts, Survey, VERSION, answer, judge};

use super::lists::{self, Objects};
use super::members::Members;
use super::stopwatch::Stopwatch;
use super::{foreign, networks, policies, scratch};
use crate::hns::Hns;

/// What the part that writes needs to know.
pub(super) struct Inspected {
    pub(super) version: Version,
    pub(super) api: ApiVersion,
    /// The network that hnsproxy would use.
    pub(super) network: Option<Network>,
    /// What has addresses of those of the probe, and its own objects.
    pub(super) in_use: BTreeMap<(Kind, Guid), String>,
    pub(super) survey: Survey,
}

/// # Errors
/// If the version or a list of HNS cannot be read.
pub(super) fn inspect(hns: &Hns, configured_network: Option<&str>, stopwatch: &Stopwatch) -> Result<Inspected, Error> {
    let hcn = hns.hcn();
    let version = hns.client(ApiVersion::V1).version()?;
    let api = hns.api_version(version);
    let has_v2 = api == ApiVersion::V2;
    let mut members = Members::default();
    let Objects { networks, endpoints, load_balancers, v1_ids, lists } =
        lists::read(&*hcn, has_v2, &mut members, stopwatch)?;
    let (network, network_choice) = networks::choose(&networks, configured_network);
    let endpoints_without_policies =
        network.map(|network| policies::endpoints_without(network, &endpoints)).unwrap_or_default();

    let mut findings = Vec::new();
    let unreadable = members.unreadable();
    let all_or = |count: usize| if count == 0 { answer::ALL } else { answer::SOME_NOT };
    let detail = (!unreadable.is_empty()).then(|| format!("{} of documents", unreadable.len()));
    findings.push(judge(Check::Members, version, Answer::with(all_or(unreadable.len()), detail)));
    findings.extend(lists.iter().map(|list| compared(version, list)));
    findings.extend(v1_ids.map(|spelling| judge(Check::V1Ids, version, spelling)));
    if network.is_some() && Features::of(version).dsr {
        let count = endpoints_without_policies.len();
        let detail = (count > 0).then(|| format!("{count} without"));
        findings.push(judge(Check::LocalEndpoints, version, Answer::with(all_or(count), detail)));
    }
    if has_v2 {
        for (check, kind) in
            [(Check::UnknownNamespace, Kind::Namespace), (Check::UnknownLoadBalancer, Kind::LoadBalancer)]
        {
            findings.push(judge(check, version, open_unknown(&*hcn, kind)));
        }
    }

    let survey = Survey {
        survey_version: VERSION,
        description: hns.description(),
        host: HostFacts::read(Some(version.to_string())),
        networks: networks::facts(&networks),
        network_choice,
        findings,
        unknown_members: members.unknown(),
        unreadable,
        unreadable_documents: members.documents(),
        lists,
        endpoints_without_policies,
        foreign_load_balancers: foreign::among(&networks, &endpoints, &load_balancers, version, api),
        timings: stopwatch.timings(),
    };
    let in_use = in_use(&networks, &endpoints, &load_balancers);
    Ok(Inspected { version, api, network: network.cloned(), in_use, survey })
}

/// The objects with addresses of those of the probe, each in words.
fn in_use(
    networks: &[Network],
    endpoints: &[Endpoint],
    load_balancers: &[LoadBalancer],
) -> BTreeMap<(Kind, Guid), String> {
    let networks = networks.iter().filter_map(|network| {
        let subnet = scratch::subnet_of(network)?;
        Some(((Kind::Network, network.id?), format!("network {} has the subnet {subnet}", network.name)))
    });
    let endpoints = endpoints.iter().filter(|endpoint| scratch::has_address(endpoint)).filter_map(|endpoint| {
        let addresses: Vec<_> = endpoint.ip_configurations.iter().map(|one| one.ip_address.as_str()).collect();
        Some(((Kind::Endpoint, endpoint.id?), format!("endpoint {} has {}", endpoint.id?, addresses.join(", "))))
    });
    let load_balancers = load_balancers.iter().filter(|one| scratch::has_frontend(one)).filter_map(|one| {
        let ports: Vec<_> = one.port_mappings.iter().map(|mapping| mapping.external_port.to_string()).collect();
        let (vips, ports) = (one.frontend_vips.join(", "), ports.join(", "));
        Some(((Kind::LoadBalancer, one.id?), format!("load balancer {} has {vips} port {ports}", one.id?)))
    });
    networks.chain(endpoints).chain(load_balancers).collect()
}

fn compared(version: Version, list: &ListFacts) -> Finding {
    let check = if list.kind == "Endpoint" { Check::EndpointLists } else { Check::LoadBalancerLists };
    let differences =
        [("only in v1", &list.only_v1), ("only in v2", &list.only_v2), ("with other backends", &list.other_backends)];
    let differences: Vec<_> = differences
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(what, ids)| format!("{} {what}", ids.len()))
        .collect();
    let observed = if list.is_same() { answer::SAME } else { answer::DIFFERENT };
    judge(check, version, Answer::with(observed, (!differences.is_empty()).then(|| differences.join(", "))))
}

/// Opens an object that does not exist.
fn open_unknown(hcn: &dyn Hcn, kind: Kind) -> Answer {
    let opened = hcn.call(&Call::Open { kind, id: scratch::absent() });
    if let Ok(Reply::Handle(handle)) = opened {
        let _ = hcn.call(&Call::Close { kind, handle });
    }
    Answer::from(opened)
}
