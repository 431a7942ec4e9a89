//! The conditions of Services: features that HNS does not support, and objects that cannot be programmed yet.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Protocol;

use crate::address_class::AddressClass;
use crate::frontend::Frontend;
use crate::model::{Family, ServiceName};

/// A condition of one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCondition {
    pub service: ServiceName,
    pub condition: Condition,
}

impl std::fmt::Display for ServiceCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service {}: {}", self.service, self.condition)
    }
}

/// A feature or frontend of a Service that is not programmed as requested. The messages have the form `<what>: <why>;
/// <what to do>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Condition {
    /// The virtual switch load-balances TCP and UDP only.
    #[error("port {port} is not programmed: HNS does not support {protocol}; use TCP or UDP")]
    ProtocolUnsupported { port: u16, protocol: Protocol },
    /// Traffic to the node itself, or to many hosts, must not reach a Service: <https://nvd.nist.gov/vuln/detail/CVE-2021-25736>.
    #[error("{address} is not programmed: a Service cannot have {}; use another address", class)]
    AddressForbidden { address: IpAddr, class: AddressClass },
    /// HNS before 11.10, and overlay networks, support only one IP family.
    #[error(
        "the {family} cluster IP is not programmed: HNS before 11.10, and overlay networks, support only the primary IP family of the node"
    )]
    FamilyUnsupported { family: Family },
    /// HNS before 12.0, or the HNS v1 API.
    #[error("session affinity is ignored: it requires HNS 12.0 and the HCN (v2) API")]
    AffinityUnsupported,
    /// The virtual switch chooses a backend by a hash of the client's address, for as long as the backends stay the same.
    #[error(
        "the session affinity timeout of {seconds} s is ignored: HNS has no affinity timeout, and clients keep their backends until the backends change"
    )]
    AffinityTimeoutIgnored { seconds: u32 },
    /// ACLs of endpoints apply after load balancing, and remote endpoints have no ACLs.
    #[error(
        "spec.loadBalancerSourceRanges is not enforced: HNS cannot filter by source; use the external load balancer, or a NetworkPolicy"
    )]
    SourceRangesIgnored,
    /// DSR requires HNS 9.3 or a later 9.x, or 10.2 or later.
    #[error(
        "externalTrafficPolicy Local is treated as Cluster: it requires direct server return (HNS 9.3 or a later 9.x, or 10.2 or later)"
    )]
    LocalPolicyUnsupported,
    /// DSR requires HNS 9.3 or a later 9.x, or 10.2 or later.
    #[error(
        "the annotation preserve-destination is ignored: it requires direct server return (HNS 9.3 or a later 9.x, or 10.2 or later)"
    )]
    PreserveDestinationUnsupported,
    /// A load balancer of HNS has one port for all backends.
    #[error(
        "{frontend}: {} not used: a load balancer has one backend port, and most backends have port {port}; use one port for all",
        backends_are(*dropped)
    )]
    MixedTargetPorts { frontend: Frontend, port: u16, dropped: usize },
    /// Another Service owns the frontend: it is older, or of the same age and already had it.
    #[error("{frontend} is not programmed: {}; use another address or port", claimed(owner, *same_age))]
    ClaimedByOther { frontend: Frontend, owner: ServiceName, same_age: bool },
    /// The backend is in the host network, and HNS has no endpoint of the host.
    #[error(
        "backend {address} is not used: it is in the host network, and HNS has no endpoint {name:?} with an address of its family; \
         set --root-hnsendpoint-name"
    )]
    NoHostEndpoint { address: IpAddr, name: String },
    /// The EndpointSlice has the backend before the CNI has created its endpoint.
    #[error("backend {address} is not used: it is on this node, and the CNI has not created its HNS endpoint yet")]
    NoLocalEndpoint { address: IpAddr },
    /// All endpoints of a load balancer must be in one network (assumed).
    #[error(
        "{} not used: a load balancer is in one HNS network, and most backends are in {network:?}; use one network for all",
        backends_are(*dropped)
    )]
    SeveralNetworks { network: String, dropped: usize },
    /// One of several networks is missing, or cannot be used.
    #[error("backends in the HNS network {network:?} are not used: the network is missing, or cannot be used")]
    NetworkMissing { network: String },
    #[error(
        "{frontend}: {} not used: a load balancer has at most {limit} backends; spread them over several Services",
        backends_are(*dropped)
    )]
    TooManyBackends { frontend: Frontend, limit: usize, dropped: usize },
    /// HNS refuses the frontend with 0x803B0013, or with 0x800700B7 although the id is free.
    #[error("{frontend} is not programmed: it is in use by {holder}")]
    PortInUse { frontend: Frontend, holder: Holder },
    /// HNS refuses the frontend with 0x8007000E. `without_dsr` is the number of load balancers that use ports of the host.
    #[error(
        "{frontend} is not programmed: HNS is out of memory or of ports; {}check netsh int ipv4 show dynamicport tcp",
        users_of_ports(*without_dsr)
    )]
    OutOfPorts { frontend: Frontend, without_dsr: usize },
    /// Only one program, and one Service, can listen at a port of the node.
    #[error(
        "the health check node port {port} is also that of {other}, and only one of them can listen there; use another port"
    )]
    HealthCheckPortConflict { port: u16, other: PortUser },
    /// HNS has the load balancer and its backends respond directly, but the frontend does not forward.
    #[error(
        "{frontend} does not forward: {probes} consecutive probes from this node failed, but {} directly; set --probe-repair to replace the load balancer",
        backends_answer(*answered, *asked)
    )]
    NotForwarding { frontend: Frontend, probes: u32, answered: usize, asked: usize },
    /// HNS has no root endpoint for the health check load balancer.
    #[error("{frontend} is not programmed: HNS has no endpoint {name:?}; set --root-hnsendpoint-name")]
    NoRootEndpoint { frontend: Frontend, name: String },
}

