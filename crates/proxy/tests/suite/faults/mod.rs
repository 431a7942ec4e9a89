//! Known problems of kube-proxy on Windows, each as a scenario with the number of the issue in its name. Numbers are those of
//! kubernetes/kubernetes unless stated otherwise.

mod hns;
mod objects;
mod refused;
mod start;

use hcn::{Guid, Kind};
use proxy::testing::{backend, service, slice};
use serde_json::json;

use crate::rig::Rig;

/// A Service with remote backends.
pub(crate) fn serve(rig: &mut Rig, name: &str, ip: &str, backends: &[&str]) {
    rig.proxy.apply_service(service(name).cluster_ip(ip).port(80).build());
    back(rig, name, backends);
}

/// Gives a Service other remote backends.
pub(crate) fn back(rig: &mut Rig, name: &str, backends: &[&str]) {
    let slice = backends.iter().fold(slice(&format!("{name}-1"), name).port(8080), |slice, address| {
        slice.backend(backend(address).on("there"))
    });
    rig.proxy.apply_slice(slice.build());
}

/// A proxy with an empty cluster.
pub(crate) fn empty(version: &str) -> Rig {
    let mut rig = Rig::new("L2Bridge", version, hcn::ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    rig
}

/// Adds a load balancer of another program. HNS lets other programs add a second one on a frontend.
pub(crate) fn add_foreign(rig: &Rig, address: &str, endpoint: Guid) -> Guid {
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [endpoint], "FrontendVIPs": [address],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
               "SchemaVersion": {"Major": 2, "Minor": 0}}),
    )
}

pub(crate) fn ids(rig: &Rig, kind: Kind) -> Vec<Guid> {
    rig.emulator.documents(kind).iter().map(|document| document["ID"].as_str().unwrap().parse().unwrap()).collect()
}

/// The writes since the journal was reset.
pub(crate) fn writes(rig: &Rig) -> Vec<&'static str> {
    rig.emulator.journal().into_iter().filter(|entry| entry.is_write).map(|entry| entry.function).collect()
}
