//! The DNS servers of the cluster: the frontends of its DNS Service at its cluster IPs, and their backends.

use std::net::SocketAddr;

use cluster_source::Catalog;
use proxy::model::{Protocol, Service, Slice};

use super::super::facts::{DnsServer, Transport};

/// The largest number of backends, by protocol, that are asked.
const MAX_BACKENDS: usize = 8;

pub(super) fn servers(catalog: &Catalog) -> Vec<DnsServer> {
    let services = catalog.services.values().filter(|service| service.name.is_dns());
    services.flat_map(|service| of_service(service, catalog.slices.values().map(|slice| &**slice))).collect()
}

fn of_service<'a>(service: &Service, slices: impl Iterator<Item = &'a Slice> + Clone) -> Vec<DnsServer> {
    let mut servers = Vec::new();
    for port in &service.ports {
        let Some(transport) = transport(port.protocol) else { continue };
        let server = |ip, port, is_backend| DnsServer {
            service: service.name.to_string(),
            address: SocketAddr::new(ip, port),
            transport,
            is_backend,
        };
        // CoreDNS serves metrics at another port of its Service.
        if port.port != 53 {
            continue;
        }
        servers.extend(service.cluster_ips.iter().map(|ip| server(*ip, port.port, false)));
        let slices = slices.clone().filter(|slice| slice.service == service.name);
        let backends = slices.flat_map(|slice| {
            let of_port = slice.ports.iter().find(|one| one.name == port.name && one.protocol == port.protocol);
            let ready = slice.backends.iter().filter(|backend| backend.ready);
            of_port.into_iter().flat_map(move |of_port| ready.clone().map(|backend| (backend.address, of_port.port)))
        });
        servers.extend(backends.take(MAX_BACKENDS).map(|(ip, port)| server(ip, port, true)));
    }
    servers
}

fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::UDP => Some(Transport::Udp),
        Protocol::TCP => Some(Transport::Tcp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cluster_source::files::Files;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cluster_ip_and_the_ready_backends_of_the_dns_service_are_servers() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "kube-system", "name": "kube-dns"},
                "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53}, {"name": "metrics", "port": 9153}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
                "spec": {"clusterIP": "10.96.0.11", "ports": [{"port": 53}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"namespace": "kube-system", "name": "kube-dns-1", "labels": {"kubernetes.io/service-name": "kube-dns"}},
                "ports": [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5353}],
                "endpoints": [{"addresses": ["10.244.1.2"]}, {"addresses": ["10.244.1.3"], "conditions": {"ready": false}}]},
        ]});
        let catalog = Files::of_text(Path::new("c.json"), &list.to_string()).unwrap().catalog();
        let found: Vec<_> = servers(&catalog)
            .iter()
            .map(|one| format!("{} {:?} {}", one.address, one.transport, one.is_backend))
            .collect();
        let expected = [
            "10.96.0.10:53 Udp false",
            "10.244.1.2:5353 Udp true",
            "10.96.0.10:53 Tcp false",
            "10.244.1.2:5353 Tcp true",
        ];
        assert_eq!(found, expected);
    }
}
