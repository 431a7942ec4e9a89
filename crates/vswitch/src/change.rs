//! The changes that the switch applies: objects of HNS, and stops and starts of the HNS service.

use hcn::schema::{Document, Endpoint, LoadBalancer, Network};
use hcn::{Guid, Kind};
use serde_json::Value;

/// A change of what HNS has.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A network was created or modified, or removed (`None`).
    Network(Guid, Option<Box<Network>>),
    /// An endpoint was created or modified, or removed (`None`).
    Endpoint(Guid, Option<Box<Endpoint>>),
    /// A load balancer was created or modified, or removed (`None`).
    LoadBalancer(Guid, Option<Box<LoadBalancer>>),
    /// The HNS service stopped. Objects that it loses meanwhile are changes of their own.
    ServiceStopped,
    /// The HNS service runs again.
    ServiceStarted,
}

/// A change that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("invalid document of {} {id}: {reason}", kind.name())]
pub struct InvalidChange {
    /// The kind of the object.
    pub kind: Kind,
    /// The id of the object.
    pub id: Guid,
    /// What is invalid.
    pub reason: String,
}

impl Change {
    /// Reads the change of an object: its document in the HCN (v2) schema, or `None` if it was removed. `Ok(None)`: the switch does not
    /// depend on objects of this kind.
    ///
    /// # Errors
    /// The document is not an object. Members that cannot be read count as absent.
    pub fn read(kind: Kind, id: Guid, document: Option<&Value>) -> Result<Option<Self>, InvalidChange> {
        fn parse<T: Document>(kind: Kind, id: Guid, document: Option<&Value>) -> Result<Option<Box<T>>, InvalidChange> {
            let Some(document) = document else { return Ok(None) };
            let read = serde_json::from_value(document.clone());
            read.map(|document| Some(Box::new(document))).map_err(|error| InvalidChange {
                kind,
                id,
                reason: error.to_string(),
            })
        }
        Ok(Some(match kind {
            Kind::Network => Self::Network(id, parse(kind, id, document)?),
            Kind::Endpoint => Self::Endpoint(id, parse(kind, id, document)?),
            Kind::LoadBalancer => Self::LoadBalancer(id, parse(kind, id, document)?),
            Kind::Namespace | Kind::Route => return Ok(None),
        }))
    }
}
