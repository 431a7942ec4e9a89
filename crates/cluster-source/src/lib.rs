//! The cluster as a Service proxy sees it: Services, EndpointSlices and the own Node, read from an API server or from files.
#![forbid(unsafe_code)]

mod catalog;
mod change;
pub mod cluster;
mod document;
mod error_chain;
mod file_source;
pub mod file_watch;
pub mod files;
pub mod kubernetes;

pub use catalog::Catalog;
pub use change::Change;
pub use document::SyntaxError;
pub use error_chain::error_chain;
pub use file_source::FileSource;
