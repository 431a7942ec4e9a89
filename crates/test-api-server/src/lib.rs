//! A Kubernetes API server for tests and benchmarks, controlled by the test.
//!
//! It serves list and watch of Services, EndpointSlices, Nodes and ServiceCIDRs over HTTP and HTTPS as the API server does: with
//! selectors, pages, resource versions, bookmarks, streamed lists and expired versions. It accepts Events. A test can make it fail as API
//! servers do in the field: reject requests, respond late or never, send invalid JSON, close a connection in the middle of a line, or
//! continue from a restored etcd with lower resource versions.
//!
//! ```
//! use serde_json::json;
//! use test_api_server::{ApiServer, Kind, FaultMode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::start()?;
//! server.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": "b"}}))?;
//! server.set_fault_mode(FaultMode::Refuses { code: 429, retry_after: Some(1) });
//! server.cut();
//! assert_eq!(server.watches(Kind::Service), 0);
//! # Ok(())
//! # }
//! ```
#![allow(clippy::disallowed_methods, reason = "for tests: watches end after the timeout that a client requests")]

mod answer;
mod connection;
mod discovery;
mod endless;
mod events;
mod fault_mode;
mod http;
mod kind;
mod kubeconfig;
mod list;
mod path;
mod port;
mod selector;
mod server;
mod session;
mod shared;
mod status;
mod store;
mod stream;
mod tls;
mod watch;

pub use fault_mode::{ExpiredWatches, FaultMode, StreamedLists};
pub use kind::Kind;
pub use kubeconfig::Credentials;
pub use server::ApiServer;
pub use shared::Received;

/// Why an object is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("unknown kind {0:?} (known: Service, EndpointSlice, Node, ServiceCIDR)")]
    Kind(String),
    #[error("invalid object of kind {0:?}: missing metadata.name")]
    NoName(String),
}
