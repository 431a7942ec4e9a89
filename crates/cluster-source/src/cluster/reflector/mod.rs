//! Decides what to request next for one kind of objects, and turns responses into changes. Values in, values out: no I/O and no clock.
//!
//! A list is emitted once it is complete. It replaces all earlier objects, so that a missed deletion takes effect. Until then, and during
//! an outage, everything emitted before stays valid.
//!
//! After every break, and after a watch that received nothing, a request verifies that the server has reached the last resource version,
//! before the watch continues. If etcd was restored from a backup, the server is behind that version: it would accept the watch, and send
//! no events until it has caught up. If the new history has passed that version already, the object that changed last usually shows it: see
//! [`newest`].

mod newest;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use self::newest::Newest;
use super::decode::DecodeError;
use super::kind::{Kind, Selection};
use super::known::Known;
use super::limits::{MAX_LIST, MAX_PAGE, MIN_OBJECT};
use super::object::{Event, Identity, Object, Page};
use super::request::{PAGE_LIMIT, Request};
use super::request_error::RequestError;
use super::resource_version::is_older;
use crate::change::Change;
use crate::kubernetes::Problem;

/// By which the page limit is divided if a page is too large: 500, 125, 31, 7, 1 objects.
const PAGE_LIMIT_DIVISOR: usize = 4;

