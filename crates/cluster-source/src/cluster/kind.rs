//! The kinds of objects that are listed and watched: their paths, which of them concern this proxy, and how they become changes.

use proxy::model::{Service, ServiceName, Slice, SliceName};
use serde::de::DeserializeOwned;

use super::object::Identity;
use crate::change::Change;
use crate::kubernetes::node::{self, Node};
use crate::kubernetes::{ConvertError, Converted, object, service, slice};

/// A kind that is listed and watched.
pub(super) trait Kind: 'static {
    /// An object as the API server writes it.
    type Object: DeserializeOwned;
    /// The same object in the model.
    type Item: Send + 'static;
    const NAME: &'static str;
    const API_VERSION: &'static str;
    /// Its name in RBAC rules.
    const RESOURCE: &'static str;
    /// The path of the objects of all namespaces.
    const PATH: &'static str;

    /// The objects that concern the proxy of a node.
    fn selection(node_name: &str) -> Selection;
    fn convert(object: &Self::Object) -> Result<Converted<Self::Item>, ConvertError>;
    fn reset(items: Vec<Self::Item>) -> Change;
    fn applied(item: Self::Item) -> Change;
    fn deleted(identity: &Identity) -> Change;
}

/// Which objects are requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) labels: &'static str,
    pub(super) fields: String,
    /// Whether `fields` only saves traffic, because the conversion skips the same objects. Then it is dropped if a server rejects it.
    pub(super) fields_are_optional: bool,
    /// The name of the only object that concerns this proxy, if it is known. A server or cache may ignore `fields`.
    pub(super) name: Option<String>,
}

/// All Services, except those of other proxies and headless ones.
#[derive(Debug)]
pub(super) struct Services;

impl Kind for Services {
    type Object = object::Service;
    type Item = Service;
    const NAME: &'static str = "Service";
    const API_VERSION: &'static str = "v1";
    const RESOURCE: &'static str = "services";
    const PATH: &'static str = "/api/v1/services";

    fn selection(_: &str) -> Selection {
        Selection {
            labels: "!service.kubernetes.io/service-proxy-name",
            fields: "spec.clusterIP!=None".into(),
            fields_are_optional: true,
            name: None,
        }
    }

    fn convert(object: &Self::Object) -> Result<Converted<Service>, ConvertError> {
        service::convert(object)
    }

    fn reset(items: Vec<Service>) -> Change {
        Change::ResetServices(items)
    }

    fn applied(item: Service) -> Change {
        Change::ApplyService(item)
    }

    fn deleted(identity: &Identity) -> Change {
        Change::DeleteService(ServiceName::new(&identity.namespace, &identity.name))
    }
}

/// All slices, except those of headless Services.
#[derive(Debug)]
pub(super) struct Slices;

impl Kind for Slices {
    type Object = object::EndpointSlice;
    type Item = Slice;
    const NAME: &'static str = "EndpointSlice";
    const API_VERSION: &'static str = "discovery.k8s.io/v1";
    const RESOURCE: &'static str = "endpointslices.discovery.k8s.io";
    const PATH: &'static str = "/apis/discovery.k8s.io/v1/endpointslices";

    fn selection(_: &str) -> Selection {
        let labels = "!service.kubernetes.io/headless";
        Selection { labels, fields: String::new(), fields_are_optional: false, name: None }
    }

    fn convert(object: &Self::Object) -> Result<Converted<Slice>, ConvertError> {
        slice::convert(object)
    }

    fn reset(items: Vec<Slice>) -> Change {
        Change::ResetSlices(items)
    }

    fn applied(item: Slice) -> Change {
        Change::ApplySlice(item)
    }

    fn deleted(identity: &Identity) -> Change {
        let (namespace, name) = (identity.namespace.as_str().into(), identity.name.as_str().into());
        Change::DeleteSlice(SliceName { namespace, name })
    }
}

/// The local Node.
#[derive(Debug)]
pub(super) struct Nodes;

impl Kind for Nodes {
    type Object = object::Node;
    type Item = Node;
    const NAME: &'static str = "Node";
    const API_VERSION: &'static str = "v1";
    const RESOURCE: &'static str = "nodes";
    const PATH: &'static str = "/api/v1/nodes";

    fn selection(node_name: &str) -> Selection {
        let (fields, name) = (format!("metadata.name={node_name}"), Some(node_name.to_owned()));
        Selection { labels: "", fields, fields_are_optional: false, name }
    }

    fn convert(object: &Self::Object) -> Result<Converted<Node>, ConvertError> {
        Ok(Converted { outcome: Ok(node::convert(object)), problems: Vec::new() })
    }

    fn reset(items: Vec<Node>) -> Change {
        Change::Node(items.into_iter().next())
    }

    fn applied(item: Node) -> Change {
        Change::Node(Some(item))
    }

    fn deleted(_: &Identity) -> Change {
        Change::Node(None)
    }
}
