//! A cluster as a whole: the objects that a Service proxy uses, and the problems of these objects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use proxy::model::{Service, ServiceName, Slice};
use smol_str::SmolStr;

use crate::change::Change;
use crate::kubernetes::node::Node;
use crate::kubernetes::{Problem, ProblemKind, Skip};
use crate::loaded::{Content, Loaded, NotUsed, Usable};

/// How many Nodes a message names.
const MAX_NAMED_NODES: usize = 5;

/// The objects of a cluster that concern this proxy, and the parts that could not be used. Catalogs of the same files share the objects that
/// have not changed.
#[derive(Debug, Default)]
pub struct Catalog {
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// By `namespace/name`.
    pub slices: BTreeMap<String, Arc<Slice>>,
    pub nodes: BTreeMap<SmolStr, Arc<Node>>,
    /// Numbers of Services and slices that do not concern this proxy.
    pub skipped: BTreeMap<Skip, usize>,
    pub problems: Vec<Problem>,
    /// Services by `namespace/name` that are skipped or invalid, with the reason.
    pub skipped_services: HashMap<String, String>,
}

/// What is only needed while objects are added to a catalog.
#[derive(Debug, Default)]
pub(crate) struct CatalogBuilder<'a> {
    catalog: Catalog,
    /// The subjects of all objects.
    seen: HashSet<&'a str>,
    /// The file of each slice, by `namespace/name`.
    slice_files: HashMap<&'a str, &'a str>,
}

impl<'a> CatalogBuilder<'a> {
    /// Adds an object, the `number`th of a file.
    pub(crate) fn add(&mut self, object: &'a Loaded, number: usize, file: &'a str) {
        let Loaded { name, subject, content, problems } = object;
        let is_used = matches!(content, Content::Service(_) | Content::Slice(_) | Content::Node(_));
        if is_used && !self.seen.insert(subject) {
            self.problem(ProblemKind::Duplicate, subject, "duplicate object; the last one is used", file);
        }
        self.catalog.problems.extend(problems.iter().map(|problem| problem.clone().in_file(file)));
        match content {
            Content::Service(service) => self.service(name, service),
            Content::Slice(slice) => {
                self.count_skip(slice);
                // The last object with a name is used, so this one replaces an earlier one, even a valid one.
                match slice {
                    Ok(slice) => {
                        self.slice_files.insert(name, file);
                        self.catalog.slices.insert(name.clone(), slice.clone());
                    }
                    Err(_) => drop(self.catalog.slices.remove(name)),
                }
            }
            Content::Node(Ok(node)) => drop(self.catalog.nodes.insert(node.name.clone(), node.clone())),
            Content::Node(Err(_)) | Content::Unused => {}
            Content::Untyped(missing) => {
                self.problem(ProblemKind::NoKind, &format!("document {number}"), &format!("missing {missing}"), file);
            }
        }
    }

    fn service(&mut self, name: &str, service: &Usable<Service>) {
        self.count_skip(service);
        match service {
            Ok(service) => drop(self.catalog.services.insert(service.name.clone(), service.clone())),
            // As for slices.
            Err(why) => {
                if let Some((namespace, name)) = name.split_once('/') {
                    self.catalog.services.remove(&ServiceName::new(namespace, name));
                }
                self.catalog.skipped_services.insert(name.to_owned(), why.to_string());
            }
        }
    }

    fn count_skip<T>(&mut self, object: &Usable<T>) {
        if let Err(NotUsed::Skipped(skip)) = object {
            *self.catalog.skipped.entry(*skip).or_default() += 1;
        }
    }

    fn problem(&mut self, kind: ProblemKind, subject: &str, what: &str, file: &str) {
        self.catalog.problems.push(Problem::object(kind, subject, what).in_file(file));
    }

    /// Adds the problems that span several objects: slices without their Service.
    pub(crate) fn finish(mut self) -> Catalog {
        let Catalog { services, slices, skipped_services, problems, .. } = &mut self.catalog;
        for (name, slice) in slices {
            let exists =
                services.contains_key(&slice.service) || skipped_services.contains_key(&slice.service.to_string());
            if !exists {
                let what = format!("Service {} not found", slice.service);
                let problem = Problem::object(ProblemKind::NoService, format!("EndpointSlice {name}"), what);
                problems.push(problem.in_file(self.slice_files.get(name.as_str()).unwrap_or(&"")));
            }
        }
        self.catalog
    }
}

