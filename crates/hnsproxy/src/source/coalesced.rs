//! Changes of the cluster that the control loop has not taken yet: of each object, only the last one.
//!
//! The control loop takes nothing while a native call hangs. The number of pending changes is bounded by the number of objects in the cluster,
//! however often they change.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use cluster_source::Change;
use cluster_source::kubernetes::Problem;
use cluster_source::kubernetes::node::Node;
use proxy::model::{Service, ServiceName, Slice, SliceName};
use proxy::reconcile::Trigger;

/// The maximum number of objects whose problems are kept. Problems are only logged, and objects with problems may come and go without end.
const MAX_PROBLEMS: usize = 1000;

/// The pending changes of one cluster.
#[derive(Debug, Default)]
pub struct Coalesced {
    services: Objects<ServiceName, Service>,
    slices: Objects<SliceName, Slice>,
    /// The oldest trigger times of versions that a later one has replaced here.
    triggers: BTreeMap<SliceName, (ServiceName, Trigger)>,
    node: Option<Node>,
    /// Whether the source had no such Node when it was last asked.
    node_absent: bool,
    /// By object, the problems of its last version.
    problems: BTreeMap<String, Vec<Problem>>,
    /// All problems of all files.
    all_problems: Option<Vec<Problem>>,
    outage: Option<Option<String>>,
}

/// What the control loop takes.
#[derive(Debug, Default, PartialEq)]
pub struct ClusterChanges {
    pub changes: Vec<Change>,
    /// The oldest trigger time of each slice of which an older version was not taken.
    pub triggers: Vec<(ServiceName, Trigger)>,
}

impl ClusterChanges {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.triggers.is_empty()
    }
}

/// The pending changes of one kind.
#[derive(Debug)]
struct Objects<K, V> {
    /// The objects that the control loop knows, or will know from the list. The deletion of any other object is no change.
    known: HashSet<K>,
    /// A complete list that replaces what the control loop knows.
    list: Option<Vec<V>>,
    /// The changes after it. `None` is a deletion.
    changes: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Objects<K, V> {
    fn default() -> Self {
        Self { known: HashSet::new(), list: None, changes: BTreeMap::new() }
    }
}

impl<K: Clone + Ord + Hash, V> Objects<K, V> {
    fn reset(&mut self, all: Vec<V>, key: impl Fn(&V) -> &K) {
        self.known = all.iter().map(|object| key(object).clone()).collect();
        self.changes.clear();
        self.list = Some(all);
    }

    fn delete(&mut self, key: K) {
        if self.known.contains(&key) {
            self.changes.insert(key, None);
        } else {
            self.changes.remove(&key);
        }
    }

    fn take(&mut self) -> (Option<Vec<V>>, BTreeMap<K, Option<V>>) {
        for (key, object) in &self.changes {
            if object.is_some() {
                self.known.insert(key.clone());
            } else {
                self.known.remove(key);
            }
        }
        (self.list.take(), std::mem::take(&mut self.changes))
    }

    fn len(&self) -> usize {
        self.list.as_ref().map_or(0, Vec::len) + self.changes.len()
    }
}

impl Coalesced {
    pub fn add(&mut self, change: Change) {
        match change {
            Change::ResetServices(all) => self.services.reset(all, |service| &service.name),
            Change::ApplyService(service) => {
                self.services.changes.insert(service.name.clone(), Some(service));
            }
            Change::DeleteService(name) => self.services.delete(name),
            Change::ResetSlices(all) => {
                let replaced = std::mem::take(&mut self.slices.changes);
                replaced.into_values().flatten().for_each(|slice| self.keep_trigger(&slice));
                self.slices.reset(all, |slice| &slice.name);
                let Self { triggers, slices, .. } = self;
                // A deleted slice has no programming latency.
                triggers.retain(|name, _| slices.known.contains(name));
            }
            Change::ApplySlice(slice) => {
                if let Some(Some(replaced)) = self.slices.changes.insert(slice.name.clone(), Some(slice)) {
                    self.keep_trigger(&replaced);
                }
            }
            Change::DeleteSlice(name) => {
                self.triggers.remove(&name);
                self.slices.delete(name);
            }
            Change::Node(node) => {
                self.node_absent = node.is_none();
                // The last version of a Node that was deleted since is kept: the loop keeps its addresses and zone.
                self.node = node.or(self.node.take());
            }
            Change::Problems(problems) => {
                let mut by_object: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
                problems.into_iter().for_each(|one| by_object.entry(one.subject.clone()).or_default().push(one));
                self.problems.extend(by_object);
                while self.problems.len() > MAX_PROBLEMS {
                    self.problems.pop_last();
                }
            }
            Change::ResetProblems(problems) => self.all_problems = Some(problems),
            Change::Outage(outage) => self.outage = Some(outage),
        }
    }

