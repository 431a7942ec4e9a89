//! The vocabulary of plans: writes, what they are about, and why they are made.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, LoadBalancer};
use serde::Serialize;

use crate::dirty::Subject;
use crate::frontend::{EndpointPurpose, Frontend};
use crate::model::ServiceName;

/// One write to HNS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Action {
    /// Creates an endpoint of ours.
    CreateEndpoint {
        /// Its network.
        network: Guid,
        /// Its id.
        id: Guid,
        /// Its address.
        address: IpAddr,
        /// What it is for.
        purpose: EndpointPurpose,
        /// The document.
        document: Endpoint,
    },
    /// Deletes a remote endpoint.
    DeleteEndpoint {
        /// Its id.
        id: Guid,
        /// Its address.
        address: IpAddr,
    },
    /// Creates a load balancer.
    CreateLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
        frontend: Frontend,
        /// The document.
        document: LoadBalancer,
    },
    /// Changes a load balancer in place.
    ModifyLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
        frontend: Frontend,
        /// The document.
        document: LoadBalancer,
    },
    /// Deletes a load balancer.
    DeleteLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
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

    /// What the step is about, for retries.
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
                    EndpointPurpose::ServiceAddress => "endpoint for the Service address",
                    EndpointPurpose::SourceVip => "endpoint for the source address",
                };
                write!(f, "create {what} {address}")
            }
            Action::DeleteEndpoint { address, .. } => write!(f, "delete remote endpoint {address}"),
            Action::CreateLoadBalancer { frontend, document, .. } => {
                write!(f, "create load balancer {frontend} with {}", backends(document))
            }
            Action::ModifyLoadBalancer { frontend, document, .. } => {
                write!(f, "change load balancer {frontend} in place to {}", backends(document))
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

/// Why a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// HNS has nothing there.
    Missing,
    /// The backends are others.
    BackendsDiffer,
    /// More than the backends differs.
    ContentDiffers,
    /// Others hold the frontend, with another content.
    HeldByOthers,
    /// The Service has no backend that serves.
    NoBackends,
    /// No Service wants it.
    NotWanted,
    /// The address has become a local one.
    LocalEndpointExists,
    /// No Service wants it, and it looks like one that kube-proxy has left.
    LeftByKubeProxy,
}

impl Reason {
    /// A short name, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::BackendsDiffer => "backends_differ",
            Reason::ContentDiffers => "content_differs",
            Reason::HeldByOthers => "held_by_others",
            Reason::NoBackends => "no_backends",
            Reason::NotWanted => "not_wanted",
            Reason::LocalEndpointExists => "local_endpoint_exists",
            Reason::LeftByKubeProxy => "left_by_kube_proxy",
        }
    }

    /// Whether the step takes something away that others have made: it should be said.
    pub fn concerns_others(self) -> bool {
        matches!(self, Reason::HeldByOthers | Reason::LeftByKubeProxy)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Missing => "HNS has none",
            Reason::BackendsDiffer => "its backends differ",
            Reason::ContentDiffers => "its content differs",
            Reason::HeldByOthers => "a load balancer of others holds the frontend",
            Reason::NoBackends => "the Service has no backend that serves",
            Reason::NotWanted => "no Service wants it",
            Reason::LocalEndpointExists => "a local endpoint has the address",
            Reason::LeftByKubeProxy => "no Service wants it, and kube-proxy seems to have left it",
        })
    }
}

/// One write, for whom, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The write.
    pub action: Action,
    /// The Service it is for.
    pub service: Option<ServiceName>,
    /// Why.
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