impl Catalog {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::ResetServices(all) => {
                self.services = all.into_iter().map(|service| (service.name.clone(), Arc::new(service))).collect();
            }
            Change::ApplyService(service) => drop(self.services.insert(service.name.clone(), Arc::new(service))),
            Change::DeleteService(name) => drop(self.services.remove(&name)),
            Change::ResetSlices(all) => {
                self.slices = all.into_iter().map(|slice| (slice.name.to_string(), Arc::new(slice))).collect();
            }
            Change::ApplySlice(slice) => drop(self.slices.insert(slice.name.to_string(), Arc::new(slice))),
            Change::DeleteSlice(name) => drop(self.slices.remove(&name.to_string())),
            Change::Node(node) => {
                self.nodes = node.into_iter().map(|node| (node.name.clone(), Arc::new(node))).collect();
            }
            Change::Problems(problems) => self.problems.extend(problems),
            Change::ResetProblems(problems) => self.problems = problems,
            Change::Outage(_) => {}
        }
    }

    /// The catalog as changes that replace the previous cluster, for the proxy of a node.
    pub fn changes(&self, node_name: &str) -> Vec<Change> {
        vec![
            Change::Node(self.node(node_name)),
            Change::ResetServices(self.services.values().map(|service| Service::clone(service)).collect()),
            Change::ResetSlices(self.slices.values().map(|slice| Slice::clone(slice)).collect()),
        ]
    }

    /// The changes from an earlier catalog to this one, for the proxy of a node.
    pub(crate) fn changes_since(&self, before: &Self, node_name: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        let node = self.node(node_name);
        if node != before.node(node_name) {
            changes.push(Change::Node(node));
        }
        let (applied, deleted) = differences(&self.services, &before.services);
        changes.extend(deleted.map(|service| Change::DeleteService(service.name.clone())));
        changes.extend(applied.map(|service| Change::ApplyService(service.clone())));
        let (applied, deleted) = differences(&self.slices, &before.slices);
        changes.extend(deleted.map(|slice| Change::DeleteSlice(slice.name.clone())));
        changes.extend(applied.map(|slice| Change::ApplySlice(slice.clone())));
        changes
    }

    fn node(&self, name: &str) -> Option<Node> {
        self.nodes.get(name).map(|node| Node::clone(node))
    }

    /// What to log if there are Nodes, but not that of this proxy: no backend is local then, and the zone is unknown. Clusters in files often
    /// have no Nodes at all.
    pub fn missing_node(&self, name: &str) -> Option<String> {
        if self.nodes.is_empty() || self.nodes.contains_key(name) {
            return None;
        }
        let mut known: Vec<_> = self.nodes.keys().take(MAX_NAMED_NODES).map(SmolStr::to_string).collect();
        if self.nodes.len() > MAX_NAMED_NODES {
            known.push(format!("and {} more", self.nodes.len() - MAX_NAMED_NODES));
        }
        Some(format!("Node {name} not found (known: {}); set --hostname-override", known.join(", ")))
    }

    /// The numbers of objects in one line, for logs.
    pub fn describe(&self) -> String {
        let count = |number: usize, kind: &str| format!("{number} {kind}{}", if number == 1 { "" } else { "s" });
        let (services, slices) = (count(self.services.len(), "Service"), count(self.slices.len(), "EndpointSlice"));
        let mut text = format!("{services} and {slices} to serve");
        let skipped: Vec<_> = self.skipped.iter().map(|(skip, count)| format!("{count} {skip}")).collect();
        if !skipped.is_empty() {
            text += &format!("; skipped objects: {}", skipped.join(", "));
        }
        text
    }
}

