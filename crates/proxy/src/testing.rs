//! Test builders for minimal Services and slices, and what all tests wait for.

use std::net::IpAddr;

use crate::model::{
    Family, Protocol, Service, ServiceKind, ServiceName, ServicePort, Slice, SliceBackend, SliceName, SlicePort,
};
use crate::reconcile::{Reconciler, Unready};

/// Whether only a missing network keeps HNS from being in sync.
pub fn waits_only_for_networks(reconciler: &Reconciler) -> bool {
    reconciler.unready().iter().all(|unready| matches!(unready, Unready::NetworkMissing { .. }))
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').expect("a name of the form namespace/name")
}

fn ip(address: &str) -> IpAddr {
    address.parse().expect("an IP address")
}

/// A builder of a Service; the name is `namespace/name`.
pub fn service(name: &str) -> ServiceBuilder {
    let (namespace, name) = split(name);
    ServiceBuilder(Service {
        name: ServiceName::new(namespace, name),
        uid: None,
        created: 0,
        kind: ServiceKind::ClusterIp,
        cluster_ips: Vec::new(),
        external_ips: Vec::new(),
        ingress_ips: Vec::new(),
        ports: Vec::new(),
        internal_local: false,
        external_local: false,
        client_ip_affinity: false,
        affinity_timeout: None,
        source_ranges: Vec::new(),
        preserve_destination: false,
        health_check_node_port: None,
    })
}

/// See [`service`].
#[derive(Debug, Clone)]
pub struct ServiceBuilder(Service);

impl ServiceBuilder {
    /// Adds a cluster address.
    pub fn cluster_ip(mut self, address: &str) -> Self {
        self.0.cluster_ips.push(ip(address));
        self
    }

    /// Adds an unnamed TCP port.
    pub fn port(self, port: u16) -> Self {
        self.named_port("", Protocol::TCP, port)
    }

    /// Adds a port.
    pub fn named_port(mut self, name: &str, protocol: Protocol, port: u16) -> Self {
        self.0.ports.push(ServicePort { name: name.into(), protocol, port, node_port: None });
        self
    }

    /// Gives the last port a node port, and the Service its type.
    pub fn node_port(mut self, node_port: u16) -> Self {
        if self.0.kind == ServiceKind::ClusterIp {
            self.0.kind = ServiceKind::NodePort;
        }
        if let Some(port) = self.0.ports.last_mut() {
            port.node_port = Some(node_port);
        }
        self
    }

    /// Adds an external address.
    pub fn external_ip(mut self, address: &str) -> Self {
        self.0.external_ips.push(ip(address));
        self
    }

    /// Adds an address of a load balancer.
    pub fn ingress_ip(mut self, address: &str) -> Self {
        self.0.kind = ServiceKind::LoadBalancer;
        self.0.ingress_ips.push(ip(address));
        self
    }

    /// Changes anything else.
    pub fn with(mut self, change: impl FnOnce(&mut Service)) -> Self {
        change(&mut self.0);
        self
    }

    /// The Service.
    pub fn build(self) -> Service {
        self.0
    }
}

/// A builder of a slice of a Service; both names are `namespace/name`.
pub fn slice(name: &str, service: &str) -> SliceBuilder {
    let ((namespace, name), (service_namespace, service)) = (split(name), split(service));
    SliceBuilder(Slice {
        name: SliceName { namespace: namespace.into(), name: name.into() },
        service: ServiceName::new(service_namespace, service),
        family: Family::V4,
        ports: Vec::new(),
        backends: Vec::new(),
        triggered: None,
    })
}

/// See [`slice`].
#[derive(Debug, Clone)]
pub struct SliceBuilder(Slice);

impl SliceBuilder {
    /// Adds an unnamed TCP port.
    pub fn port(self, port: u16) -> Self {
        self.named_port("", Protocol::TCP, port)
    }

    /// Adds a port.
    pub fn named_port(mut self, name: &str, protocol: Protocol, port: u16) -> Self {
        self.0.ports.push(SlicePort { name: name.into(), protocol, port });
        self
    }

    /// Adds a backend; its address decides the family of the slice.
    pub fn backend(mut self, backend: BackendBuilder) -> Self {
        self.0.family = Family::of(backend.0.address);
        self.0.backends.push(backend.0);
        self
    }

    /// Says when it was last triggered, in nanoseconds of Unix time.
    pub fn triggered(mut self, at: i64) -> Self {
        self.0.triggered = Some(at);
        self
    }

    /// The slice.
    pub fn build(self) -> Slice {
        self.0
    }
}

/// A builder of a ready backend on no particular node.
pub fn backend(address: &str) -> BackendBuilder {
    BackendBuilder(SliceBackend {
        address: ip(address),
        node: None,
        zone: None,
        ready: true,
        serving: true,
        terminating: false,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
    })
}

/// See [`backend`].
#[derive(Debug, Clone)]
pub struct BackendBuilder(SliceBackend);

impl BackendBuilder {
    /// Puts the backend on a node.
    pub fn on(mut self, node: &str) -> Self {
        self.0.node = Some(node.into());
        self
    }

    /// Makes it fail its readiness probe.
    pub fn unready(mut self) -> Self {
        (self.0.ready, self.0.serving) = (false, false);
        self
    }

    /// Makes it terminate while it still answers.
    pub fn terminating(mut self) -> Self {
        (self.0.ready, self.0.serving, self.0.terminating) = (false, true, true);
        self
    }

    /// Changes anything else.
    pub fn with(mut self, change: impl FnOnce(&mut SliceBackend)) -> Self {
        change(&mut self.0);
        self
    }
}
