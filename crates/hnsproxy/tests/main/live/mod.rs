//! The program on a cluster that a stand-in of the API server has, and an HNS that outlives it.

mod access;
mod events;
mod follow;
mod node;
mod trouble;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use test_api_server::{ApiServer, Credentials, Kind};

use crate::hns::Hns;
use crate::program::{Running, recording, until};

/// A cluster, and a kubeconfig that leads to it.
struct Cluster {
    server: ApiServer,
    directory: TempDir,
}

impl Cluster {
    /// A cluster without objects.
    fn of(server: ApiServer) -> Self {
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    /// The cluster of a recording.
    fn recorded(name: &str) -> Self {
        let cluster = Self::of(ApiServer::start().unwrap());
        cluster.server.load(objects(name)).unwrap();
        cluster
    }

    /// A file beside the kubeconfig.
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a kubeconfig, and answers the flag that names it.
    fn flag_of(&self, kubeconfig: &Value) -> String {
        let file = self.file("kubeconfig");
        fs::write(&file, kubeconfig.to_string()).unwrap();
        format!("--kubeconfig={}", file.display())
    }

    /// The flag of a kubeconfig with these credentials.
    fn flag(&self, credentials: &Credentials) -> String {
        self.flag_of(&self.server.kubeconfig(credentials))
    }
}

/// The objects of a recording.
fn objects(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(recording(name, "cluster.json")).unwrap()).unwrap()
}

/// The program at work on a cluster, with all that it serves programmed.
struct Live {
    cluster: Cluster,
    hns: Hns,
    running: Running,
}

impl Live {
    /// On a recording.
    fn start(name: &str, flags: &[&str]) -> Self {
        Self::start_on(Cluster::recorded(name), name, flags)
    }

    /// On a cluster, with the host of a recording.
    fn start_on(cluster: Cluster, host: &str, flags: &[&str]) -> Self {
        let hns = Hns::of(host);
        let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
        let running = Running::start(&[&[kubeconfig.as_str(), &at, "--enable-dsr"], flags].concat());
        running.wait_for("HNS holds all that it should");
        Self { cluster, hns, running }
    }

    /// Waits until frontends on an address are there, or are not.
    fn until_there(&self, address: &str, there: bool) {
        let what = format!("a load balancer on {address} is there: {there}");
        until(&what, || self.hns.has(address) == there);
    }

    /// Makes a change on the server, and waits until it is programmed: what was told before it is then programmed too.
    fn settle(&self, name: &str, address: &str) {
        web(&self.cluster.server, name, address);
        self.until_there(address, true);
    }

    /// Waits until all kinds are watched.
    fn until_watched(&self) {
        for kind in [Kind::Service, Kind::EndpointSlice, Kind::Node] {
            until("all kinds are watched", || self.cluster.server.watches(kind) == 1);
        }
    }
}

/// Puts a Service with one backend elsewhere.
fn web(server: &ApiServer, name: &str, address: &str) {
    server.load(json!([service(name, address), slice(name, "10.244.7.7")])).unwrap();
}

fn service(name: &str, address: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name},
        "spec": {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ports": [{"port": 80}]}})
}

fn slice(service: &str, backend: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "ns", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "", "port": 8080}], "endpoints": [{"addresses": [backend]}]})
}
