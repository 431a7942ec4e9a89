//! What was gathered of a node. Each source may be missing, with the reason.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{ApiVersion, Guid, Version};
use hcn_survey::HostFacts;
use proxy::{Explanation, Settings};
use serde::Deserialize;

use super::port_ranges::PortRanges;
use crate::config::Note;

/// What a source has, or why it is missing.
pub(in crate::commands) type Source<T> = Result<T, String>;

pub(in crate::commands) struct Facts {
    pub(super) description: String,
    /// What Windows says about itself.
    pub(in crate::commands) host: Source<HostFacts>,
    pub(super) hns: Source<HnsFacts>,
    /// The error of HNS, if it was asked and could not be read.
    pub(super) hns_error: Option<String>,
    pub(super) settings: Source<SettingsFacts>,
    pub(super) notes: Vec<Note>,
    /// The DNS Services and the Service of the API server that the cluster has.
    pub(super) services: Source<Vec<Explanation>>,
    /// The node ports of all Services.
    pub(super) node_ports: Source<BTreeSet<u16>>,
    pub(super) api_server: Source<ApiServerFacts>,
    /// The responses of the DNS servers of the cluster.
    pub(super) dns: Source<Vec<Answer<u8>>>,
    /// Whether the Service of the API server and its backends accept connections.
    pub(super) kubernetes: Source<Vec<Answer<()>>>,
    /// The running hnsproxy.
    pub(super) process: Source<ProcessFacts>,
    /// The ports that Windows gives to programs, and those that are reserved.
    pub(super) port_ranges: Source<PortRanges>,
    /// The names of other processes of this host that may be a proxy.
    pub(super) proxies: Source<Vec<String>>,
}

impl Facts {
    pub(super) fn hns(&self) -> Source<&HnsFacts> {
        self.hns.as_ref().map_err(Clone::clone)
    }

    pub(super) fn settings(&self) -> Source<&SettingsFacts> {
        self.settings.as_ref().map_err(Clone::clone)
    }

    pub(super) fn process(&self) -> Source<&ProcessFacts> {
        self.process.as_ref().map_err(Clone::clone)
    }

    /// Whether neither HNS, nor the cluster, nor a running hnsproxy is known.
    pub(super) fn has_none(&self) -> bool {
        self.hns.is_err() && self.services.is_err() && self.process.is_err()
    }
}

/// The settings that checks use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingsFacts {
    pub(super) network_names: Vec<String>,
    pub(super) enable_dsr: bool,
    pub(super) node_ip_as_source_vip: bool,
}

impl From<&Settings> for SettingsFacts {
    fn from(settings: &Settings) -> Self {
        Self {
            network_names: settings.network_names.clone(),
            enable_dsr: settings.enable_dsr,
            node_ip_as_source_vip: settings.node_ip_as_source_vip,
        }
    }
}

/// The objects of HNS.
pub(super) struct HnsFacts {
    pub(super) version: Version,
    pub(super) api: ApiVersion,
    pub(super) networks: Vec<Network>,
    pub(super) endpoints: Vec<Endpoint>,
    /// The ids of endpoints before and after the load balancers were read: pods come and go.
    pub(super) endpoint_ids: BTreeSet<Guid>,
    pub(super) load_balancers: Vec<LoadBalancer>,
}

impl HnsFacts {
    pub(super) fn network(&self, id: Guid) -> Option<&Network> {
        self.networks.iter().find(|network| network.id == Some(id))
    }

    pub(super) fn network_of(&self, endpoint: Guid) -> Option<&Network> {
        let endpoint = self.endpoints.iter().find(|one| one.id == Some(endpoint))?;
        self.network(endpoint.host_compute_network?)
    }
}

/// How the API server answered.
pub(super) struct ApiServerFacts {
    /// Why the cluster could not be read.
    pub(super) error: Option<String>,
    /// The name of the Node, if the API server does not have it.
    pub(super) missing_node: Option<String>,
    pub(super) reviews: Source<Vec<Review>>,
    /// By how many seconds the clock of this host is ahead of that of the API server.
    pub(super) clock_ahead_seconds: Source<i64>,
    /// The expiry times of credentials. Credentials without an expiry time are left out.
    pub(super) expiries: Source<Vec<Expiry>>,
}

/// When a credential expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiry {
    /// True for a client certificate, false for a token.
    pub(super) is_certificate: bool,
    pub(super) seconds_left: i64,
    /// `None` if the issue time is unknown.
    pub(super) lifetime_seconds: Option<i64>,
}

/// A frontend of a Service, or one of its backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// `NAMESPACE/NAME`.
    pub(super) service: String,
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    /// True for a backend, false for a frontend at a cluster IP.
    pub(super) is_backend: bool,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, address, transport, is_backend } = self;
        let part = if *is_backend { "backend" } else { "frontend" };
        write!(f, "Service {service}: {part} {address}/{transport}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer<T> {
    pub(super) server: Server,
    /// The error is the reason why the server has not responded.
    pub(super) result: Result<T, String>,
}

