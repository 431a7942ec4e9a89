//! Where Services, EndpointSlices and the node come from.

mod catalog;
mod change;
pub mod cluster;
mod document;
pub mod files;
mod watch;

pub use catalog::Catalog;
pub use change::Change;
pub use document::SyntaxError;
pub use watch::watch;
