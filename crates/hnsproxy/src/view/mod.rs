//! The output of commands: the state of HNS, plans and explanations, as text and as JSON.

mod columns;
mod explain;
mod packet;
mod plan;
mod snapshot;
mod table;
mod version;

pub use columns::{Layout, columns};
pub use explain::explanation;
pub use packet::packet;
pub use plan::{PlanView, plan};
pub use snapshot::{EndpointState, LoadBalancerState, Snapshot, read};
pub use table::table;
pub use version::{Version, version};

/// A number with its noun, in the singular or plural.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
