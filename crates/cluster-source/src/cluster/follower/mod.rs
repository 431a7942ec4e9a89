//! Follows the objects of a kind: decides what to ask next, and makes changes of what is answered. Values in, values out.
//!
//! A list counts once it is whole, and then replaces what was known, so that a deletion that was missed is seen. Until then, and while
//! the server can't be asked, what was said stays true. Versions are words of the server's, never compared but for being the same.
//!
//! After the server was away, it is asked whether it knows the version that was reached: one that was restored from a backup would
//! else keep silent until it has come so far again.

use std::collections::BTreeMap;

use super::answer::{Event, Identity, Object, Page};
use super::failure::Failure;
use super::kind::{Kind, Selection};
use crate::change::Change;
use crate::kubernetes::Problem;

/// What to ask next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A page of the list: the first, or the one of a token.
    Page(Option<String>),
    /// The list as a stream, and then what changes.
    Stream,
    /// Whether a version is known.
    Confirm(String),
    /// What changes after a version.
    Watch(String),
}

/// How far we are.
#[derive(Debug, PartialEq, Eq)]
enum Position {
    /// The list is to be asked for, or comes.
    Start,
    /// The list is known up to a page.
    Page(String),
    /// All changes up to a version are known.
    At {
        version: String,
        /// Whether the server was away since.
        doubted: bool,
    },
}

/// Follows the objects of a kind.
#[derive(Debug)]
pub(super) struct Follower<K: Kind> {
    selection: Selection,
    streams: bool,
    position: Position,
    /// The list as far as it has come.
    list: BTreeMap<String, K::Item>,
    /// The versions of objects whose problems were told.
    told: BTreeMap<String, String>,
    /// The objects with problems in the list as far as it has come.
    listed_problems: BTreeMap<String, String>,
}

impl<K: Kind> Follower<K> {
    /// A follower that knows nothing yet.
    pub(super) fn new(node_name: &str, streams: bool) -> Self {
        Self {
            selection: K::selection(node_name),
            streams,
            position: Position::Start,
            list: BTreeMap::new(),
            told: BTreeMap::new(),
            listed_problems: BTreeMap::new(),
        }
    }

    /// Which objects are asked for.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What to ask next.
    pub(super) fn request(&self) -> Request {
        match &self.position {
            Position::Start if self.streams => Request::Stream,
            Position::Start => Request::Page(None),
            Position::Page(next) => Request::Page(Some(next.clone())),
            Position::At { version, doubted: true } => Request::Confirm(version.clone()),
            Position::At { version, doubted: false } => Request::Watch(version.clone()),
        }
    }

    /// Whether a whole list was handed over, and changes of it are awaited.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.position, Position::At { .. })
    }

    /// Takes a page of the list.
    pub(super) fn page(&mut self, page: Page<K::Item>) -> Vec<Change> {
        let mut changes = Vec::new();
        for object in page.objects {
            self.collect(object, &mut changes);
        }
        match page.next {
            Some(next) => self.position = Position::Page(next),
            None => self.finish(page.version, &mut changes),
        }
        changes
    }

    /// Takes the answer that the version is known.
    pub(super) fn confirmed(&mut self) {
        if let Position::At { doubted, .. } = &mut self.position {
            *doubted = false;
        }
    }

    /// Takes an event of a watch.
    ///
    /// # Errors
    /// The event that says that the watch can't go on.
    pub(super) fn event(&mut self, event: Event<K::Item>) -> Result<Vec<Change>, Failure> {
        let mut changes = Vec::new();
        match (event, self.is_whole()) {
            (Event::Put(object), false) => self.collect(object, &mut changes),
            (Event::Put(object), true) => {
                self.reach(&object.identity.resource_version);
                self.tell(&object.identity, object.problems, &mut changes);
                changes.push(match object.item {
                    Some(item) => K::put(item),
                    None => K::gone(&object.identity),
                });
            }
            (Event::Gone(identity), false) => {
                self.list.remove(&identity.full_name());
            }
            (Event::Gone(identity), true) => {
                self.reach(&identity.resource_version);
                self.told.remove(&identity.full_name());
                changes.push(K::gone(&identity));
            }
            (Event::Bookmark { version, list_ends: true }, false) => self.finish(version, &mut changes),
            (Event::Bookmark { version, .. }, true) => self.reach(&version),
            (Event::Bookmark { .. }, false) | (Event::Unknown, _) => {}
            (Event::Refused(refusal), _) => return Err(Failure::Refused(refusal)),
        }
        Ok(changes)
    }

    /// Takes the end of a watch that the server has ended in order.
    pub(super) fn ended(&mut self) {
        if self.position == Position::Start {
            self.forget_list();
        }
    }

    /// Takes a failure. Whether another question is to be asked at once.
    pub(super) fn failed(&mut self, failure: &Failure) -> bool {
        match &mut self.position {
            Position::At { .. } if failure.needs_list() => self.start_over(),
            Position::At { doubted, .. } => {
                *doubted |= !failure.is_busy();
                false
            }
            Position::Page(_) if failure.needs_list() => self.start_over(),
            Position::Page(_) => false,
            Position::Start => {
                self.forget_list();
                self.ask_for_less(failure)
            }
        }
    }

    /// Does without what an older server does not understand, one thing after the other.
    fn ask_for_less(&mut self, failure: &Failure) -> bool {
        let without_streams = failure.may_be_without_streams();
        if self.streams && (without_streams || *failure == Failure::Silent) {
            self.streams = false;
            return without_streams;
        }
        if failure.is_misunderstood() && self.selection.fields_are_optional && !self.selection.fields.is_empty() {
            self.selection.fields.clear();
            return true;
        }
        false
    }

    fn start_over(&mut self) -> bool {
        self.forget_list();
        self.position = Position::Start;
        true
    }

    fn forget_list(&mut self) {
        self.list.clear();
        self.listed_problems.clear();
    }

    /// Adds an object to the list.
    fn collect(&mut self, object: Object<K::Item>, changes: &mut Vec<Change>) {
        let name = object.identity.full_name();
        self.tell(&object.identity, object.problems, changes);
        match object.item {
            Some(item) => self.list.insert(name, item),
            None => self.list.remove(&name),
        };
    }

    /// Hands the list over.
    fn finish(&mut self, version: String, changes: &mut Vec<Change>) {
        self.position = Position::At { version, doubted: false };
        self.told = std::mem::take(&mut self.listed_problems);
        changes.push(K::all(std::mem::take(&mut self.list).into_values().collect()));
    }

    fn reach(&mut self, reached: &str) {
        if let (Position::At { version, .. }, false) = (&mut self.position, reached.is_empty()) {
            reached.clone_into(version);
        }
    }

    /// Tells the problems of an object, unless they were told of this version of it.
    fn tell(&mut self, identity: &Identity, problems: Vec<Problem>, changes: &mut Vec<Change>) {
        let name = identity.full_name();
        if problems.is_empty() {
            self.listed_problems.remove(&name);
            if self.is_whole() {
                self.told.remove(&name);
            }
            return;
        }
        let version = &identity.resource_version;
        if self.told.insert(name.clone(), version.clone()).as_ref() != Some(version) {
            changes.push(Change::Problems(problems));
        }
        if !self.is_whole() {
            self.listed_problems.insert(name, version.clone());
        }
    }
}

#[cfg(test)]
mod tests;
