//! A cluster as a whole: the objects that a Service proxy uses, and the problems of these objects.

use std::collections::{BTreeMap, HashMap, HashSet};

use proxy::model::{Service, ServiceName, Slice};
use serde::de::DeserializeOwned;
use serde_json::Value;
use smol_str::SmolStr;

use crate::change::Change;
use crate::kubernetes::node::Node;
use crate::kubernetes::object::{self, Metadata};
use crate::kubernetes::{ConvertError, Converted, Problem, ProblemKind, Skip, node, service, slice};

/// The objects of a cluster that concern this proxy, and the parts that could not be used.
#[derive(Debug, Default)]
pub struct Catalog {
    pub services: BTreeMap<ServiceName, Service>,
    /// By `namespace/name`.
    pub slices: BTreeMap<String, Slice>,
    pub nodes: BTreeMap<SmolStr, Node>,
    /// Numbers of Services and slices that do not concern this proxy.
    pub skipped: BTreeMap<Skip, usize>,
    pub problems: Vec<Problem>,
    /// Services by `namespace/name` that are skipped or invalid, with the reason.
    pub skipped_services: HashMap<String, String>,
    seen: HashSet<String>,
    slice_files: BTreeMap<String, String>,
}

impl Catalog {
    /// Adds an object, the `number`th of a file.
    pub(crate) fn add(&mut self, value: &Value, number: usize, file: &str) {
        let text = |member| value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            let what = match text("kind") {
                Some(_) => "missing apiVersion",
                None => "missing kind",
            };
            let problem = Problem::object(ProblemKind::NoKind, format!("document {number}"), what);
            return self.problems.push(problem.in_file(file));
        };
        let name = name_of(value);
        let subject = format!("{kind} {name}");
        let mut add = Addition { catalog: self, value, subject: &subject, file };
        match (version, kind) {
            ("v1", "Service") => add.service(),
            ("discovery.k8s.io/v1", "EndpointSlice") => add.slice(),
            ("v1", "Node") => add.node(),
            _ => add.problem(ProblemKind::UnknownKind, format!("unused kind {version} {kind}")),
        }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::ResetServices(all) => {
                self.services = all.into_iter().map(|service| (service.name.clone(), service)).collect();
            }
            Change::ApplyService(service) => drop(self.services.insert(service.name.clone(), service)),
            Change::DeleteService(name) => drop(self.services.remove(&name)),
            Change::ResetSlices(all) => {
                self.slices = all.into_iter().map(|slice| (slice.name.to_string(), slice)).collect();
            }
            Change::ApplySlice(slice) => drop(self.slices.insert(slice.name.to_string(), slice)),
            Change::DeleteSlice(name) => drop(self.slices.remove(&name.to_string())),
            Change::Node(node) => self.nodes = node.into_iter().map(|node| (node.name.clone(), node)).collect(),
            Change::Problems(problems) => self.problems.extend(problems),
            Change::Outage(_) => {}
        }
    }

    /// The catalog as changes that replace the previous cluster, for the proxy of a node.
    pub fn changes(&self, node_name: &str) -> Vec<Change> {
        vec![
            Change::Node(self.nodes.get(node_name).cloned()),
            Change::ResetServices(self.services.values().cloned().collect()),
            Change::ResetSlices(self.slices.values().cloned().collect()),
        ]
    }

    /// Adds the problems that span several objects: slices without their Service.
    pub(crate) fn finish(&mut self) {
        for (name, slice) in &self.slices {
            let exists = self.services.contains_key(&slice.service)
                || self.skipped_services.contains_key(&slice.service.to_string());
            if !exists {
                let what = format!("Service {} not found", slice.service);
                let problem = Problem::object(ProblemKind::NoService, format!("EndpointSlice {name}"), what);
                self.problems.push(problem.in_file(self.slice_files.get(name).map_or("", String::as_str)));
            }
        }
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

/// Namespace and name of any object, for messages.
fn name_of(value: &Value) -> String {
    let text = |member| value.get("metadata")?.get(member)?.as_str().map(str::to_owned);
    let metadata = Metadata {
        namespace: text("namespace").unwrap_or_default(),
        name: text("name").unwrap_or_else(|| "(unnamed)".into()),
        ..Metadata::default()
    };
    metadata.full_name()
}

/// One object that is being added to the catalog.
struct Addition<'a> {
    catalog: &'a mut Catalog,
    value: &'a Value,
    subject: &'a str,
    file: &'a str,
}

impl Addition<'_> {
    fn problem(&mut self, kind: ProblemKind, what: impl Into<String>) {
        self.catalog.problems.push(Problem::object(kind, self.subject, what).in_file(self.file));
    }

    /// Decodes and converts the object, and records its problems.
    fn convert<O: DeserializeOwned, T>(
        &mut self,
        convert: impl FnOnce(&O) -> Result<Converted<T>, ConvertError>,
    ) -> Option<Result<T, Skip>> {
        if !self.catalog.seen.insert(self.subject.to_owned()) {
            self.problem(ProblemKind::Duplicate, "duplicate object; the last one is used");
        }
        let object: O = match serde_path_to_error::deserialize(self.value) {
            Ok(object) => object,
            Err(error) => {
                let mut problem =
                    Problem::object(ProblemKind::BadObject, self.subject, error.inner().to_string()).in_file(self.file);
                problem.field = error.path().to_string();
                self.catalog.problems.push(problem);
                return None;
            }
        };
        match convert(&object) {
            Ok(converted) => {
                self.catalog.problems.extend(converted.problems.into_iter().map(|problem| problem.in_file(self.file)));
                if let Err(skip) = converted.outcome {
                    *self.catalog.skipped.entry(skip).or_default() += 1;
                }
                Some(converted.outcome)
            }
            Err(error) => {
                self.problem(ProblemKind::BadObject, error.to_string());
                None
            }
        }
    }

    fn service(&mut self) {
        let name = name_of(self.value);
        match self.convert(service::convert) {
            Some(Ok(service)) => {
                self.catalog.services.insert(service.name.clone(), service);
            }
            // The last object with a name is used, so this one replaces an earlier one, even a valid one.
            other => {
                let why = match other {
                    Some(Err(skip)) => skip.to_string(),
                    _ => "invalid".to_owned(),
                };
                self.catalog.services.retain(|known, _| known.to_string() != name);
                self.catalog.skipped_services.insert(name, why);
            }
        }
    }

    fn slice(&mut self) {
        let name = name_of(self.value);
        match self.convert(slice::convert) {
            Some(Ok(slice)) => {
                self.catalog.slice_files.insert(name.clone(), self.file.to_owned());
                self.catalog.slices.insert(name, slice);
            }
            _ => {
                self.catalog.slices.remove(&name);
            }
        }
    }

    fn node(&mut self) {
        let converted =
            |object: &object::Node| Ok(Converted { outcome: Ok(node::convert(object)), problems: Vec::new() });
        if let Some(Ok(node)) = self.convert(converted) {
            self.catalog.nodes.insert(node.name.clone(), node);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn catalog(objects: &[Value]) -> Catalog {
        let mut catalog = Catalog::default();
        objects.iter().enumerate().for_each(|(index, object)| catalog.add(object, index + 1, "c.yaml"));
        catalog.finish();
        catalog
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
                "Service ns/w: spec.ports[0].port: invalid type: string \"http\", expected i64 (c.yaml)",
                "EndpointSlice ns/s: Service ns/gone not found (c.yaml)",
            ]
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
    fn a_slice_of_a_skipped_service_is_not_a_problem() {
        assert_eq!(problems(&[service("a", "None"), slice("a")]), Vec::<String>::new());
    }
}
