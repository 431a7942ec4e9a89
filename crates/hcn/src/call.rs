//! One native call as a value, and the trait that makes native calls.
//!
//! A *native call* is one function of `computenetwork.dll`, or one `HNSCall` of `vmcompute.dll`. Counters, journals, injected faults
//! and transport over TCP wrap [`Hcn::call`].

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::notification::{Listener, Subscription};
use crate::{Error, Guid};

/// An open HNS object. Valid only with the [`Hcn`] that returned it.
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
    /// The method as HNS expects it, in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// One native call. Documents and queries are JSON text; an empty string is passed as a null pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `HcnEnumerate…`: replies with the ids that match a query.
    Enumerate {
        /// The kind of the objects.
        kind: Kind,
        /// A query document.
        query: String,
    },
    /// `HcnCreate…`: replies with an open handle.
    Create {
        /// The kind of the object.
        kind: Kind,
        /// The open network; for endpoints only.
        network: Option<Handle>,
        /// The requested id. For the nil id, HNS uses the `ID` in the settings, or chooses one.
        id: Guid,
        /// The document of the object.
        settings: String,
    },
    /// `HcnOpen…`: replies with an open handle.
    Open {
        /// The kind of the object.
        kind: Kind,
        /// The id of the object.
        id: Guid,
    },
    /// `HcnQuery…Properties`: the document of an open object.
    Query {
        /// The kind of the open object.
        kind: Kind,
        /// The open object.
        handle: Handle,
        /// A query document. Its schema version selects the schema of the reply.
        query: String,
    },
    /// `HcnModify…`.
    Modify {
        /// The kind of the open object.
        kind: Kind,
        /// The open object.
        handle: Handle,
        /// A modify request; for load balancers, the whole document.
        settings: String,
    },
    /// `HcnDelete…`: by id.
    Delete {
        /// The kind of the object.
        kind: Kind,
        /// The id of the object.
        id: Guid,
    },
    /// `HcnClose…`. Not counted as a native call, since it is local to the process.
    Close {
        /// The kind of the open object.
        kind: Kind,
        /// The open object.
        handle: Handle,
    },
    /// `HNSCall`, the only function of the HNS v1 API.
    Hns {
        /// The method.
        method: Method,
        /// The path, for example `/endpoints/`.
        path: String,
        /// The document, or empty.
        body: String,
    },
}

impl Call {
    /// The name of the native function, for messages, journals and metrics.
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

    /// Whether the call can change the state of HNS.
    pub fn is_write(&self) -> bool {
        match self {
            Call::Create { .. } | Call::Modify { .. } | Call::Delete { .. } => true,
            Call::Hns { method, .. } => *method != Method::Get,
            Call::Enumerate { .. } | Call::Open { .. } | Call::Query { .. } | Call::Close { .. } => false,
        }
    }

    /// Whether the call counts as a native call. Closing a handle does not.
    pub fn is_counted(&self) -> bool {
        !matches!(self, Call::Close { .. })
    }
}

/// The result of a successful call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A JSON document: the ids of an enumeration, the properties of a query, or the envelope of `HNSCall`.
    Document(String),
    /// The handle of an opened or created object.
    Handle(Handle),
    /// Success without a value.
    Done,
}

/// Makes native calls: Windows, an emulator, or a wrapper around one of these.
///
/// Calls block. Any number of threads may call at the same time.
pub trait Hcn: Send + Sync {
    /// Makes one call.
    ///
    /// # Errors
    /// [`Error::Hns`] with the HRESULT if HNS rejected the call; another variant if the call did not reach HNS.
    fn call(&self, call: &Call) -> Result<Reply, Error>;

    /// Calls `listener` for each notification of HNS, on a thread of its own, until the subscription is dropped or HNS stops
    /// ([`Event::ServiceDisconnect`](crate::Event::ServiceDisconnect)). After a disconnect, subscribe again. The listener must not
    /// block.
    ///
    /// # Errors
    /// [`Error::Missing`] if the implementation has no notifications, which is the default; [`Error::Hns`] if HNS rejected the
    /// registration.
    fn subscribe(&self, _listener: Listener) -> Result<Subscription, Error> {
        let reason = "this implementation has no notifications".into();
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
