//! A test API server with a kubeconfig, and the smallest objects of a cluster.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use test_api_server::{ApiServer, Credentials};

use super::recording::objects;

pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    directory: TempDir,
}

impl Cluster {
    pub(crate) fn of(server: ApiServer) -> Self {
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    /// A cluster without objects.
    pub(crate) fn empty() -> Self {
        Self::of(ApiServer::start().unwrap())
    }

    /// The cluster of a recording.
    pub(crate) fn recorded(name: &str) -> Self {
        let cluster = Self::empty();
        cluster.server.load(objects(name)).unwrap();
        cluster
    }

    /// A file beside the kubeconfig.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a kubeconfig, and returns the flag that names it.
    pub(crate) fn flag_of(&self, kubeconfig: &Value) -> String {
        let file = self.file("kubeconfig");
        fs::write(&file, kubeconfig.to_string()).unwrap();
        format!("--kubeconfig={}", file.display())
    }

    /// The flag of a kubeconfig with these credentials.
    pub(crate) fn flag(&self, credentials: &Credentials) -> String {
        self.flag_of(&self.server.kubeconfig(credentials))
    }

    /// Puts the Service `ns/NAME` on an address, with one backend on another node.
    pub(crate) fn put_web(&self, name: &str, address: &str) {
        self.server.load(json!([service(name, address), slice(name, "10.244.7.7")])).unwrap();
    }
}

/// The Service `ns/NAME` with port 80.
pub(crate) fn service(name: &str, address: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name},
        "spec": {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ports": [{"port": 80}]}})
}

/// The EndpointSlice of a Service with one backend at port 8080.
pub(crate) fn slice(service: &str, backend: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "ns", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "", "port": 8080}], "endpoints": [{"addresses": [backend]}]})
}
