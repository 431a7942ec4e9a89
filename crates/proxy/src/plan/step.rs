//! The steps of a plan: writes to HNS, with the reason for each.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, LoadBalancer};
use serde::Serialize;

use crate::dirty::Subject;
use crate::frontend::{EndpointPurpose, Frontend};
use crate::identity::{Content, LoadBalancerContent};
use crate::model::ServiceName;

/// One write to HNS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Action {
    CreateEndpoint {
        network: Guid,
        id: Guid,
        address: IpAddr,
        purpose: EndpointPurpose,
        document: Endpoint,
        /// That of the document.
        #[serde(skip)]
        content: Content,
    },
    DeleteEndpoint {
        id: Guid,
        address: IpAddr,
    },
    CreateLoadBalancer {
        id: Guid,
        frontend: Frontend,
        document: LoadBalancer,
        /// That of the document.
        #[serde(skip)]
        content: LoadBalancerContent,
    },
    /// Modifies a load balancer in place.
    ModifyLoadBalancer {
        id: Guid,
        frontend: Frontend,
        document: LoadBalancer,
        /// That of the document.
        #[serde(skip)]
        content: LoadBalancerContent,
    },
    DeleteLoadBalancer {
        id: Guid,
        frontend: Frontend,
    },
}

impl Action {
    /// A short name, for metric labels.
    pub fn name(&self) -> &'static str {
        match self {
            Action::CreateEndpoint { .. } => "create_endpoint",
            Action::DeleteEndpoint { .. } => "delete_endpoint",
            Action::CreateLoadBalancer { .. } => "create_load_balancer",
            Action::ModifyLoadBalancer { .. } => "modify_load_balancer",
            Action::DeleteLoadBalancer { .. } => "delete_load_balancer",
        }
    }

    /// The frontend or address that is retried if the write fails.
    pub fn subject(&self) -> Subject {
        match self {
            Action::CreateEndpoint { address, .. } | Action::DeleteEndpoint { address, .. } => {
                Subject::Address(*address)
            }
            Action::CreateLoadBalancer { frontend, .. }
            | Action::ModifyLoadBalancer { frontend, .. }
            | Action::DeleteLoadBalancer { frontend, .. } => Subject::Frontend(*frontend),
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Action::CreateEndpoint { address, purpose, .. } => {
                let what = match purpose {
                    EndpointPurpose::Backend => "remote endpoint",
                    EndpointPurpose::ServiceAddress => "endpoint for Service address",
                    EndpointPurpose::SourceVip => "endpoint for source VIP",
                };
                write!(f, "create {what} {address}")
            }
            Action::DeleteEndpoint { address, .. } => write!(f, "delete remote endpoint {address}"),
            Action::CreateLoadBalancer { frontend, document, .. } => {
                write!(f, "create load balancer {frontend} with {}", backends(document))
            }
            Action::ModifyLoadBalancer { frontend, document, .. } => {
                write!(f, "modify load balancer {frontend} in place with {}", backends(document))
            }
            Action::DeleteLoadBalancer { frontend, .. } => write!(f, "delete load balancer {frontend}"),
        }
    }
}

fn backends(document: &LoadBalancer) -> String {
    match document.host_compute_endpoints.len() {
        1 => "1 backend".to_owned(),
        count => format!("{count} backends"),
    }
}

/// Why a step is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reason {
    Missing,
    BackendsDiffer,
    ContentDiffers,
    /// A foreign load balancer with other content has the frontend.
    HeldByForeign,
    /// HNS has it as desired, but a probe has found that it does not forward.
    NotForwarding,
    /// The Service has no serving backend.
    NoBackends,
    /// No Service uses it.
    NotDesired,
    /// The address has a local endpoint.
    LocalEndpointExists,
    /// No Service uses it, and it looks like an object of kube-proxy.
    LeftByKubeProxy,
}

impl Reason {
    /// A short name, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::BackendsDiffer => "backends_differ",
            Reason::ContentDiffers => "content_differs",
            Reason::HeldByForeign => "held_by_foreign",
            Reason::NotForwarding => "not_forwarding",
            Reason::NoBackends => "no_backends",
            Reason::NotDesired => "not_desired",
            Reason::LocalEndpointExists => "local_endpoint_exists",
            Reason::LeftByKubeProxy => "left_by_kube_proxy",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Missing => "it is missing in HNS",
            Reason::BackendsDiffer => "its backends differ",
            Reason::ContentDiffers => "its content differs",
            Reason::HeldByForeign => "a foreign load balancer has the frontend",
            Reason::NotForwarding => "it does not forward",
            Reason::NoBackends => "the Service has no serving backend",
            Reason::NotDesired => "no Service uses it",
            Reason::LocalEndpointExists => "the address has a local endpoint",
            Reason::LeftByKubeProxy => "no Service uses it, and it looks like an object of kube-proxy",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub action: Action,
    /// None for objects that no Service uses.
    pub service: Option<ServiceName>,
    pub reason: Reason,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.action, self.reason)?;
        match &self.service {
            Some(service) => write!(f, " (Service {service})"),
            None => Ok(()),
        }
    }
}
