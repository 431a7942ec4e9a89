//! The changes that a source of the cluster emits: the complete list of each kind first, then single objects.

use proxy::model::{Service, ServiceName, Slice, SliceName};

use crate::kubernetes::Problem;
use crate::kubernetes::node::Node;

/// A change of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The complete list of Services: every other Service is deleted.
    ResetServices(Vec<Service>),
    ApplyService(Service),
    /// The Service was deleted, or this proxy does not serve it (any more).
    DeleteService(ServiceName),
    /// The complete list of EndpointSlices: every other slice is deleted.
    ResetSlices(Vec<Slice>),
    ApplySlice(Slice),
    /// The slice was deleted, or this proxy does not use it (any more).
    DeleteSlice(SliceName),
    /// The local Node as it is now; `None` if the source has no such Node.
    Node(Option<Node>),
    /// Parts of objects that were left out: the problems of one version of an object of an API server.
    Problems(Vec<Problem>),
    /// All problems of all files. Problems that are not in this list are resolved.
    ResetProblems(Vec<Problem>),
    /// Why the source cannot be read at present; `None` once that is resolved. Everything emitted before stays valid meanwhile.
    Outage(Option<String>),
}
