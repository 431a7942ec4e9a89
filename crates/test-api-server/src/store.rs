//! The objects, with a log of changes from which each state since the oldest resource version can be computed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use crate::Problem;
use crate::kind::Kind;
use crate::selector::Selector;
use crate::status::Status;

/// The first resource version. A restored store begins at half of the previous first version, so that its versions are lower.
const FIRST_VERSION: u64 = 8_000_000;

/// Kind, namespace and name of an object. The namespace of a cluster-scoped kind is empty.
pub(crate) type Key = (Kind, String, String);

#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    log: Vec<Entry>,
    version: u64,
    /// Versions before this one have expired.
    oldest: u64,
    beginning: u64,
}

/// The entries that watches send, in order.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Change(Arc<Change>),
    Message(Arc<Message>),
}

/// A change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    key: Key,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

/// A message of the test to open watches, of one kind or of all.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Option<Kind>,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// A bookmark with a resource version.
    Bookmark(u64),
    /// Any text, and whether the connection is closed after it.
    Text(String, bool),
}

impl Change {
    /// The watch event of the change, if the selector selects the object before or after it.
    pub(crate) fn event(&self, kind: Kind, selector: &Selector) -> Option<Value> {
        if self.key.0 != kind {
            return None;
        }
        let selected = |object: &Option<Arc<Value>>| object.clone().filter(|object| selector.matches(object));
        let (what, object) = match (selected(&self.before), selected(&self.after)) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", after),
            (Some(_), Some(after)) => ("MODIFIED", after),
            (Some(mut before), None) => {
                set_version(Arc::make_mut(&mut before), self.version);
                ("DELETED", before)
            }
        };
        Some(json!({"type": what, "object": *object}))
    }
}

impl Store {
    pub(crate) fn new() -> Self {
        let (objects, log) = (BTreeMap::new(), Vec::new());
        Self { objects, log, version: FIRST_VERSION, oldest: FIRST_VERSION, beginning: FIRST_VERSION }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Creates an object, or replaces the one with its name.
    pub(crate) fn put(&mut self, mut object: Value) -> Result<(), Problem> {
        let key = key(&object)?;
        self.version += 1;
        set_version(&mut object, self.version);
        let after = Arc::new(object);
        let before = self.objects.insert(key.clone(), after.clone());
        self.log.push(Entry::Change(Arc::new(Change { version: self.version, key, before, after: Some(after) })));
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: Key) -> bool {
        let Some(before) = self.objects.remove(&key) else { return false };
        self.version += 1;
        self.log.push(Entry::Change(Arc::new(Change {
            version: self.version,
            key,
            before: Some(before),
            after: None,
        })));
        true
    }

    /// Sends something to open watches.
    pub(crate) fn send(&mut self, message: Message) {
        self.log.push(Entry::Message(Arc::new(message)));
    }

    /// Expires all versions before the current one.
    pub(crate) fn forget(&mut self) {
        self.oldest = self.version;
    }

    /// Replaces all objects, with lower resource versions.
    pub(crate) fn restore(&mut self, objects: Vec<Value>) -> Result<(), Problem> {
        let beginning = self.beginning / 2;
        let mut restored = Self { version: beginning, oldest: beginning, beginning, ..Self::new() };
        objects.into_iter().try_for_each(|object| restored.put(object))?;
        restored.forget();
        *self = restored;
        Ok(())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.objects.values()
    }

    /// The objects of a kind at a version, ordered by name.
    pub(crate) fn at(&self, version: u64, kind: Kind) -> BTreeMap<&Key, &Arc<Value>> {
        let mut objects: BTreeMap<_, _> = self.objects.iter().filter(|(key, _)| key.0 == kind).collect();
        let changes = self.log.iter().rev().filter_map(|entry| match entry {
            Entry::Change(change) => Some(change),
            Entry::Message(_) => None,
        });
        for change in changes.take_while(|change| change.version > version).filter(|change| change.key.0 == kind) {
            match &change.before {
                Some(before) => objects.insert(&change.key, before),
                None => objects.remove(&change.key),
            };
        }
        objects
    }

    /// # Errors
    /// If the version has expired.
    pub(crate) fn remembers(&self, version: u64) -> Result<(), Status> {
        if version < self.oldest { Err(Status::expired_watch(version, self.oldest)) } else { Ok(()) }
    }

    /// # Errors
    /// If the version is in the future.
    pub(crate) fn has_reached(&self, version: u64) -> Result<(), Status> {
        if version > self.version { Err(Status::too_large(version, self.version)) } else { Ok(()) }
    }

    /// The position after the last entry of the log.
    pub(crate) fn end(&self) -> usize {
        self.log.len()
    }

    /// The position in the log of the first change after a version.
    pub(crate) fn after(&self, version: u64) -> usize {
        let is_later = |entry: &Entry| matches!(entry, Entry::Change(change) if change.version > version);
        self.log.iter().position(is_later).unwrap_or(self.log.len())
    }

    pub(crate) fn entries(&self, from: usize) -> Vec<Entry> {
        self.log.get(from..).unwrap_or_default().to_vec()
    }
}

fn key(object: &Value) -> Result<Key, Problem> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = |name: &str| text(object.get("metadata").and_then(|metadata| metadata.get(name)));
    let kind = text(object.get("kind"));
    let name = metadata("name");
    if name.is_empty() {
        return Err(Problem::NoName(kind));
    }
    let kind = Kind::named(&kind).ok_or(Problem::Kind(kind))?;
    Ok((kind, metadata("namespace"), name))
}

