//! What HNS holds, and what is to be done, for people and for programs.

mod explain;
mod plan;
mod snapshot;
mod table;

pub use explain::explanation;
pub use plan::PlanView;
pub use snapshot::{EndpointState, LoadBalancerState, Snapshot, read};
pub use table::table;
