//! The members of Kubernetes objects that a Service proxy reads, as the API server writes them.
//!
//! Members that are not listed are ignored; absent and `null` are the same. Numbers are wide, so that one out of range is a value to
//! be named, not an object that can't be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Declares objects of which every member may be absent or null.
macro_rules! objects {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$field_meta])* #[serde(deserialize_with = "nullable")] pub $field: $type,)*
        }
    )*};
}

objects! {
    /// What every object has.
    Metadata {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations.
        annotations: BTreeMap<String, String>,
        /// What tells it from others of its name, before and after.
        uid: String,
        /// When it was created, by RFC 3339.
        creation_timestamp: Option<String>,
        /// When it was asked to go, by RFC 3339.
        deletion_timestamp: Option<String>,
    }

    /// A `Service` of `v1`.
    Service {
        /// Name, labels and annotations.
        metadata: Metadata,
        /// What is asked for.
        spec: ServiceSpec,
        /// What controllers have added.
        status: ServiceStatus,
    }

    /// What a Service asks for.
    ServiceSpec {
        /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The first cluster address, `None`, or nothing.
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        /// All cluster addresses, in the order of `ip_families`.
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<String>,
        /// `IPv4`, `IPv6`, or both.
        ip_families: Vec<String>,
        /// External addresses.
        #[serde(rename = "externalIPs")]
        external_ips: Vec<String>,
        /// The ports.
        ports: Vec<ServicePort>,
        /// `Cluster` or `Local`.
        internal_traffic_policy: Option<String>,
        /// `Cluster` or `Local`.
        external_traffic_policy: Option<String>,
        /// `None` or `ClientIP`.
        session_affinity: Option<String>,
        /// How affinity is meant.
        session_affinity_config: SessionAffinityConfig,
        /// The sources that a load balancer's addresses are for.
        load_balancer_source_ranges: Vec<String>,
        /// Where load balancers ask whether a node serves.
        health_check_node_port: i64,
    }

    /// How affinity is meant.
    SessionAffinityConfig {
        /// By the client's address.
        #[serde(rename = "clientIP")]
        client_ip: ClientIpConfig,
    }

    /// How affinity by the client's address is meant.
    ClientIpConfig {
        /// How long it lasts.
        timeout_seconds: Option<i64>,
    }

    /// A port of a Service.
    ServicePort {
        /// Its name.
        name: String,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Option<String>,
        /// The port of the frontends.
        port: i64,
        /// The port on every node.
        node_port: i64,
    }

    /// What controllers have added to a Service.
    ServiceStatus {
        /// The load balancer's part.
        load_balancer: LoadBalancerStatus,
    }

    /// The addresses of a Service's load balancer.
    LoadBalancerStatus {
        /// Its addresses.
        ingress: Vec<Ingress>,
    }

    /// An address of a load balancer.
    Ingress {
        /// The address; empty where it is a DNS name.
        ip: String,
        /// `VIP` or `Proxy`.
        ip_mode: Option<String>,
    }

    /// An `EndpointSlice` of `discovery.k8s.io/v1`.
    EndpointSlice {
        /// Name and labels.
        metadata: Metadata,
        /// `IPv4`, `IPv6` or `FQDN`.
        address_type: String,
        /// The ports.
        ports: Vec<SlicePort>,
        /// The backends.
        endpoints: Vec<SliceEndpoint>,
    }

    /// A port of a slice.
    SlicePort {
        /// Its name.
        name: Option<String>,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Option<String>,
        /// The port of the backends.
        port: Option<i64>,
    }

    /// A backend of a slice.
    SliceEndpoint {
        /// Its addresses, of which the first counts.
        addresses: Vec<String>,
        /// Whether it serves.
        conditions: Conditions,
        /// The node it runs on.
        node_name: Option<String>,
        /// The zone it runs in.
        zone: Option<String>,
        /// For whom it is meant.
        hints: Hints,
    }

    /// Whether a backend serves.
    Conditions {
        /// Takes new connections.
        ready: Option<bool>,
        /// Answers.
        serving: Option<bool>,
        /// Is going away.
        terminating: Option<bool>,
    }

    /// For whom a backend is meant.
    Hints {
        /// Zones.
        for_zones: Vec<Named>,
        /// Nodes.
        for_nodes: Vec<Named>,
    }

    /// A thing with a name.
    Named {
        /// The name.
        name: String,
    }

    /// A `Node` of `v1`.
    Node {
        /// Name and labels.
        metadata: Metadata,
        /// What is asked of the node.
        spec: NodeSpec,
        /// What the node says of itself.
        status: NodeStatus,
    }

    /// What is asked of a node.
    NodeSpec {
        /// The addresses of its pods.
        #[serde(rename = "podCIDRs")]
        pod_cidrs: Vec<String>,
        /// What keeps pods away.
        taints: Vec<Taint>,
    }

    /// Something that keeps pods away from a node.
    Taint {
        /// Its key.
        key: String,
    }

    /// The status of a node.
    NodeStatus {
        /// Its addresses.
        addresses: Vec<NodeAddress>,
    }

    /// An address of a node.
    NodeAddress {
        /// `InternalIP`, `ExternalIP`, or the type of a name.
        r#type: String,
        /// The address.
        address: String,
    }
}

impl Metadata {
    /// `namespace/name`, or the name alone where there is no namespace.
    pub fn full_name(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}