/// The objects that are new or differ, and those that are gone. Objects that files share are not compared.
fn differences<'a, K: Ord, T: PartialEq>(
    now: &'a BTreeMap<K, Arc<T>>,
    before: &'a BTreeMap<K, Arc<T>>,
) -> (impl Iterator<Item = &'a T>, impl Iterator<Item = &'a T>) {
    let is_new = |(name, object): &(&K, &Arc<T>)| {
        !before.get(name).is_some_and(|known| Arc::ptr_eq(known, object) || known == *object)
    };
    let is_gone = |(name, _): &(&K, &Arc<T>)| !now.contains_key(name);
    (now.iter().filter(is_new).map(|(_, object)| &**object), before.iter().filter(is_gone).map(|(_, object)| &**object))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn catalog(objects: &[Value]) -> Catalog {
        let objects: Vec<_> = objects.iter().cloned().map(Loaded::new).collect();
        let mut catalog = CatalogBuilder::default();
        objects.iter().enumerate().for_each(|(index, object)| catalog.add(object, index + 1, "c.yaml"));
        catalog.finish()
    }

    fn problems(objects: &[Value]) -> Vec<String> {
        catalog(objects).problems.iter().map(ToString::to_string).collect()
    }

    fn service(name: &str, cluster_ip: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name}, "spec": {"clusterIP": cluster_ip}})
    }

    fn slice(service: &str) -> Value {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": "ns", "name": "s", "labels": {"kubernetes.io/service-name": service}}})
    }

    #[test]
    fn unusable_documents_and_objects_are_reported() {
        assert_eq!(
            problems(&[
                json!({"kind": "Service"}),
                json!({"apiVersion": "v1"}),
                json!(7),
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "ns"}}),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "w", "namespace": "ns"}, "spec": {"ports": [{"port": "http"}]}}),
                slice("gone"),
            ]),
            [
                "document 1: missing apiVersion (c.yaml)",
                "document 2: missing kind (c.yaml)",
                "document 3: missing kind (c.yaml)",
                "Deployment ns/d: unused kind apps/v1 Deployment (c.yaml)",
                "Service ns/w: spec.ports[0].port: expected an integer, found \"http\" (c.yaml)",
                "EndpointSlice ns/s: Service ns/gone not found (c.yaml)",
            ]
        );
    }

    #[test]
    fn objects_get_the_defaults_of_the_api_server() {
        let service = |metadata: Value, spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
        let catalog = catalog(&[
            service(json!({"name": "ips-only"}), json!({"clusterIPs": ["10.0.0.1"], "ports": [{"port": "8_080"}]})),
            service(json!({"name": "dual", "namespace": ""}), json!({"clusterIPs": ["fd00::1", "10.0.0.2"]})),
            service(
                json!({"name": "ip-only", "namespace": null}),
                json!({"clusterIP": "10.0.0.3", "ipFamilies": ["IPv4", "IPv6"]}),
            ),
            service(json!({"name": "mapped"}), json!({"clusterIP": "::ffff:10.0.0.4"})),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "dual"}}, "ports": [{"port": 8080}],
                "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": "no", "serving": "Yes", "terminating": "ON"}}]}),
        ]);
        assert_eq!(catalog.problems, vec![]);
        let services: Vec<_> = catalog
            .services
            .values()
            .map(|service| {
                (service.name.to_string(), service.cluster_ips.iter().map(ToString::to_string).collect::<Vec<_>>())
            })
            .collect();
        let of = |name: &str, ips: &[&str]| {
            (format!("default/{name}"), ips.iter().map(|ip| (*ip).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            services,
            [
                of("dual", &["fd00::1", "10.0.0.2"]),
                of("ip-only", &["10.0.0.3"]),
                of("ips-only", &["10.0.0.1"]),
                of("mapped", &["10.0.0.4"]),
            ]
        );
        assert_eq!(catalog.services[&ServiceName::new("default", "ips-only")].ports[0].port, 8080);
        let slice = &catalog.slices["default/s"];
        let backend = &slice.backends[0];
        assert_eq!(
            (backend.ready, backend.serving, backend.terminating, slice.ports[0].name.as_str()),
            (false, true, true, "")
        );
    }

    #[test]
    fn the_last_of_duplicate_objects_is_used() {
        let twice = catalog(&[service("a", "10.0.0.1"), service("a", "10.0.0.2")]);
        assert_eq!(twice.services.values().next().unwrap().cluster_ips[0].to_string(), "10.0.0.2");
        assert_eq!(twice.problems.len(), 1);
        assert!(catalog(&[service("a", "10.0.0.1"), service("a", "None")]).services.is_empty());
    }

    #[test]
    fn a_missing_node_is_reported_if_there_are_others() {
        let node =
            |number: u32| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("win-{number}")}});
        let missing = |count: u32| catalog(&(1..=count).map(node).collect::<Vec<_>>()).missing_node("win-7");
        let named = |known: &str| Some(format!("Node win-7 not found (known: {known}); set --hostname-override"));
        assert_eq!(missing(0), None);
        assert_eq!(missing(2), named("win-1, win-2"));
        assert_eq!(missing(6), named("win-1, win-2, win-3, win-4, win-5, and 1 more"));
        assert_eq!(missing(7), None);
    }

    #[test]
    fn a_slice_of_a_skipped_service_is_not_a_problem() {
        assert_eq!(problems(&[service("a", "None"), slice("a")]), Vec::<String>::new());
    }

    #[test]
    fn the_changes_since_an_earlier_catalog_lead_from_it_to_this_one() {
        let first = catalog(&[service("a", "10.0.0.1"), service("b", "10.0.0.2"), slice("a")]);
        let second = catalog(&[service("a", "10.0.0.3"), service("c", "10.0.0.4")]);
        let changes = second.changes_since(&first, "n");
        let kinds: Vec<_> = changes
            .iter()
            .map(|change| match change {
                Change::DeleteService(name) => format!("-{name}"),
                Change::ApplyService(service) => format!("+{}", service.name),
                Change::DeleteSlice(name) => format!("-slice {name}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, ["-ns/b", "+ns/a", "+ns/c", "-slice ns/s"]);
        assert_eq!(second.changes_since(&second, "n"), vec![]);
    }
}
