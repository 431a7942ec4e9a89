//! What a source of the cluster emits: the whole list of each kind first, then one object at a time.

use proxy::model::{Service, ServiceName, Slice, SliceName};

use crate::kubernetes::Problem;
use crate::kubernetes::node::Node;

/// A change of what is known of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The complete list of Services: every other Service is deleted.
    ResetServices(Vec<Service>),
    ApplyService(Service),
    /// The Service was deleted, or is one that this proxy does not serve (any more).
    DeleteService(ServiceName),
    /// The complete list of EndpointSlices: every other slice is deleted.
    ResetSlices(Vec<Slice>),
    ApplySlice(Slice),
    /// The slice was deleted, or is one that this proxy cannot use (any more).
    DeleteSlice(SliceName),
    /// The own Node as it is now; `None` if the source has no such Node.
    Node(Option<Node>),
    /// Parts of objects that were left out. An API server's are emitted once for each version of an object; those of files are all that
    /// the files have, emitted when they differ from the last ones, so an empty list means that all were resolved.
    Problems(Vec<Problem>),
    /// Why the source cannot be read at present; `None` once that is resolved. Everything emitted before stays valid meanwhile.
    Outage(Option<String>),
}
