//! A write to HNS, whichever API it uses.

use std::collections::HashMap;

use hcn::call::{Call, Handle, Method, Reply};
use hcn::schema::v1::{HnsEndpoint, PolicyList};
use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Guid, Kind};

/// What a write does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    CreateEndpoint(Endpoint),
    DeleteEndpoint(Guid),
    CreateLoadBalancer(LoadBalancer),
    ModifyLoadBalancer(Guid, LoadBalancer),
    DeleteLoadBalancer(Guid),
}

impl Write {
    /// `None` for other calls. `handles` are the open load balancers.
    pub(super) fn of(call: &Call, handles: &HashMap<Handle, Guid>) -> Option<Self> {
        Some(match call {
            Call::Create { kind: Kind::Endpoint, settings, .. } => {
                Self::CreateEndpoint(serde_json::from_str(settings).unwrap())
            }
            Call::Create { kind: Kind::LoadBalancer, settings, .. } => {
                Self::CreateLoadBalancer(serde_json::from_str(settings).unwrap())
            }
            Call::Modify { kind: Kind::LoadBalancer, handle, settings } => {
                Self::ModifyLoadBalancer(*handles.get(handle)?, serde_json::from_str(settings).unwrap())
            }
            Call::Delete { kind: Kind::Endpoint, id } => Self::DeleteEndpoint(*id),
            Call::Delete { kind: Kind::LoadBalancer, id } => Self::DeleteLoadBalancer(*id),
            Call::Hns { method: Method::Post, path, body } if path == "/endpoints/" => {
                let document: HnsEndpoint = serde_json::from_str(body).unwrap();
                Self::CreateEndpoint(Endpoint::from(document))
            }
            Call::Hns { method: Method::Post, path, body } if path == "/policylists/" => {
                let document: PolicyList = serde_json::from_str(body).unwrap();
                Self::CreateLoadBalancer(LoadBalancer::try_from(document).unwrap())
            }
            Call::Hns { method: Method::Delete, path, .. } => match path.strip_prefix("/endpoints/") {
                Some(id) => Self::DeleteEndpoint(id.parse().unwrap()),
                None => Self::DeleteLoadBalancer(path.strip_prefix("/policylists/")?.parse().unwrap()),
            },
            _ => return None,
        })
    }

    /// The object that must exist.
    pub(super) fn object(&self) -> Option<(Kind, Guid)> {
        match self {
            Self::CreateEndpoint(_) | Self::CreateLoadBalancer(_) => None,
            Self::DeleteEndpoint(id) => Some((Kind::Endpoint, *id)),
            Self::ModifyLoadBalancer(id, _) | Self::DeleteLoadBalancer(id) => Some((Kind::LoadBalancer, *id)),
        }
    }

    /// The load balancer as it is to be.
    pub(super) fn load_balancer(&self) -> Option<&LoadBalancer> {
        match self {
            Self::CreateLoadBalancer(document) | Self::ModifyLoadBalancer(_, document) => Some(document),
            _ => None,
        }
    }
}

/// Whether a call lists endpoints or load balancers, and whether with contents.
pub(super) fn list_of(call: &Call) -> Option<(Kind, bool)> {
    match call {
        Call::Enumerate { kind, .. } => Some((*kind, false)),
        Call::Hns { method: Method::Get, path, .. } if path == "/endpoints/" => Some((Kind::Endpoint, true)),
        Call::Hns { method: Method::Get, path, .. } if path == "/policylists/" => Some((Kind::LoadBalancer, true)),
        _ => None,
    }
}

/// The object that a call reads or writes by its id.
pub(super) fn object_of(call: &Call, handles: &HashMap<Handle, Guid>) -> Option<(Kind, Guid)> {
    match call {
        Call::Open { kind, id } | Call::Delete { kind, id } => Some((*kind, *id)),
        Call::Query { kind, handle, .. } | Call::Modify { kind, handle, .. } => Some((*kind, *handles.get(handle)?)),
        Call::Hns { path, .. } => {
            let (kind, id) = match path.strip_prefix("/endpoints/") {
                Some(id) => (Kind::Endpoint, id),
                None => (Kind::LoadBalancer, path.strip_prefix("/policylists/")?),
            };
            Some((kind, id.parse().ok()?))
        }
        _ => None,
    }
}

/// Whether a call was refused in the envelope of its reply.
pub(super) fn is_refusal(reply: &Reply) -> bool {
    matches!(reply, Reply::Document(text) if text.starts_with(r#"{"Success":false"#))
}
