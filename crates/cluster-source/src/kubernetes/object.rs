//! The fields of Kubernetes objects that a Service proxy reads, as the API server writes them.
//!
//! Fields that are not listed are ignored; absent and `null` are the same. Numbers are wide, so that a number out of range is a problem of its
//! field, and does not make the object undecodable.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Declares objects whose fields may all be absent or null.
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
    Metadata {
        namespace: String,
        name: String,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        /// Differs from the uid of any earlier or later object with this name.
        uid: String,
        /// RFC 3339.
        creation_timestamp: Option<String>,
        /// RFC 3339; present once deletion was requested.
        deletion_timestamp: Option<String>,
    }

    /// A `Service` of `v1`.
    Service {
        metadata: Metadata,
        spec: ServiceSpec,
        status: ServiceStatus,
    }

    ServiceSpec {
        /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The first cluster address, `None` for a headless Service, or empty.
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        /// All cluster addresses, in the order of `ip_families`.
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<String>,
        /// `IPv4`, `IPv6`, or both.
        ip_families: Vec<String>,
        #[serde(rename = "externalIPs")]
        external_ips: Vec<String>,
        ports: Vec<ServicePort>,
        /// `Cluster` or `Local`.
        internal_traffic_policy: Option<String>,
        /// `Cluster` or `Local`.
        external_traffic_policy: Option<String>,
        /// `None` or `ClientIP`.
        session_affinity: Option<String>,
        session_affinity_config: SessionAffinityConfig,
        /// The CIDRs of clients that may use the load balancer's addresses.
        load_balancer_source_ranges: Vec<String>,
        /// The port on which load balancers check whether a node has local backends; 0 if none.
        health_check_node_port: i64,
    }

    SessionAffinityConfig {
        #[serde(rename = "clientIP")]
        client_ip: ClientIpConfig,
    }

    ClientIpConfig {
        /// How long affinity lasts.
        timeout_seconds: Option<i64>,
    }

    ServicePort {
        name: String,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Option<String>,
        /// The port of the frontend.
        port: i64,
        /// 0 if none.
        node_port: i64,
    }

    ServiceStatus {
        load_balancer: LoadBalancerStatus,
    }

    LoadBalancerStatus {
        ingress: Vec<Ingress>,
    }

    Ingress {
        /// The address; empty if the load balancer has a DNS name.
        ip: String,
        /// `VIP` or `Proxy`.
        ip_mode: Option<String>,
    }

    /// An `EndpointSlice` of `discovery.k8s.io/v1`.
    EndpointSlice {
        metadata: Metadata,
        /// `IPv4`, `IPv6` or `FQDN`.
        address_type: String,
        ports: Vec<SlicePort>,
        endpoints: Vec<SliceEndpoint>,
    }

    SlicePort {
        name: Option<String>,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Option<String>,
        /// The port of the backend; `None` means all ports.
        port: Option<i64>,
    }

    /// A backend of a slice.
    SliceEndpoint {
        /// Only the first address is used.
        addresses: Vec<String>,
        conditions: Conditions,
        node_name: Option<String>,
        zone: Option<String>,
        hints: Hints,
    }

    Conditions {
        /// Accepts new connections.
        ready: Option<bool>,
        /// Answers, even while it is terminating.
        serving: Option<bool>,
        /// Is being deleted.
        terminating: Option<bool>,
    }

    Hints {
        for_zones: Vec<Named>,
        for_nodes: Vec<Named>,
    }

    Named {
        name: String,
    }

    /// A `Node` of `v1`.
    Node {
        metadata: Metadata,
        spec: NodeSpec,
        status: NodeStatus,
    }

    NodeSpec {
        #[serde(rename = "podCIDRs")]
        pod_cidrs: Vec<String>,
        taints: Vec<Taint>,
    }

    Taint {
        key: String,
    }

    NodeStatus {
        addresses: Vec<NodeAddress>,
    }

    NodeAddress {
        /// `InternalIP`, `ExternalIP`, or the type of a name.
        r#type: String,
        address: String,
    }
}

impl Metadata {
    /// `namespace/name`, or the name alone for a kind without namespaces.
    pub fn full_name(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}