/// The progress of list and watch.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The list is requested from its beginning, or is being streamed. Next: `Watching` at the end of the initial events or after a single
    /// page, `Paging` if there is a next page, `Listing` if the list is unconfirmed.
    Listing,
    /// Some pages were received. Next: `Watching` after the last page, `Listing` if the token has expired or the list is unconfirmed.
    Paging {
        /// The `continue` token of the next page.
        next: String,
        /// Of the first page.
        resource_version: String,
    },
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
    page_limit: usize,
    state: State,
    known: Known,
    /// Whether watches receive nothing, so that lists replace them.
    silent: bool,
    /// The objects of an incomplete list.
    list: BTreeMap<String, K::Item>,
    /// The object of them that changed last.
    list_newest: Option<Newest>,
    /// The object that changed last. `None` without a list, or if that list was empty.
    newest: Option<Newest>,
    /// How often the present verification was refused, or succeeded, alternately: it names an object if this is even.
    refusals: u8,
    /// A hash of the names and resource versions of these objects, in any order.
    list_hash: u64,
    /// That of the last list. `None` if events were received since.
    last_list_hash: Option<u64>,
    last_list_changed: bool,
    /// The size of the text of these objects in bytes, each counted with at least [`MIN_OBJECT`].
    list_bytes: usize,
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
            page_limit: PAGE_LIMIT,
            state: State::Listing,
            known: Known::default(),
            silent: false,
            list: BTreeMap::new(),
            list_newest: None,
            newest: None,
            refusals: 0,
            list_hash: 0,
            last_list_hash: None,
            last_list_changed: true,
            list_bytes: 0,
            reported: BTreeMap::new(),
            list_reported: BTreeMap::new(),
        }
    }

    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn request(&self) -> Request {
        let limit = self.page_limit;
        match &self.state {
            State::Listing if self.streams_list() => Request::StreamList,
            State::Listing => Request::List { next: None, limit },
            State::Paging { next, .. } => Request::List { next: Some(next.clone()), limit },
            State::Watching { resource_version, unverified: true } => {
                let object = self.newest.as_ref().filter(|_| self.refusals.is_multiple_of(2)).and_then(Newest::name);
                Request::Verify { resource_version: resource_version.clone(), object }
            }
            State::Watching { resource_version, unverified: false } => Request::Watch(resource_version.clone()),
        }
    }

    /// Whether the list was emitted, so that changes follow.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Watching { .. })
    }

    fn streams_list(&self) -> bool {
        // An unconfirmed list is confirmed by another kind of request. What holds watches back holds streams back, too.
        self.stream_lists && !self.known.is_unconfirmed() && !self.silent
    }

    /// Whether a list has just ended that is not believed, so that the next request lists again.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.state == State::Listing && self.known.is_unconfirmed()
    }

    /// Whether watches work: the last one received something, or was not silent for too long.
    pub(super) fn receives_events(&self) -> bool {
        !self.silent
    }

    /// Whether the last list differs from the one before it, or may differ.
    pub(super) fn last_list_changed(&self) -> bool {
        self.last_list_changed
    }

    /// # Errors
    /// If the page does not continue the one before it, or the list is too large.
    pub(super) fn on_page(&mut self, page: Page<K::Item>) -> Result<Vec<Change>, RequestError> {
        let resource_version = match &self.state {
            // Such a list would never end.
            State::Paging { next, .. } if page.next.as_ref() == Some(next) => {
                return Err(
                    DecodeError::new("the next page has the continue token of this page", next.as_bytes()).into()
                );
            }
            State::Paging { resource_version, .. } if is_older(&page.resource_version, resource_version) => {
                return Err(went_back(&page.resource_version, resource_version));
            }
            // All pages have the version of the first one. If a server does not comply, a watch from the first version misses nothing.
            State::Paging { resource_version, .. } => resource_version.clone(),
            State::Listing | State::Watching { .. } => page.resource_version,
        };
        // The next pages, of objects of about this size, fill half of the size limit at most.
        let fitting = (MAX_PAGE / 2).saturating_mul(page.objects.len()) / page.bytes.max(1);
        self.page_limit = fitting.clamp(1, PAGE_LIMIT);
        let mut changes = Vec::new();
        for object in page.objects {
            self.collect(object, &mut changes)?;
        }
        match page.next {
            Some(next) => self.state = State::Paging { next, resource_version },
            None => self.complete(resource_version, &mut changes),
        }
        Ok(changes)
    }

    /// A list from the last resource version on was answered by this page. That the server has answered proves nothing: a proxy or a faulty
    /// cache may ignore the version of the request.
    ///
    /// # Errors
    /// If the server has not reached the last resource version, or has another history up to it.
    pub(super) fn on_verified(&mut self, page: &Page<K::Item>) -> Result<(), RequestError> {
        let State::Watching { resource_version, unverified } = &mut self.state else { return Ok(()) };
        if is_older(&page.resource_version, resource_version) {
            return Err(went_back(&page.resource_version, resource_version));
        }
        if self.newest.as_ref().is_some_and(|newest| newest.contradicts(&page.objects, resource_version)) {
            return Err(RequestError::OtherHistory { version: resource_version.clone() });
        }
        // A starting server forbids everything for a moment, so the first refusal may not have been that of the path.
        if self.refusals == 1 {
            self.refusals = 2;
            return Ok(());
        }
        self.refusals = 0;
        *unverified = false;
        Ok(())
    }

    /// # Errors
    /// If the event is an `ERROR`, or older than the one before it, so that the watch cannot continue; or if the list is too large.
    pub(super) fn on_event(&mut self, event: Event<K::Item>) -> Result<Vec<Change>, RequestError> {
        let mut changes = Vec::new();
        if self.is_complete() && matches!(event, Event::Applied(_) | Event::Deleted(_)) {
            self.last_list_hash = None;
        }
        match (event, self.is_complete()) {
            (Event::Applied(object), _) if self.is_other(&object.identity) => {}
            (Event::Deleted(identity), _) if self.is_other(&identity) => {}
            (Event::Applied(object), false) => self.collect(object, &mut changes)?,
            (Event::Applied(object), true) => {
                self.reach(&object.identity.resource_version)?;
                self.newest = Some(Newest::applied(&object.identity));
                self.report(&object.identity, object.problems, &mut changes);
                let name = object.identity.full_name();
                changes.push(match object.item {
                    Some(item) => {
                        self.known.add(&name);
                        K::applied(item)
                    }
                    // An update may make a Service headless or invalid. If it never concerned this proxy, the consumer ignores the deletion.
                    None => {
                        self.known.remove(&name);
                        K::deleted(&object.identity)
                    }
                });
            }
            (Event::Deleted(identity), false) => {
                self.list.remove(&identity.full_name());
                self.list_newest.take_if(|newest| newest.is_of(&identity));
            }
            (Event::Deleted(identity), true) => {
                self.reach(&identity.resource_version)?;
                self.newest = Some(Newest::deleted(&identity));
                let name = identity.full_name();
                self.reported.remove(&name);
                self.known.remove(&name);
                changes.push(K::deleted(&identity));
            }
            (Event::Bookmark { resource_version, initial_events_end: true }, false) => {
                self.complete(resource_version, &mut changes);
            }
            (Event::Bookmark { resource_version, .. }, true) => self.reach(&resource_version)?,
            (Event::Bookmark { .. }, false) => {}
            // It says nothing of the objects, so it does not show that watches work.
            (Event::Unknown, _) => return Ok(changes),
            (Event::Error(status), _) => return Err(RequestError::Api(status)),
        }
        self.silent = false;
        Ok(changes)
    }

    /// A watch has ended without an error. If it received nothing, the version may be one that the server never reaches.
    pub(super) fn on_end(&mut self, received: bool) {
        if let (State::Watching { unverified, .. }, false) = (&mut self.state, received) {
            *unverified = true;
        }
    }

    /// Returns whether to send the next request at once, because it differs from the failed one and may succeed.
    pub(super) fn on_error(&mut self, error: &RequestError) -> bool {
        match (&mut self.state, error) {
            // The version or token will never be valid again, so only a complete list helps.
            (State::Watching { .. } | State::Paging { .. }, error) if error.needs_relist() => self.relist(),
            // No watch event shows a change, so only lists do.
            (_, RequestError::Silent(_)) => {
                self.silent = true;
                self.relist()
            }
            // The watch would send the same line again. A page may have it, and the watch continues after it.
            (_, RequestError::LineTooLong { .. }) => {
                self.stream_lists = false;
                self.relist();
                false
            }
            // A `continue` token is independent of the limit.
            (State::Listing | State::Paging { .. }, RequestError::PageTooLarge { .. }) if self.page_limit > 1 => {
                self.page_limit = (self.page_limit / PAGE_LIMIT_DIVISOR).max(1);
                true
            }
            // A proxy may know only the paths that kube-proxy requests.
            (State::Watching { unverified: true, .. }, error) if error.may_lack_path() => {
                self.refusals = if self.refusals.is_multiple_of(2) { self.refusals + 1 } else { 0 };
                self.refusals > 0
            }
            // A server or cache that ignores the limit of one object would answer each verification so.
            (State::Watching { .. }, RequestError::PageTooLarge { .. }) => {
                self.relist();
                false
            }
            (State::Watching { unverified, .. }, error) => {
                // An overloaded server (429) is running, so etcd was not restored meanwhile: the version is still valid.
                *unverified |= !error.is_overloaded();
                false
            }
            // Whatever the server is, it does not list. The token is not to be used again.
            (State::Paging { .. }, RequestError::Decode(_)) => {
                self.relist();
                false
            }
            // The token is still valid, so the same page is requested again.
            (State::Paging { .. }, _) => false,
            (State::Listing, error) => {
                self.clear_list();
                self.degrade(error)
            }
        }
    }

    /// Drops a feature that the server may not support: first streamed lists, then the field selector.
    fn degrade(&mut self, error: &RequestError) -> bool {
        // After a timeout, or a stream that ends too early, the next attempt uses pages, but still backs off: the server may only be slow.
        let may_lack_streams = error.may_lack_streamed_lists();
        if self.streams_list() && (may_lack_streams || matches!(error, RequestError::Timeout | RequestError::ListEnded))
        {
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
        (self.list_bytes, self.list_hash, self.list_newest) = (0, 0, None);
        self.list_reported.clear();
    }

    /// Adds an object to the list.
    ///
    /// # Errors
    /// If the list is too large: a server may send pages, or the objects of a stream, without an end.
    fn collect(&mut self, object: Object<K::Item>, changes: &mut Vec<Change>) -> Result<(), RequestError> {
        if self.is_other(&object.identity) {
            return Ok(());
        }
        self.list_bytes = self.list_bytes.saturating_add(object.bytes.max(MIN_OBJECT));
        if self.list_bytes > MAX_LIST {
            let (objects, mib) = (self.list.len(), MAX_LIST >> 20);
            let reason = format!("the list exceeds {mib} MiB after {objects} objects");
            return Err(DecodeError::new(reason, object.identity.full_name().as_bytes()).into());
        }
        let name = object.identity.full_name();
        let mut hasher = DefaultHasher::new();
        (&name, &object.identity.resource_version).hash(&mut hasher);
        self.list_hash = self.list_hash.wrapping_add(hasher.finish());
        if self.list_newest.as_ref().is_none_or(|newest| !newest.is_newer_than(&object.identity)) {
            self.list_newest = Some(Newest::applied(&object.identity));
        }
        self.report(&object.identity, object.problems, changes);
        match object.item {
            Some(item) => self.list.insert(name, item),
            None => self.list.remove(&name),
        };
        Ok(())
    }

    /// Emits the complete list, if it is believed.
    fn complete(&mut self, resource_version: String, changes: &mut Vec<Change>) {
        if !self.known.believes(self.list.keys().map(String::as_str), &resource_version) {
            self.relist();
            return;
        }
        self.state = State::Watching { resource_version, unverified: false };
        let list_hash = Some(std::mem::take(&mut self.list_hash));
        self.last_list_changed = std::mem::replace(&mut self.last_list_hash, list_hash) != list_hash;
        self.newest = self.list_newest.take();
        self.list_bytes = 0;
        self.reported = std::mem::take(&mut self.list_reported);
        changes.push(K::reset(std::mem::take(&mut self.list).into_values().collect()));
    }

    /// Whether an object does not concern this proxy, although the request excludes it.
    fn is_other(&self, identity: &Identity) -> bool {
        self.selection.name.as_ref().is_some_and(|name| *name != identity.name)
    }

    /// # Errors
    /// If the version is older than the last one: changes may have been missed.
    fn reach(&mut self, reached: &str) -> Result<(), RequestError> {
        if let (State::Watching { resource_version, .. }, false) = (&mut self.state, reached.is_empty()) {
            if is_older(reached, resource_version) {
                return Err(went_back(reached, resource_version));
            }
            reached.clone_into(resource_version);
            self.known.reach(reached);
        }
        Ok(())
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

fn went_back(version: &str, before: &str) -> RequestError {
    RequestError::VersionWentBack { version: version.to_owned(), before: before.to_owned() }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod random_server;