fn claimed(owner: &ServiceName, same_age: bool) -> String {
    match same_age {
        true => format!("Service {owner}, created at the same time, already has it"),
        false => format!("the older Service {owner} claims it"),
    }
}

fn backends_are(count: usize) -> String {
    match count {
        1 => "1 backend is".to_owned(),
        count => format!("{count} backends are"),
    }
}

fn backends_answer(answered: usize, asked: usize) -> String {
    match asked {
        1 => "its backend answers".to_owned(),
        asked if asked == answered => format!("all {asked} backends answer"),
        asked => format!("{answered} of {asked} backends answer"),
    }
}

/// The load balancers that reserve ports of the host for their connections, as the beginning of a message.
fn users_of_ports(without_dsr: usize) -> String {
    match without_dsr {
        0 => String::new(),
        1 => "1 load balancer without DSR uses ports of the host; ".to_owned(),
        count => format!("{count} load balancers without DSR use ports of the host; "),
    }
}

impl Condition {
    /// A reason in CamelCase, for Events and metrics. It does not change between versions.
    pub fn reason(&self) -> &'static str {
        match self {
            Condition::ProtocolUnsupported { .. } => "ProtocolUnsupported",
            Condition::AddressForbidden { .. } => "AddressForbidden",
            Condition::FamilyUnsupported { .. } => "FamilyUnsupported",
            Condition::AffinityUnsupported => "AffinityUnsupported",
            Condition::AffinityTimeoutIgnored { .. } => "AffinityTimeoutIgnored",
            Condition::SourceRangesIgnored => "SourceRangesIgnored",
            Condition::LocalPolicyUnsupported => "LocalPolicyUnsupported",
            Condition::PreserveDestinationUnsupported => "PreserveDestinationUnsupported",
            Condition::MixedTargetPorts { .. } => "MixedTargetPorts",
            Condition::SeveralNetworks { .. } => "SeveralNetworks",
            Condition::NetworkMissing { .. } => "NetworkMissing",
            Condition::TooManyBackends { .. } => "TooManyBackends",
            Condition::PortInUse { .. } => "PortInUse",
            Condition::OutOfPorts { .. } => "OutOfPorts",
            Condition::ClaimedByOther { .. } => "FrontendClaimedTwice",
            Condition::NoHostEndpoint { .. } => "NoHostEndpoint",
            Condition::NoLocalEndpoint { .. } => "NoLocalEndpoint",
            Condition::HealthCheckPortConflict { .. } => "HealthCheckPortConflict",
            Condition::NoRootEndpoint { .. } => "NoRootEndpoint",
            Condition::NotForwarding { .. } => "FrontendNotForwarding",
        }
    }
}

/// What else listens at a health check node port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortUser {
    Service(ServiceName),
    /// `/healthz` of this process.
    Healthz,
    /// `/metrics` of this process.
    Metrics,
}

impl std::fmt::Display for PortUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PortUser::Service(service) => write!(f, "Service {service}"),
            PortUser::Healthz => f.write_str("/healthz of this process"),
            PortUser::Metrics => f.write_str("/metrics of this process"),
        }
    }
}

/// What uses a frontend that HNS refused to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A load balancer that HNS lists.
    LoadBalancer {
        id: Guid,
        /// The frontend of that load balancer. It overlaps the refused one, and may cover more addresses.
        frontend: Frontend,
        /// None if the load balancer is foreign.
        service: Option<ServiceName>,
    },
    /// A health check port of this process: `/healthz`, or a health check node port.
    OwnHealthCheck {
        /// None for `/healthz`.
        service: Option<ServiceName>,
    },
    /// Nothing that HNS lists: another process, a reservation of the host, or a port that HNS leaked (Server 2019). HNS also returns the code if
    /// the host has no free ports left. `without_dsr` is the number of load balancers that use ports of the host.
    Unknown { without_dsr: usize },
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Holder::LoadBalancer { id, frontend, service: Some(service) } => {
                write!(f, "load balancer {id} of Service {service} on {frontend}")
            }
            Holder::LoadBalancer { id, frontend, service: None } => {
                write!(f, "foreign load balancer {id} on {frontend}")
            }
            Holder::OwnHealthCheck { service: Some(service) } => {
                write!(f, "the health check of Service {service} in this process")
            }
            Holder::OwnHealthCheck { service: None } => f.write_str("/healthz of this process"),
            Holder::Unknown { without_dsr } => {
                f.write_str("a process or a port reservation of the host")?;
                if *without_dsr > 0 {
                    f.write_str(", or the host has no free ports")?;
                }
                write!(
                    f,
                    "; {}check netstat -ano, and netsh int ipv4 show excludedportrange tcp",
                    users_of_ports(*without_dsr)
                )
            }
        }
    }
}
