//! The cluster as a Service proxy sees it: Services, EndpointSlices and the own Node, from an API server or from files.
//!
//! Whatever the source, it emits batches of [`Change`]s: [`cluster::list_watch`] for an API server, [`FileSource`] for files.
//! [`cluster::read`] and [`files::Files`] read a cluster once, as a [`Catalog`]. This crate knows nothing of HNS, and has no thread or
//! runtime of its own but the one that waits for files: futures run where the consumer spawns them, and requests are counted by a
//! [`cluster::RequestObserver`] that the consumer passes in.
//!
//! # What a consumer can rely on
//! - **Order.** Changes of one object arrive in the order in which the server made them. Different kinds are independent of each other: a
//!   slice may arrive before its Service.
//! - **Complete lists.** The first change of a kind is its complete list ([`Change::ResetServices`], [`Change::ResetSlices`],
//!   [`Change::Node`]), emitted once the last page was read. A later list replaces everything, so a deletion that was missed is seen. Half
//!   a list is never emitted.
//! - **Batches.** The changes of one call belong together: apply all of them before acting on any. A reload of files is one [`Batch`]. At
//!   most one is pending: files that change before it is taken replace its content.
//! - **Partial failure.** An object is used as far as it is valid. What is left out is a [`kubernetes::Problem`]
//!   ([`Change::Problems`]), emitted once for each version of the object; an object that is not usable at all is deleted.
//! - **Outages.** While the source cannot be read, [`Change::Outage`] says why, and everything emitted before stays valid. Requests are
//!   retried with backoff; what was missed is emitted afterwards, and then the outage is resolved. A hiccup of a healthy server, such as a
//!   connection that breaks once or a resource version that has expired, is no outage.
//!
//! # Why not kube-runtime
//! Its watcher and reflector would do most of this. They are not used, because
//! - one object that cannot be deserialised fails a whole list there, or is lost as a whole with `DeserializeGuard`; here a wrong field
//!   is a problem of that field alone;
//! - after an etcd was restored from a backup, a watch from a resource version that the server has not reached is accepted and stays
//!   silent. Here each break is followed by a list of one object at that version, which such a server refuses, and then by a relist;
//! - a server may be without streamed lists, or without a field selector, at any upgrade. Here a reflector finds out by asking, and goes on
//!   with pages, or without the selector;
//! - objects are decoded straight into the few fields that are used, one at a time, so that a list of 10,000 Services costs the memory of
//!   the model and not that of `k8s-openapi`'s types.
#![forbid(unsafe_code)]

mod batch;
mod catalog;
mod change;
pub mod cluster;
mod document;
mod error_chain;
mod file_source;
pub mod file_watch;
pub mod files;
pub mod kubernetes;

pub use batch::Batch;
pub use catalog::Catalog;
pub use change::Change;
pub use document::SyntaxError;
pub use error_chain::error_chain;
pub use file_source::{FileSource, PendingBatch};
