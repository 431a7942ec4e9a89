//! One native call as a value, and the trait that carries calls out.
//!
//! A *native call* is one function of `computenetwork.dll`, or one `HNSCall` of `vmcompute.dll`: what HNS is asked once. Counting,
//! journals, faults and remote carriage are wrappers around [`Hcn::call`].

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::notification::{Listener, Subscription};
use crate::{Error, Guid};

/// An open object of HNS, as the implementation numbers it. Only meaningful to the [`Hcn`] that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handle(pub u64);

/// The methods of `HNSCall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// Read.
    Get,
    /// Create or change.
    Post,
    /// Delete.
    Delete,
}

impl Method {
    /// The method as HNS wants it: in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// One native call. Documents and queries are JSON text; an empty text stands for a null pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `HcnEnumerate…`: the ids that match a query.
    Enumerate {
        /// What to enumerate.
        kind: Kind,
        /// A query document.
        query: String,
    },
    /// `HcnCreate…`: answers with an open handle.
    Create {
        /// What to create.
        kind: Kind,
        /// The open network; for endpoints only.
        network: Option<Handle>,
        /// The wanted id; all zero lets the settings' `ID`, else HNS, decide.
        id: Guid,
        /// The document.
        settings: String,
    },
    /// `HcnOpen…`: answers with an open handle.
    Open {
        /// What to open.
        kind: Kind,
        /// Which one.
        id: Guid,
    },
    /// `HcnQuery…Properties`: the document of an open object.
    Query {
        /// What the handle is of.
        kind: Kind,
        /// The open object.
        handle: Handle,
        /// A query document; its schema version decides the form of the answer.
        query: String,
    },
    /// `HcnModify…`.
    Modify {
        /// What the handle is of.
        kind: Kind,
        /// The open object.
        handle: Handle,
        /// A modify request, or for load balancers the whole document.
        settings: String,
    },
    /// `HcnDelete…`: by id.
    Delete {
        /// What to delete.
        kind: Kind,
        /// Which one.
        id: Guid,
    },
    /// `HcnClose…`. Not counted as a native call: it is local to the process.
    Close {
        /// What the handle is of.
        kind: Kind,
        /// The open object.
        handle: Handle,
    },
    /// `HNSCall` of the first generation.
    Hns {
        /// The method.
        method: Method,
        /// The path, `/endpoints/` for instance.
        path: String,
        /// The document, or empty.
        body: String,
    },
}

impl Call {
    /// The name of the native function, for messages, journals and counters.
    pub fn function(&self) -> &'static str {
        use Kind::{Endpoint, LoadBalancer, Namespace, Network, Route};
        match self {
            Call::Enumerate { kind, .. } => match kind {
                Network => "HcnEnumerateNetworks",
                Endpoint => "HcnEnumerateEndpoints",
                LoadBalancer => "HcnEnumerateLoadBalancers",
                Namespace => "HcnEnumerateNamespaces",
                Route => "HcnEnumerateSdnRoutes",
            },
            Call::Create { kind, .. } => match kind {
                Network => "HcnCreateNetwork",
                Endpoint => "HcnCreateEndpoint",
                LoadBalancer => "HcnCreateLoadBalancer",
                Namespace => "HcnCreateNamespace",
                Route => "HcnCreateSdnRoute",
            },
            Call::Open { kind, .. } => match kind {
                Network => "HcnOpenNetwork",
                Endpoint => "HcnOpenEndpoint",
                LoadBalancer => "HcnOpenLoadBalancer",
                Namespace => "HcnOpenNamespace",
                Route => "HcnOpenSdnRoute",
            },
            Call::Query { kind, .. } => match kind {
                Network => "HcnQueryNetworkProperties",
                Endpoint => "HcnQueryEndpointProperties",
                LoadBalancer => "HcnQueryLoadBalancerProperties",
                Namespace => "HcnQueryNamespaceProperties",
                Route => "HcnQuerySdnRouteProperties",
            },
            Call::Modify { kind, .. } => match kind {
                Network => "HcnModifyNetwork",
                Endpoint => "HcnModifyEndpoint",
                LoadBalancer => "HcnModifyLoadBalancer",
                Namespace => "HcnModifyNamespace",
                Route => "HcnModifySdnRoute",
            },
            Call::Delete { kind, .. } => match kind {
                Network => "HcnDeleteNetwork",
                Endpoint => "HcnDeleteEndpoint",
                LoadBalancer => "HcnDeleteLoadBalancer",
                Namespace => "HcnDeleteNamespace",
                Route => "HcnDeleteSdnRoute",
            },
            Call::Close { kind, .. } => match kind {
                Network => "HcnCloseNetwork",
                Endpoint => "HcnCloseEndpoint",
                LoadBalancer => "HcnCloseLoadBalancer",
                Namespace => "HcnCloseNamespace",
                Route => "HcnCloseSdnRoute",
            },
            Call::Hns { .. } => "HNSCall",
        }
    }

    /// Whether this call can change what HNS holds.
    pub fn is_write(&self) -> bool {
        match self {
            Call::Create { .. } | Call::Modify { .. } | Call::Delete { .. } => true,
            Call::Hns { method, .. } => *method != Method::Get,
            Call::Enumerate { .. } | Call::Open { .. } | Call::Query { .. } | Call::Close { .. } => false,
        }
    }

    /// Whether this call counts as a native call. Closing a handle does not.
    pub fn is_counted(&self) -> bool {
        !matches!(self, Call::Close { .. })
    }
}

/// What a call that succeeded answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A JSON document: ids of an enumeration, properties of a query, the envelope of `HNSCall`.
    Document(String),
    /// An open handle.
    Handle(Handle),
    /// Nothing but success.
    Done,
}

/// Something that carries out native calls: Windows, an emulator, or a wrapper around one of these.
///
/// Calls block, and may come from many threads at once.
pub trait Hcn: Send + Sync {
    /// Carries out one call.
    ///
    /// # Errors
    /// [`Error::Hns`] with HNS's code where HNS refused; other variants where HNS could not be asked.
    fn call(&self, call: &Call) -> Result<Reply, Error>;

    /// Has a function called for each notification of HNS, on a thread of its own, until the subscription is dropped or HNS ends
    /// ([`Event::ServiceDisconnect`](crate::Event::ServiceDisconnect)); then subscribe again. The function must return soon.
    ///
    /// # Errors
    /// [`Error::Missing`] where there are no notifications, which is the default; [`Error::Hns`] where HNS refused.
    fn subscribe(&self, _listener: Listener) -> Result<Subscription, Error> {
        let reason = "this way to HNS has none".into();
        Err(Error::Missing { what: "HcnRegisterServiceCallback".into(), reason })
    }
}

impl<T: Hcn + ?Sized> Hcn for Box<T> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        (**self).call(call)
    }

    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        (**self).subscribe(listener)
    }
}

impl<T: Hcn + ?Sized> Hcn for std::sync::Arc<T> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        (**self).call(call)
    }

    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        (**self).subscribe(listener)
    }
}
