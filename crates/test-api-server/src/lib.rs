//! A scripted stand-in of the Kubernetes API server, for tests and benchmarks.
//!
//! It lists and watches Services, EndpointSlices, Nodes and ServiceCIDRs over HTTP and HTTPS as the API server does: with selectors, pages,
//! resource versions, bookmarks, streamed lists, and expired versions. It takes Events. All the rest is what goes wrong in the field:
//! a test has it refuse, be slow or silent, talk garbage, break off in the middle of a line, or come back with another history.
//!
//! ```
//! use serde_json::json;
//! use test_api_server::{ApiServer, Kind, Mood};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::start()?;
//! server.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": "b"}}))?;
//! server.set_mood(Mood::Refuses { code: 429, retry_after: Some(1) });
//! server.cut();
//! assert_eq!(server.watches(Kind::Service), 0);
//! # Ok(())
//! # }
//! ```
#![allow(clippy::disallowed_methods, reason = "for tests: watches end after the time that a client asks for")]

mod answer;
mod connection;
mod discovery;
mod events;
mod http;
mod kind;
mod kubeconfig;
mod list;
mod mood;
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

pub use kind::Kind;
pub use kubeconfig::Credentials;
pub use mood::{ExpiredWatches, Mood, StreamedLists};
pub use server::ApiServer;
pub use shared::Received;

/// Why an object is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Of its kind nothing is served.
    #[error("objects of kind {0:?} are not served: only those of Kind::ALL are")]
    Kind(String),
    /// Objects are known by their names.
    #[error("an object of kind {0:?} has no metadata.name")]
    NoName(String),
}