    /// Keeps the trigger time of a slice that a later version replaces: the change is pending since then.
    fn keep_trigger(&mut self, slice: &Slice) {
        let Some(at) = slice.triggered else { return };
        let trigger = Trigger { family: slice.family, at };
        let (_, oldest) = self.triggers.entry(slice.name.clone()).or_insert((slice.service.clone(), trigger));
        oldest.at = oldest.at.min(at);
    }

    /// Removes all changes, in an order in which they can be applied.
    pub fn take(&mut self) -> ClusterChanges {
        let mut changes: Vec<Change> = self.outage.take().map(Change::Outage).into_iter().collect();
        changes.extend(self.node.take().map(|node| Change::Node(Some(node))));
        changes.extend(std::mem::take(&mut self.node_absent).then_some(Change::Node(None)));
        let (list, services) = self.services.take();
        changes.extend(list.map(Change::ResetServices));
        changes.extend(services.into_iter().map(|(name, service)| match service {
            Some(service) => Change::ApplyService(service),
            None => Change::DeleteService(name),
        }));
        let (list, slices) = self.slices.take();
        changes.extend(list.map(Change::ResetSlices));
        changes.extend(slices.into_iter().map(|(name, slice)| match slice {
            Some(slice) => Change::ApplySlice(slice),
            None => Change::DeleteSlice(name),
        }));
        let problems: Vec<Problem> = std::mem::take(&mut self.problems).into_values().flatten().collect();
        changes.extend((!problems.is_empty()).then_some(Change::Problems(problems)));
        changes.extend(self.all_problems.take().map(Change::ResetProblems));
        ClusterChanges { changes, triggers: std::mem::take(&mut self.triggers).into_values().collect() }
    }

    /// The number of pending changes.
    pub fn count(&self) -> usize {
        let node = usize::from(self.node.is_some() || self.node_absent);
        self.services.len() + self.slices.len() + node + self.problems.len()
    }
}

#[cfg(test)]
mod tests {
    use cluster_source::kubernetes::ProblemKind;
    use proxy::testing::{backend, service, slice};

    use super::*;

    fn web(port: u16) -> Service {
        service("ns/web").cluster_ip("10.0.0.1").port(port).build()
    }

    fn backends(name: &str, last: u8, triggered: i64) -> Slice {
        slice(name, "ns/web").port(80).backend(backend(&format!("10.1.0.{last}"))).triggered(triggered).build()
    }

    fn node(zone: &str) -> Node {
        Node { name: "n".into(), zone: Some(zone.into()), ips: vec![], pod_cidrs: vec![], eligible: true }
    }

    fn coalesced(changes: impl IntoIterator<Item = Change>) -> Coalesced {
        let mut coalesced = Coalesced::default();
        changes.into_iter().for_each(|change| coalesced.add(change));
        coalesced
    }

    fn taken(changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
        coalesced(changes).take().changes
    }

    #[test]
    fn of_each_object_the_last_change_is_taken() {
        let known = || [Change::ResetServices(vec![web(80)]), Change::ResetSlices(vec![])];
        let mut changes = coalesced(known());
        changes.take();
        for port in 81..90 {
            changes.add(Change::ApplyService(web(port)));
            changes.add(Change::DeleteService(web(0).name));
        }
        assert_eq!((changes.count(), changes.take().changes), (1, vec![Change::DeleteService(web(0).name)]));
        changes.add(Change::DeleteService(web(0).name));
        assert_eq!(changes.take(), ClusterChanges::default(), "it is deleted already");
        changes.add(Change::ApplyService(web(1)));
        changes.add(Change::ApplyService(web(2)));
        assert_eq!(changes.take().changes, [Change::ApplyService(web(2))]);
    }

