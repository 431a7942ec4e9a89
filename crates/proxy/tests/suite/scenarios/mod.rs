//! Single cases, each from the cluster to the objects in HNS.

mod failures;
mod observed;
mod services;

use proxy::testing::{backend, service, slice};

use crate::rig::Rig;

pub(super) const ONE: [&str; 2] = ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"];

pub(super) fn web(rig: &mut Rig) {
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1").on("there"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![slice.build()]);
}

pub(super) fn two_backends(rig: &mut Rig) {
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.proxy.apply_slice(two.build());
    rig.run();
}
