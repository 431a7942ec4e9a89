//! Objects, pages of lists and watch events of the API server, reduced to the parts that a reflector reads.

use serde::Deserialize;

use super::api_status::ApiStatus;
use crate::kubernetes::Problem;

/// Identifies an object and its version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Identity {
    /// Empty for a kind without namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Compared for equality, or by [`is_older`](super::resource_version::is_older).
    pub(super) resource_version: String,
}

impl Identity {
    /// `namespace/name`, or the name alone.
    pub(super) fn full_name(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}

/// An object, reduced to its usable parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object<T> {
    pub(super) identity: Identity,
    /// `None` if the object does not concern this proxy, or cannot be used.
    pub(super) item: Option<T>,
    pub(super) problems: Vec<Problem>,
    /// The size of its text in bytes.
    pub(super) bytes: usize,
}

/// A page of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Page<T> {
    pub(super) objects: Vec<Object<T>>,
    /// The size of its text.
    pub(super) bytes: usize,
    /// Of the whole list.
    pub(super) resource_version: String,
    /// The `continue` token, if there is a next page.
    pub(super) next: Option<String>,
}

/// A watch event.
#[derive(Debug, PartialEq)]
pub(super) enum Event<T> {
    /// `ADDED` or `MODIFIED`.
    Applied(Object<T>),
    /// `DELETED`: also sent for an object that the selectors no longer match.
    Deleted(Identity),
    /// The server has sent all changes up to this version.
    Bookmark {
        resource_version: String,
        /// Whether it ends the initial list of a stream.
        initial_events_end: bool,
    },
    /// `ERROR`: the watch cannot go on.
    Error(ApiStatus),
    /// An unknown type of event, for example of a newer server. It is skipped.
    Unknown,
}
