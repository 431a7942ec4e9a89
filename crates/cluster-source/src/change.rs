//! What a source of the cluster says as it goes: first the whole of each kind, then one object at a time.

use proxy::model::{Service, ServiceName, Slice, SliceName};

use crate::kubernetes::Problem;
use crate::kubernetes::node::Node;

/// A change of what is known of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// These are all Services; others are gone.
    Services(Vec<Service>),
    /// A Service is there, or is another than before.
    Service(Service),
    /// A Service is gone, or is none that can be served.
    ServiceGone(ServiceName),
    /// These are all slices; others are gone.
    Slices(Vec<Slice>),
    /// A slice is there, or is another than before.
    Slice(Slice),
    /// A slice is gone, or is none that can be used.
    SliceGone(SliceName),
    /// The own node as it is now; none where there is no such Node.
    Node(Option<Node>),
    /// What of objects could not be used. Told once for each version of an object.
    Problems(Vec<Problem>),
    /// Why the source can't be asked; none once it can be asked again. What it last said stays true meanwhile.
    Trouble(Option<String>),
}
