//! The objects of one kind in the order of creation. Each creation has a unique number.

use std::collections::{BTreeMap, HashMap};

use hcn::Guid;
use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    rows: BTreeMap<u64, (Guid, Value)>,
    places: HashMap<Guid, u64>,
    next: u64,
}

impl Table {
    pub(crate) fn get(&self, id: Guid) -> Option<&Value> {
        self.rows.get(self.places.get(&id)?).map(|(_, document)| document)
    }

    pub(super) fn get_mut(&mut self, id: Guid) -> Option<&mut Value> {
        self.rows.get_mut(self.places.get(&id)?).map(|(_, document)| document)
    }

    /// The number of an object's creation.
    pub(super) fn creation(&self, id: Guid) -> Option<u64> {
        self.places.get(&id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Guid, &Value)> {
        self.rows.values().map(|(id, document)| (*id, document))
    }

    /// Replaces the document with this id, which is the result, or appends a new one.
    pub(super) fn put(&mut self, id: Guid, document: Value) -> Option<Value> {
        if let Some(slot) = self.get_mut(id) {
            return Some(std::mem::replace(slot, document));
        }
        self.next += 1;
        self.places.insert(id, self.next);
        self.rows.insert(self.next, (id, document));
        None
    }

    pub(super) fn remove(&mut self, id: Guid) -> Option<Value> {
        let place = self.places.remove(&id)?;
        self.rows.remove(&place).map(|(_, document)| document)
    }
}
