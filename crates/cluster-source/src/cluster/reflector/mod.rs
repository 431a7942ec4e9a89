//! Decides what to request next for one kind of objects, and turns responses into changes. Values in, values out: no I/O and no clock.
//!
//! A list is emitted once it is complete. It replaces all earlier objects, so that a missed deletion takes effect. Until then, and during
//! an outage, everything emitted before stays valid.
//!
//! After every break, a request verifies that the server has reached the last resource version, before the watch continues. If etcd was
//! restored from a backup, the server is behind that version: it would accept the watch, and send no events until it has caught up.

use std::collections::BTreeMap;

use super::kind::{Kind, Selection};
use super::object::{Event, Identity, Object, Page};
use super::request::Request;
use super::request_error::RequestError;
use crate::change::Change;
use crate::kubernetes::Problem;

/// The progress of list and watch.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The list is requested from its beginning, or is being streamed. Next: `Watching` at the end of the initial events or after a single
    /// page, `Paging` if there is a next page.
    Listing,
    /// Some pages were received. Holds the `continue` token of the next one. Next: `Watching` after the last page, `Listing` if the token has expired.
    Paging(String),
    /// All changes up to a resource version were received. Next: `Listing` if the version has expired or is unknown to the server.
    Watching {
        resource_version: String,
        /// Whether the server must confirm the version before the watch continues: etcd may have been restored since.
        unverified: bool,
    },
}

/// The list/watch of the objects of a kind.
#[derive(Debug)]
pub(super) struct Reflector<K: Kind> {
    selection: Selection,
    stream_lists: bool,
    state: State,
    /// The objects of an incomplete list.
    list: BTreeMap<String, K::Item>,
    /// The resource versions of objects whose problems were emitted, by `namespace/name`.
    reported: BTreeMap<String, String>,
    /// The same for the objects of an incomplete list. Replaces `reported` when the list is complete, so deleted objects are forgotten.
    list_reported: BTreeMap<String, String>,
}

impl<K: Kind> Reflector<K> {
    pub(super) fn new(node_name: &str, stream_lists: bool) -> Self {
        Self {
            selection: K::selection(node_name),
            stream_lists,
            state: State::Listing,
            list: BTreeMap::new(),
            reported: BTreeMap::new(),
            list_reported: BTreeMap::new(),
        }
    }

    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn request(&self) -> Request {
        match &self.state {
            State::Listing if self.stream_lists => Request::StreamList,
            State::Listing => Request::List(None),
            State::Paging(next) => Request::List(Some(next.clone())),
            State::Watching { resource_version, unverified: true } => Request::Verify(resource_version.clone()),
            State::Watching { resource_version, unverified: false } => Request::Watch(resource_version.clone()),
        }
    }