/// The answer of the API server to the question whether this user may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Review {
    /// `list services`
    pub(super) action: &'static str,
    /// Whether hnsproxy cannot work without it.
    pub(super) required: bool,
    pub(super) allowed: bool,
}

/// The part of `/statusz` that checks use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ProcessFacts {
    pub(super) in_sync: bool,
    pub(super) waiting_for: Vec<StatusReason>,
    pub(super) host_conditions: Vec<StatusReason>,
    pub(super) configuration: StatusError,
    pub(super) cluster: StatusError,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct StatusReason {
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct StatusError {
    pub(super) error: Option<String>,
}

/// `endpoint 10.244.1.7 (web, ID)`
pub(super) fn name(endpoint: &Endpoint) -> String {
    let address = endpoint.ip_configurations.first().map_or("without address", |ip| ip.ip_address.as_str());
    let id = endpoint.id.map(|id| id.to_string()).unwrap_or_default();
    if endpoint.name.is_empty() {
        format!("endpoint {address} ({id})")
    } else {
        format!("endpoint {address} ({}, {id})", endpoint.name)
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Facts for tests of checks.

    use hcn::schema::{EndpointFlags, IpConfiguration, NetworkType, Policy};
    use serde_json::Value;

    use super::*;

    pub(in crate::commands::doctor) const NETWORK: Guid = Guid::from_u128(1);

    /// No source has anything.
    pub(in crate::commands::doctor) fn none() -> Facts {
        fn missing<T>() -> Source<T> {
            Err("not read".to_owned())
        }
        Facts {
            description: String::new(),
            host: missing(),
            hns: missing(),
            hns_error: None,
            settings: missing(),
            notes: Vec::new(),
            services: missing(),
            node_ports: missing(),
            api_server: missing(),
            dns: missing(),
            kubernetes: missing(),
            process: missing(),
            port_ranges: missing(),
            proxies: missing(),
        }
    }

    /// An API server that answers, and nothing else is known of it.
    pub(in crate::commands::doctor) fn api_server() -> ApiServerFacts {
        let missing = || "not read".to_owned();
        ApiServerFacts {
            error: None,
            missing_node: None,
            reviews: Err(missing()),
            clock_ahead_seconds: Err(missing()),
            expiries: Err(missing()),
        }
    }

    pub(in crate::commands::doctor) fn hns(
        networks: Vec<Network>,
        endpoints: Vec<Endpoint>,
        load_balancers: Vec<LoadBalancer>,
    ) -> Facts {
        let endpoint_ids = endpoints.iter().filter_map(|endpoint| endpoint.id).collect();
        let version = Version::new(15, 5);
        let hns = HnsFacts { version, api: ApiVersion::V2, networks, endpoints, endpoint_ids, load_balancers };
        Facts { hns: Ok(hns), ..none() }
    }

    pub(in crate::commands::doctor) fn with_version(mut facts: Facts, version: Version) -> Facts {
        if let Ok(hns) = &mut facts.hns {
            hns.version = version;
        }
        facts
    }

    pub(in crate::commands::doctor) fn settings(network_names: &[&str], enable_dsr: bool) -> Source<SettingsFacts> {
        let network_names = network_names.iter().map(ToString::to_string).collect();
        Ok(SettingsFacts { enable_dsr, network_names, node_ip_as_source_vip: false })
    }

    pub(in crate::commands::doctor) fn network(kind: &str, other: Value) -> Network {
        let Value::Object(other) = other else { panic!("{other}") };
        let kind = NetworkType(kind.into());
        Network { id: Some(NETWORK), name: "cbr0".into(), kind, other, ..Network::default() }
    }

    pub(in crate::commands::doctor) fn endpoint(id: u128, address: &str) -> Endpoint {
        Endpoint {
            id: Some(Guid::from_u128(id)),
            name: format!("pod{id}"),
            host_compute_network: Some(NETWORK),
            ip_configurations: vec![IpConfiguration { ip_address: address.into(), ..IpConfiguration::default() }],
            ..Endpoint::default()
        }
    }

    pub(in crate::commands::doctor) fn remote(id: u128, address: &str) -> Endpoint {
        Endpoint { flags: EndpointFlags::REMOTE, ..endpoint(id, address) }
    }

    pub(in crate::commands::doctor) fn with_policies(policies: Value, endpoint: Endpoint) -> Endpoint {
        let policies: Vec<Policy> = serde_json::from_value(policies).unwrap();
        Endpoint { policies, ..endpoint }
    }

    pub(in crate::commands::doctor) fn load_balancer(document: Value) -> LoadBalancer {
        serde_json::from_value(document).unwrap()
    }
}
