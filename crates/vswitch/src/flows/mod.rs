//! The flow table: both directions of each flow, found by the port and the addresses of a packet.

mod flow;

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

pub(crate) use flow::{Balanced, Direction, Flow, Key, Progress};

use crate::Instant;

/// The number of a flow. It is used again after the flow was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowIndex(u32);

/// One direction of a flow. The table has no keys of its own, since these are most of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry(u32);

impl Entry {
    fn new(flow: FlowIndex, direction: Direction) -> Self {
        Self(flow.0 << 1 | u32::from(direction == Direction::Server))
    }

    fn flow(self) -> FlowIndex {
        FlowIndex(self.0 >> 1)
    }

    fn direction(self) -> Direction {
        if self.0 & 1 == 0 { Direction::Client } else { Direction::Server }
    }
}

/// All flows.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    slots: Vec<Option<Flow>>,
    free: Vec<u32>,
    entries: HashTable<Entry>,
}

impl Flows {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, index: FlowIndex) -> Option<&Flow> {
        self.slots.get(index.0 as usize)?.as_ref()
    }

    /// The keys must not be changed.
    pub(crate) fn get_mut(&mut self, index: FlowIndex) -> Option<&mut Flow> {
        self.slots.get_mut(index.0 as usize)?.as_mut()
    }

    /// The flow with a key, and the direction that has it.
    pub(crate) fn find(&self, key: &Key) -> Option<(FlowIndex, Direction)> {
        let entry = self.entries.find(hash(key), |entry| key_of(&self.slots, *entry) == Some(key))?;
        Some((entry.flow(), entry.direction()))
    }

    /// Adds a flow. No other flow may have one of its keys.
    pub(crate) fn add(&mut self, flow: Flow) -> FlowIndex {
        let keys = [(Direction::Client, flow.client), (Direction::Server, flow.server)];
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(flow);
        }
        let slots = &self.slots;
        for (direction, key) in keys {
            let entry = Entry::new(FlowIndex(index), direction);
            self.entries.insert_unique(hash(&key), entry, |entry| key_of(slots, *entry).map_or(0, hash));
        }
        FlowIndex(index)
    }

    pub(crate) fn remove(&mut self, index: FlowIndex) -> Option<Flow> {
        let flow = self.slots.get_mut(index.0 as usize)?.take()?;
        for direction in [Direction::Client, Direction::Server] {
            let entry = Entry::new(index, direction);
            if let Ok(found) = self.entries.find_entry(hash(flow.key(direction)), |other| *other == entry) {
                found.remove();
            }
        }
        self.free.push(index.0);
        Some(flow)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        for index in 0..self.slots.len() as u32 {
            if self.get(FlowIndex(index)).is_some_and(|flow| flow.is_expired(now)) {
                self.remove(FlowIndex(index));
            }
        }
    }
}

fn key_of(slots: &[Option<Flow>], entry: Entry) -> Option<&Key> {
    Some(slots.get(entry.flow().0 as usize)?.as_ref()?.key(entry.direction()))
}

fn hash(key: &Key) -> u64 {
    FxBuildHasher.hash_one(key)
}