    /// Whether the list was emitted, so that changes follow.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Watching { .. })
    }

    pub(super) fn on_page(&mut self, page: Page<K::Item>) -> Vec<Change> {
        let mut changes = Vec::new();
        for object in page.objects {
            self.collect(object, &mut changes);
        }
        match page.next {
            Some(next) => self.state = State::Paging(next),
            None => self.complete(page.resource_version, &mut changes),
        }
        changes
    }

    /// The server has reached the resource version.
    pub(super) fn on_verified(&mut self) {
        if let State::Watching { unverified, .. } = &mut self.state {
            *unverified = false;
        }
    }

    /// # Errors
    /// If the event is an `ERROR`: the watch cannot continue.
    pub(super) fn on_event(&mut self, event: Event<K::Item>) -> Result<Vec<Change>, RequestError> {
        let mut changes = Vec::new();
        match (event, self.is_complete()) {
            (Event::Applied(object), false) => self.collect(object, &mut changes),
            (Event::Applied(object), true) => {
                self.reach(&object.identity.resource_version);
                self.report(&object.identity, object.problems, &mut changes);
                changes.push(match object.item {
                    Some(item) => K::applied(item),
                    // An update may make a Service headless or invalid. If it never concerned this proxy, the consumer ignores the deletion.
                    None => K::deleted(&object.identity),
                });
            }
            (Event::Deleted(identity), false) => {
                self.list.remove(&identity.full_name());
            }
            (Event::Deleted(identity), true) => {
                self.reach(&identity.resource_version);
                self.reported.remove(&identity.full_name());
                changes.push(K::deleted(&identity));
            }
            (Event::Bookmark { resource_version, initial_events_end: true }, false) => {
                self.complete(resource_version, &mut changes);
            }
            (Event::Bookmark { resource_version, .. }, true) => self.reach(&resource_version),
            (Event::Bookmark { .. }, false) | (Event::Unknown, _) => {}
            (Event::Error(status), _) => return Err(RequestError::Api(status)),
        }
        Ok(changes)
    }

    /// The server ended a watch without an error.
    pub(super) fn on_end(&mut self) {
        // A stream that ended within the initial list starts again from its beginning.
        if self.state == State::Listing {
            self.clear_list();
        }
    }

    /// Returns whether to send the next request at once, because it differs from the failed one and may succeed.
    pub(super) fn on_error(&mut self, error: &RequestError) -> bool {
        match &mut self.state {
            // The version or token will never be valid again, so only a complete list helps.
            State::Watching { .. } | State::Paging(_) if error.needs_relist() => self.relist(),
            State::Watching { unverified, .. } => {
                // An overloaded server (429) is running, so etcd was not restored meanwhile: the version is still valid.
                *unverified |= !error.is_overloaded();
                false
            }
            // The token is still valid, so the same page is requested again.
            State::Paging(_) => false,
            State::Listing => {
                self.clear_list();
                self.degrade(error)
            }
        }
    }

    /// Drops a feature that the server may not support: first streamed lists, then the field selector.
    fn degrade(&mut self, error: &RequestError) -> bool {
        // After a timeout, the next attempt uses pages, but still backs off: the server may only be slow.
        let may_lack_streams = error.may_lack_streamed_lists();
        if self.stream_lists && (may_lack_streams || *error == RequestError::Timeout) {
            self.stream_lists = false;
            return may_lack_streams;
        }
        // An optional field selector only saves traffic: the conversion skips the same objects.
        if error.is_bad_request() && self.selection.fields_are_optional && !self.selection.fields.is_empty() {
            self.selection.fields.clear();
            return true;
        }
        false
    }

    fn relist(&mut self) -> bool {
        self.clear_list();
        self.state = State::Listing;
        true
    }

    fn clear_list(&mut self) {
        self.list.clear();
        self.list_reported.clear();
    }

    /// Adds an object to the list.
    fn collect(&mut self, object: Object<K::Item>, changes: &mut Vec<Change>) {
        let name = object.identity.full_name();
        self.report(&object.identity, object.problems, changes);
        match object.item {
            Some(item) => self.list.insert(name, item),
            None => self.list.remove(&name),
        };
    }

    /// Emits the complete list.
    fn complete(&mut self, resource_version: String, changes: &mut Vec<Change>) {
        self.state = State::Watching { resource_version, unverified: false };
        self.reported = std::mem::take(&mut self.list_reported);
        changes.push(K::reset(std::mem::take(&mut self.list).into_values().collect()));
    }

    fn reach(&mut self, reached: &str) {
        if let (State::Watching { resource_version, .. }, false) = (&mut self.state, reached.is_empty()) {
            reached.clone_into(resource_version);
        }
    }

    /// Emits the problems of an object, unless those of this version were already emitted.
    fn report(&mut self, identity: &Identity, problems: Vec<Problem>, changes: &mut Vec<Change>) {
        let name = identity.full_name();
        if problems.is_empty() {
            self.list_reported.remove(&name);
            if self.is_complete() {
                self.reported.remove(&name);
            }
            return;
        }
        let version = &identity.resource_version;
        if self.reported.insert(name.clone(), version.clone()).as_ref() != Some(version) {
            changes.push(Change::Problems(problems));
        }
        if !self.is_complete() {
            self.list_reported.insert(name, version.clone());
        }
    }
}

#[cfg(test)]
mod tests;
