//! The servers of the cluster that are asked: the frontends of a Service at its cluster IPs, and their backends.

use std::net::SocketAddr;

use cluster_source::Catalog;
use proxy::model::{Protocol, Service, ServiceName, ServicePort, Slice};

use super::super::facts::{Server, Transport};

/// The largest number of backends, by protocol, that are asked.
const MAX_BACKENDS: usize = 8;

/// Those of the DNS Service.
pub(super) fn dns(catalog: &Catalog) -> Vec<Server> {
    // CoreDNS serves metrics at another port of its Service.
    of(catalog, ServiceName::is_dns, |port| port.port == 53)
}

/// Those of the Service of the API server.
pub(super) fn kubernetes(catalog: &Catalog) -> Vec<Server> {
    of(catalog, ServiceName::is_api_server, |port| port.protocol == Protocol::TCP)
}

fn of(catalog: &Catalog, is_meant: fn(&ServiceName) -> bool, is_asked: fn(&ServicePort) -> bool) -> Vec<Server> {
    let services = catalog.services.values().filter(|service| is_meant(&service.name));
    services.flat_map(|service| of_service(service, catalog.slices.values().map(|slice| &**slice), is_asked)).collect()
}

fn of_service<'a>(
    service: &Service,
    slices: impl Iterator<Item = &'a Slice> + Clone,
    is_asked: fn(&ServicePort) -> bool,
) -> Vec<Server> {
    let mut servers = Vec::new();
    for port in service.ports.iter().filter(|port| is_asked(port)) {
        let Some(transport) = transport(port.protocol) else { continue };
        let server = |ip, port, is_backend| Server {
            service: service.name.to_string(),
            address: SocketAddr::new(ip, port),
            transport,
            is_backend,
        };
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
    fn the_cluster_ips_and_the_ready_backends_of_a_service_are_servers() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "kube-system", "name": "kube-dns"},
                "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53}, {"name": "metrics", "port": 9153}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
                "spec": {"clusterIP": "10.96.0.11", "ports": [{"port": 53}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "kubernetes"},
                "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"namespace": "default", "name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
                "ports": [{"name": "https", "port": 6443}], "endpoints": [{"addresses": ["192.0.2.1"]}]},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"namespace": "kube-system", "name": "kube-dns-1", "labels": {"kubernetes.io/service-name": "kube-dns"}},
                "ports": [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5353}],
                "endpoints": [{"addresses": ["10.244.1.2"]}, {"addresses": ["10.244.1.3"], "conditions": {"ready": false}}]},
        ]});
        let catalog = Files::of_text(Path::new("c.json"), &list.to_string()).unwrap().catalog();
        let texts = |servers: Vec<Server>| servers.iter().map(Server::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(dns(&catalog)),
            [
                "Service kube-system/kube-dns: frontend 10.96.0.10:53/UDP",
                "Service kube-system/kube-dns: backend 10.244.1.2:5353/UDP",
                "Service kube-system/kube-dns: frontend 10.96.0.10:53/TCP",
                "Service kube-system/kube-dns: backend 10.244.1.2:5353/TCP",
            ]
        );
        assert_eq!(
            texts(kubernetes(&catalog)),
            [
                "Service default/kubernetes: frontend 10.96.0.1:443/TCP",
                "Service default/kubernetes: backend 192.0.2.1:6443/TCP",
            ]
        );
    }
}