    #[test]
    fn objects_that_come_and_go_leave_nothing() {
        let mut changes = Coalesced::default();
        for number in 0..1000 {
            let slice = backends(&format!("ns/web-{number}"), 1, number);
            let name = slice.name.clone();
            changes.add(Change::ApplySlice(slice));
            changes.add(Change::DeleteSlice(name));
        }
        assert_eq!((changes.count(), changes.take()), (0, ClusterChanges::default()));
    }

    #[test]
    fn a_list_replaces_what_came_before_and_is_changed_by_what_comes_after() {
        let list = Change::ResetServices(vec![web(80)]);
        let changes = [
            Change::ApplyService(service("ns/gone").build()),
            list.clone(),
            Change::DeleteService(ServiceName::new("ns", "gone")),
            Change::ApplyService(web(81)),
        ];
        assert_eq!(taken(changes), [list, Change::ApplyService(web(81))]);
    }

    #[test]
    fn the_oldest_trigger_time_of_a_slice_is_kept_unless_it_is_deleted() {
        let apply = |name, last, at| Change::ApplySlice(backends(name, last, at));
        let mut changes = coalesced([apply("ns/a", 1, 20), apply("ns/a", 2, 10), apply("ns/a", 3, 30)]);
        let trigger = |at| (web(0).name, Trigger { family: proxy::model::Family::V4, at });
        let expected = ClusterChanges { changes: vec![apply("ns/a", 3, 30)], triggers: vec![trigger(10)] };
        assert_eq!(changes.take(), expected);
        changes.add(apply("ns/a", 4, 40));
        changes.add(apply("ns/b", 1, 41));
        let list = Change::ResetSlices(vec![backends("ns/a", 5, 50)]);
        changes.add(list.clone());
        assert_eq!(changes.take(), ClusterChanges { changes: vec![list], triggers: vec![trigger(40)] });
        changes.add(apply("ns/a", 6, 60));
        changes.add(apply("ns/a", 7, 70));
        let name = backends("ns/a", 0, 0).name;
        changes.add(Change::DeleteSlice(name.clone()));
        let deleted = ClusterChanges { changes: vec![Change::DeleteSlice(name)], triggers: vec![] };
        assert_eq!(changes.take(), deleted);
    }

    #[test]
    fn the_last_version_of_a_deleted_node_is_taken_before_its_deletion() {
        let changes = [Some(node("a")), Some(node("b")), None].map(Change::Node);
        assert_eq!(taken(changes), [Change::Node(Some(node("b"))), Change::Node(None)]);
        let back = [None, Some(node("c"))].map(Change::Node);
        assert_eq!(taken(back), [Change::Node(Some(node("c")))]);
    }

    #[test]
    fn problems_are_those_of_the_last_version_of_an_object() {
        let problem = |subject: &str, what: &str| Problem::object(ProblemKind::BadObject, subject, what);
        let of = |problems: &[(&str, &str)]| {
            Change::Problems(problems.iter().map(|(subject, what)| problem(subject, what)).collect())
        };
        let changes = [of(&[("a", "1"), ("a", "2")]), of(&[("b", "1")]), of(&[("a", "3")])];
        let mut coalesced =
            coalesced(changes.into_iter().chain([Change::Outage(Some("x".into())), Change::Outage(None)]));
        assert_eq!(coalesced.count(), 2);
        assert_eq!(coalesced.take().changes, [Change::Outage(None), of(&[("a", "3"), ("b", "1")])]);
    }

    #[test]
    fn problems_of_files_are_those_of_the_last_read() {
        let problems = vec![Problem::object(ProblemKind::BadObject, "a", "1")];
        assert_eq!(
            taken([Change::ResetProblems(problems), Change::ResetProblems(vec![])]),
            [Change::ResetProblems(vec![])]
        );
    }
}
