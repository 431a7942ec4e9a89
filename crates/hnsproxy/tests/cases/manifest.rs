//! What a manifest of `deploy/kubernetes` starts on a node, as the kubelet and containerd do it, and what it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use test_api_server::Received;

/// Where containerd mounts the image of a HostProcess container, relative to the working directory.
pub(crate) const MOUNT_POINT: &str = r"C:\hpc";

pub(crate) struct Manifest(Vec<Value>);

/// A verb, an API group and a resource.
pub(crate) type Right = (String, String, String);

impl Manifest {
    pub(crate) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes");
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        Self(serde_saphyr::from_multiple(&text).unwrap())
    }

    fn object(&self, kind: &str) -> &Value {
        self.0.iter().find(|object| object["kind"] == kind).unwrap()
    }

    fn pod(&self) -> &Value {
        &self.object("DaemonSet")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// The variables of the container, without those of the API server.
    pub(crate) fn environment(&self, node: &str) -> BTreeMap<String, String> {
        let variables = self.container()["env"].as_array().unwrap().iter();
        let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("spec.nodeName") => node.to_owned(),
            Some(path) => panic!("{path} is not known"),
            None => text(&variable["value"]),
        };
        variables.map(|variable| (text(&variable["name"]), value(variable))).collect()
    }

    /// The arguments of the container, with the values of variables.
    pub(crate) fn arguments(&self, node: &str) -> Vec<String> {
        let environment = self.environment(node);
        let replaced = |argument: &Value| {
            let argument = text(argument).replace("%CONTAINER_SANDBOX_MOUNT_POINT%", MOUNT_POINT);
            environment.iter().fold(argument, |argument, (name, value)| argument.replace(&format!("$({name})"), value))
        };
        self.container()["args"].as_array().unwrap().iter().map(replaced).collect()
    }

    /// The files of the mounted ConfigMaps.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for mount in self.container()["volumeMounts"].as_array().unwrap() {
            let mut volumes = self.pod()["volumes"].as_array().unwrap().iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]).unwrap();
            let map = self.object("ConfigMap");
            assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
            for (name, content) in map["data"].as_object().unwrap() {
                files.insert(format!("{MOUNT_POINT}{}/{name}", text(&mount["mountPath"])), text(content));
            }
        }
        files
    }

    /// What the ClusterRole of the pods allows.
    pub(crate) fn rights(&self) -> BTreeSet<Right> {
        let binding = self.object("ClusterRoleBinding");
        assert_eq!(binding["roleRef"]["name"], self.object("ClusterRole")["metadata"]["name"]);
        assert_eq!(binding["subjects"][0]["name"], self.pod()["serviceAccountName"]);
        let texts = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let mut rights = BTreeSet::new();
        for rule in self.object("ClusterRole")["rules"].as_array().unwrap() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    let right = |verb| (verb, group.clone(), resource.clone());
                    rights.extend(texts(&rule["verbs"]).into_iter().map(right));
                }
            }
        }
        rights
    }
}

/// The right that a request needs.
pub(crate) fn needed(request: &Received) -> Right {
    let mut steps = request.path.trim_start_matches('/').split('/');
    let group = if steps.next() == Some("apis") { steps.next().unwrap() } else { "" };
    let mut steps = steps.skip(1);
    let resource = match steps.next().unwrap() {
        "namespaces" => steps.nth(1).unwrap(),
        resource => resource,
    };
    (request.verb.to_owned(), group.to_owned(), resource.to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
