//! The cluster as a Service proxy sees it: Services, EndpointSlices and the local Node, from an API server or from files.
//!
//! Whatever the source, it emits [`Change`]s: [`cluster::list_watch`] for an API server, [`FileSource`] for files.
//! [`cluster::read`] and [`files::Files`] read a cluster once, as a [`Catalog`]. This crate is independent of HNS. It starts no runtime
//! for watching, and no thread except the one that waits for file changes: futures run where the consumer spawns them. A
//! [`cluster::RequestObserver`] of the consumer counts requests.
//!
//! # What a consumer can rely on
//! - **Order.** Changes of one object arrive in the order in which the server made them. Different kinds are independent of each other: a
//!   slice may arrive before its Service.
//! - **Complete lists.** The first change of a kind is its complete list ([`Change::ResetServices`], [`Change::ResetSlices`],
//!   [`Change::Node`]), emitted after its last page has been read. A later list replaces everything, so a missed deletion takes effect. An
//!   incomplete list is never emitted.
//! - **Batches.** The changes of one call belong together: apply all of them before acting on any. A reload of files is one call, with the
//!   objects that have changed.
//! - **Partial failure.** The valid parts of an object are used. Each invalid part is left out and reported as a [`kubernetes::Problem`]
//!   ([`Change::Problems`], [`Change::ResetProblems`]), once for each version of the object. An object without any usable part is deleted.
//! - **Outages.** While the source cannot be read, [`Change::Outage`] carries the reason, and everything emitted before stays valid.
//!   Requests are retried with backoff. Missed changes are emitted afterwards, and then the outage is resolved. A single failure that a
//!   healthy server causes too, such as a broken connection or an expired resource version, is not an outage.
//!
//! # Why not kube-runtime
//! Its watcher and reflector would do most of this. They are not used, because
//! - there, one object that cannot be deserialized fails the whole list, or is lost as a whole with `DeserializeGuard`; here, an invalid
//!   field affects that field only;
//! - after etcd was restored from a backup, the server accepts a watch from a resource version that it has not reached, and sends no
//!   events. Here, after each break and each silent watch, a list with limit 1 checks that version. Such a server rejects it, and a relist
//!   follows. The list is of the object that changed last: if it differs, the server has another history up to that version. A response
//!   that does not prove the version is an outage;
//! - there, any list replaces what is known. Here, one that lacks most of it is confirmed by a second list;
//! - a server may not support streamed lists or a field selector, and an upgrade or downgrade may change this. Here, a reflector falls
//!   back to pages, or drops the selector, when the server rejects the request;
//! - objects are decoded one at a time, directly into the few fields that are used. A list of 10,000 Services therefore needs the memory
//!   of the model, and not that of the types of `k8s-openapi`.
#![forbid(unsafe_code)]

mod catalog;
mod change;
pub mod cluster;
mod defaults;
mod document;
mod error_chain;
mod file_list;
mod file_source;
mod file_text;
pub mod file_watch;
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod kubernetes;
mod loaded;
mod written;
mod yaml;

pub use catalog::Catalog;
pub use change::Change;
pub use document::SyntaxError;
pub use error_chain::error_chain;
pub use file_source::FileSource;
pub use file_text::{decode_text, read_text};
pub use yaml::yaml_options;