fn set_version(object: &mut Value, version: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    }
}

/// An object as an item of a list: without `kind` and `apiVersion`, which the list has.
#[derive(Debug)]
pub(crate) struct Item {
    object: Arc<Value>,
    /// The size in bytes of a field that is added; 0 if none.
    pub(crate) padding: usize,
}

impl Item {
    pub(crate) fn of(object: Arc<Value>) -> Self {
        Self { object, padding: 0 }
    }
}

impl serde::Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let fields = self.object.as_object().into_iter().flat_map(Map::iter);
        for (name, value) in fields.filter(|(name, _)| !matches!(name.as_str(), "kind" | "apiVersion")) {
            map.serialize_entry(name, value)?;
        }
        if self.padding > 0 {
            map.serialize_entry("padding", &Padding(self.padding))?;
        }
        map.end()
    }
}

/// A string of this length, which is never in memory as a whole.
struct Padding(usize);

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = "0123456789abcdef".repeat(1024);
        (0..self.0 / part.len()).try_for_each(|_| f.write_str(&part))?;
        f.write_str(part.get(..self.0 % part.len()).unwrap_or_default())
    }
}

impl serde::Serialize for Padding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, label: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": name, "namespace": "a", "labels": {"label": label}}})
    }

    fn names(store: &Store, version: u64) -> Vec<String> {
        store
            .at(version, Kind::Service)
            .into_iter()
            .map(|(key, object)| format!("{} {}", key.2, object["metadata"]["labels"]["label"]))
            .collect()
    }

    #[test]
    fn each_state_since_the_oldest_version_is_available() {
        let mut store = Store::new();
        let start = store.version();
        store.put(service("b", "1")).unwrap();
        store.put(service("a", "1")).unwrap();
        store.put(service("b", "2")).unwrap();
        assert!(store.delete((Kind::Service, "a".into(), "a".into())));
        assert!(!store.delete((Kind::Service, "a".into(), "a".into())));
        let states: Vec<_> = (0..=4).map(|step| names(&store, start + step)).collect();
        assert_eq!(
            states,
            [vec![], vec!["b \"1\""], vec!["a \"1\"", "b \"1\""], vec!["a \"1\"", "b \"2\""], vec!["b \"2\""]]
        );
        assert_eq!(store.version(), start + 4);
        assert!(store.remembers(start).is_ok());
        store.forget();
        assert_eq!(store.remembers(start + 3).unwrap_err().code, 410);
    }

    #[test]
    fn an_object_that_starts_or_stops_matching_is_added_or_deleted() {
        let mut store = Store::new();
        for label in ["1", "2", "2", "1"] {
            store.put(service("a", label)).unwrap();
        }
        store.delete((Kind::Service, "a".into(), "a".into()));
        let events = |labels: &str| -> Vec<_> {
            let selector = Selector::parse(Kind::Service, labels, "").unwrap();
            let entries = store.entries(0).into_iter();
            let events = entries.filter_map(|entry| match entry {
                Entry::Change(change) => change.event(Kind::Service, &selector),
                Entry::Message(_) => None,
            });
            events
                .map(|event| {
                    format!("{} {}", event["type"], event["object"]["metadata"]["resourceVersion"]).replace('"', "")
                })
                .collect()
        };
        assert_eq!(events("label=2"), ["ADDED 8000002", "MODIFIED 8000003", "DELETED 8000004"]);
        assert_eq!(events("label=1"), ["ADDED 8000001", "DELETED 8000002", "ADDED 8000004", "DELETED 8000005"]);
        assert_eq!(events("!label"), [""; 0]);
    }

    #[test]
    fn a_restored_store_has_lower_versions() {
        let mut store = Store::new();
        store.put(service("a", "1")).unwrap();
        let before = store.version();
        store.restore(vec![service("b", "1"), service("c", "1")]).unwrap();
        assert!(store.version() < before);
        assert_eq!(store.has_reached(before).unwrap_err().code, 504);
        assert_eq!(names(&store, store.version()), ["b \"1\"", "c \"1\""]);
    }

    #[test]
    fn an_invalid_object_is_rejected() {
        let mut store = Store::new();
        assert_eq!(store.put(json!({"kind": "Pod", "metadata": {"name": "a"}})), Err(Problem::Kind("Pod".into())));
        assert_eq!(store.put(json!({"kind": "Service"})), Err(Problem::NoName("Service".into())));
    }
}
