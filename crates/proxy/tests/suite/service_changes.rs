//! Tests the changes of Services that are reported for lists of Services and for the history: their numbers and their backends.

use std::net::IpAddr;
use std::sync::Arc;

use hcn::{ApiVersion, Kind};
use hcn_emulator::Emulator;
use hcn_emulator::testing::host;
use proxy::ServiceSummary;
use proxy::explain::BackendState;
use proxy::model::{Service, ServiceName, Slice};
use proxy::reconcile::{BackendChange, RemovalReason, RemovedBackend};
use proxy::testing::{BackendBuilder, backend, service, slice};

use crate::rig::{NETWORK, Rig};

fn web() -> ServiceName {
    ServiceName::new("ns", "web")
}

/// A Service with a creation time, a cluster IP, and an external IP that other Services claim, too.
fn sharing(name: &str, cluster_ip: &str, created: i64) -> Service {
    let service = service(name).cluster_ip(cluster_ip).port(80).external_ip("192.0.2.1");
    service.with(|service| service.created = created).build()
}

fn of(name: &str, backends: Vec<BackendBuilder>) -> Slice {
    let slice = slice(&format!("{name}-1"), name).port(8080);
    backends.into_iter().fold(slice, |slice, backend| slice.backend(backend)).build()
}

/// The Services that have changed, with their numbers.
fn changed(rig: &mut Rig) -> Vec<(String, Option<ServiceSummary>)> {
    let services = rig.proxy.take_changed_services();
    services.into_iter().map(|service| (service.to_string(), rig.proxy.summary(&service))).collect()
}

fn numbers(frontends: usize, load_balancers: usize, backends: usize) -> Option<ServiceSummary> {
    Some(ServiceSummary { frontends, load_balancers, backends, is_outdated: false })
}

#[test]
fn a_service_that_loses_or_takes_a_frontend_has_changed() {
    let mut rig = Rig::l2bridge();
    let slices = ["ns/old", "ns/web"].map(|name| of(name, vec![backend("10.244.2.1")]));
    rig.cluster(vec![sharing("ns/web", "10.96.0.1", 20)], slices.to_vec());
    rig.sync();
    assert_eq!(changed(&mut rig), [("ns/old".to_owned(), None), ("ns/web".to_owned(), numbers(2, 2, 1))]);
    rig.proxy.apply_service(sharing("ns/old", "10.96.0.2", 10));
    rig.run();
    let expected = [("ns/old".to_owned(), numbers(2, 2, 1)), ("ns/web".to_owned(), numbers(2, 1, 1))];
    assert_eq!(changed(&mut rig), expected);
    rig.proxy.delete_service(&ServiceName::new("ns", "old"));
    rig.run();
    assert_eq!(changed(&mut rig), [("ns/old".to_owned(), None), ("ns/web".to_owned(), numbers(2, 2, 1))]);
    rig.run();
    assert_eq!(changed(&mut rig), []);
}

#[test]
fn a_service_is_outdated_until_its_desired_state_is_computed() {
    let emulator = Arc::new(Emulator::from_host(&host("15.5", &["L2Bridge"])).unwrap());
    let network = emulator.document(Kind::Network, NETWORK).unwrap();
    emulator.remove(Kind::Network, NETWORK);
    let mut rig = Rig::on(emulator, ApiVersion::V2);
    let service = service("ns/web").cluster_ip("10.96.0.1").port(80).build();
    rig.cluster(vec![service], vec![of("ns/web", vec![backend("10.244.2.1")])]);
    rig.run();
    let outdated = ServiceSummary { is_outdated: true, ..ServiceSummary::default() };
    assert_eq!(changed(&mut rig), [("ns/web".to_owned(), Some(outdated))]);
    rig.emulator.add(Kind::Network, network);
    rig.settle();
    assert_eq!(changed(&mut rig), [("ns/web".to_owned(), numbers(1, 1, 1))]);
}

/// The changes of the backends of `ns/web` after a change of its slice.
fn after(rig: &mut Rig, backends: Vec<BackendBuilder>) -> Vec<BackendChange> {
    rig.proxy.apply_slice(of("ns/web", backends));
    rig.run();
    rig.proxy.take_backend_changes()
}

fn address(last: u8) -> IpAddr {
    [10, 244, 2, last].into()
}

fn removed(last: u8, reason: RemovalReason) -> RemovedBackend {
    RemovedBackend { address: address(last), reason: Some(reason) }
}

#[test]
fn added_and_removed_backends_are_known_with_the_reason() {
    let mut rig = Rig::l2bridge();
    let ready = |last: u8| backend(&address(last).to_string());
    rig.cluster(
        vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()],
        vec![of("ns/web", vec![ready(1), ready(2), ready(3)])],
    );
    rig.sync();
    assert_eq!(rig.proxy.take_backend_changes(), [], "the first lists are no change");
    let change = BackendChange {
        service: web(),
        backends: 2,
        added_count: 1,
        removed_count: 2,
        added: vec![address(4)],
        removed: vec![removed(2, RemovalReason::State(BackendState::NotReady)), removed(3, RemovalReason::NotInSlices)],
    };
    assert_eq!(after(&mut rig, vec![ready(1), ready(2).unready(), ready(4)]), [change]);
    // A change that leaves the backends as they are.
    assert_eq!(after(&mut rig, vec![ready(1), ready(4)]), []);
    rig.proxy.delete_service(&web());
    rig.run();
    let deleted = RemovalReason::ServiceDeleted;
    let change = BackendChange {
        service: web(),
        backends: 0,
        added_count: 0,
        removed_count: 2,
        added: vec![],
        removed: vec![removed(1, deleted), removed(4, deleted)],
    };
    assert_eq!(rig.proxy.take_backend_changes(), [change]);
}

#[test]
fn a_change_of_many_backends_names_the_first_ones() {
    let mut rig = Rig::l2bridge();
    let all = |range: std::ops::Range<u8>| range.map(|last| backend(&address(last).to_string())).collect();
    rig.cluster(
        vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()],
        vec![of("ns/web", vec![backend("10.244.2.250")])],
    );
    rig.sync();
    let [change] = &after(&mut rig, all(1..101))[..] else { panic!("one Service has changed") };
    assert_eq!((change.added_count, change.added.len(), change.removed_count), (100, 64, 1));
}
