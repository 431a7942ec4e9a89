//! The cluster: Services of one port, each with one slice of backends on other nodes, all different.

use std::net::{IpAddr, Ipv4Addr};

use proxy::model::{
    Family, Protocol, Service, ServiceKind, ServiceName, ServicePort, Slice, SliceBackend, SliceName, SlicePort,
};

pub(crate) const NODE: &str = "here";

/// When the process starts, in nanoseconds since the Unix epoch. All slices of the first list were triggered before.
pub(crate) const STARTED: i64 = 1_798_761_600_000_000_000;

/// Services of one namespace.
const PER_NAMESPACE: u32 = 50;

fn namespace(number: u32) -> String {
    format!("team-{:04}", number / PER_NAMESPACE)
}

fn service_name(number: u32) -> ServiceName {
    ServiceName::new(namespace(number), format!("service-{number:05}"))
}

pub(crate) fn service(number: u32) -> Service {
    Service {
        name: service_name(number),
        uid: Some(hcn::Guid::from_u128(u128::from(number))),
        created: 1_767_225_600 + i64::from(number),
        kind: ServiceKind::ClusterIp,
        cluster_ips: vec![IpAddr::V4(Ipv4Addr::from_bits(0x0a60_0001 + number))],
        external_ips: Vec::new(),
        ingress_ips: Vec::new(),
        ports: vec![ServicePort { name: "http".into(), protocol: Protocol::TCP, port: 80, node_port: None }],
        internal_local: false,
        external_local: false,
        client_ip_affinity: false,
        affinity_timeout: None,
        source_ranges: Vec::new(),
        preserve_destination: false,
        health_check_node_port: None,
    }
}

/// The address of a backend. Each replacement of the pod has another address.
fn address(service: u32, backend: u32, replaced: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0001 + (replaced << 26) + service * 128 + backend))
}

fn slice_of(number: u32, triggered: i64, addresses: impl Iterator<Item = IpAddr>) -> Slice {
    let backend = |address| SliceBackend {
        address,
        node: Some("there".into()),
        zone: Some("zone-1".into()),
        ready: true,
        serving: true,
        terminating: false,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
    };
    Slice {
        name: SliceName { namespace: namespace(number).into(), name: format!("service-{number:05}-x7k2p").into() },
        service: service_name(number),
        family: Family::V4,
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::TCP, port: 8080 }],
        backends: addresses.map(backend).collect(),
        triggered: Some(triggered),
    }
}

pub(crate) fn slice(number: u32, backends: u32) -> Slice {
    slice_of(number, STARTED - 1, (0..backends).map(|backend| address(number, backend, 0)))
}

/// The slice of one of the Services after one of its pods was replaced.
pub(crate) fn changed_slice(number: u32, services: u32, backends: u32) -> Slice {
    // A prime that does not divide the number of Services, so that the changes are spread over all Services.
    let service = (u64::from(number) * 7919 % u64::from(services)) as u32;
    let replaced = number / services + 1;
    let address = |backend| address(service, backend, if backend == 0 { replaced } else { 0 });
    slice_of(service, STARTED + i64::from(number) + 1, (0..backends).map(address))
}
