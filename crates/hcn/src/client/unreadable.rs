//! Counts the members of HNS documents that cannot be read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::schema::{Document, Unreadable};
use crate::{Guid, Kind};

/// The longest excerpt of a value, in characters.
const MAX_EXCERPT: usize = 200;

/// A member that could not be read in documents of HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableMember {
    /// The kind of the objects.
    pub kind: Kind,
    /// The names of the member, separated by dots. `ID`: the object was left out of a list.
    pub member: String,
    /// How often it was read. An object is counted each time it is read.
    pub count: u64,
    /// The last object, if its id is known.
    pub id: Option<Guid>,
    /// The beginning of its value, as JSON.
    pub value: String,
}

impl fmt::Display for UnreadableMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, member, id, value, .. } = self;
        match id {
            Some(id) => write!(f, "{} {id}: cannot read {member} {value}", kind.name()),
            None => write!(f, "{}: cannot read {member} {value}", kind.name()),
        }
    }
}

/// The unreadable members that a client has found. Only members of the schema are counted, which limits their number.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<(Kind, String), UnreadableMember>>);

impl Tally {
    pub(super) fn add_document(&self, kind: Kind, id: Guid, document: &impl Document) {
        for Unreadable { member, value } in document.unreadable_members() {
            self.add(kind, Some(id), member, &value);
        }
    }

    /// Counts an entry of a list whose id cannot be read.
    pub(super) fn add_without_id(&self, kind: Kind, id: &Value) {
        self.add(kind, None, "ID".into(), id);
    }

    pub(super) fn all(&self) -> Vec<UnreadableMember> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn add(&self, kind: Kind, id: Option<Guid>, member: String, value: &Value) {
        let value = value.to_string().chars().take(MAX_EXCERPT).collect();
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, member.clone());
        let count = members.get(&key).map_or(0, |known| known.count).saturating_add(1);
        members.insert(key, UnreadableMember { kind, member, count, id, value });
    }
}
