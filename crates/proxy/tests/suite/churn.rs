//! A day of churn in simulated time: pods and Services are created and deleted with new addresses, and HNS loses objects now and then. The
//! memory of the proxy, and the objects in HNS, are the same after each hour.

use std::time::Duration;

use hcn::Kind;
use proxy::Reconciler;
use proxy::model::ServiceName;
use proxy::testing::{backend, service, slice};

use crate::faults::{back, ids, serve};
use crate::rig::Rig;

/// Audits are less frequent than they are by default, so that the test is short.
const STEP: Duration = Duration::from_secs(20);
const STEPS: u32 = 180;

fn new_address(counter: &mut u32) -> String {
    *counter += 1;
    std::net::Ipv4Addr::from(0x0b00_0000 + *counter).to_string()
}

/// One hour of changes, which ends as it began.
fn hour(rig: &mut Rig, counter: &mut u32) {
    let start = rig.now;
    for step in 0..STEPS {
        rig.now = start + STEP * step;
        let name = format!("ns/s{}", step % 10);
        let pods = [new_address(counter), new_address(counter)];
        back(rig, &name, &[&pods[0], &pods[1]]);
        match step % 9 {
            0 => serve(rig, &format!("ns/job-{counter}"), &format!("10.97.0.{}", step % 200), &[&new_address(counter)]),
            4 => {
                let gone: Vec<ServiceName> = rig.proxy.cluster().iter().map(|(name, _)| name.clone()).collect();
                for name in gone.into_iter().filter(|name| name.name.starts_with("job")) {
                    forget(rig, &name);
                }
            }
            6 => {
                // The slice is earlier than the pod, and the pod never comes.
                let early = slice("ns/s9-1", "ns/s9").port(8080).backend(backend(&new_address(counter)).on("here"));
                rig.proxy.apply_slice(early.build());
            }
            _ => {}
        }
        if step % 50 == 20 {
            ids(rig, Kind::LoadBalancer)
                .into_iter()
                .step_by(2)
                .for_each(|id| rig.emulator.remove(Kind::LoadBalancer, id));
        }
        if step % 60 == 30 {
            rig.emulator.fail_nth("HcnCreateLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
            rig.emulator.fail_nth("HcnModifyLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
        }
        rig.proxy.audit(&rig.client).unwrap();
        rig.run();
    }
    rig.emulator.clear_faults();
    rig.now = start + STEP * STEPS;
    for name in rig.proxy.cluster().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        if name.name.starts_with("job") {
            forget(rig, &name);
        }
    }
    begin(rig);
    rig.settle();
    // A loss that no audit has found yet is found within a cycle of audits.
    for _ in 0..12 {
        rig.sync();
    }
    rig.settle();
    rig.emulator.reset_journal();
}

fn forget(rig: &mut Rig, name: &ServiceName) {
    rig.proxy.delete_service(name);
    let slice = format!("{}-1", name.name);
    rig.proxy.delete_slice(&proxy::model::SliceName { namespace: name.namespace.clone(), name: slice.into() });
}

fn begin(rig: &mut Rig) {
    for n in 0..10 {
        serve(rig, &format!("ns/s{n}"), &format!("10.96.0.{}", n + 1), &["10.244.2.1", "10.244.2.2"]);
    }
    rig.proxy.apply_service(service("ns/port").cluster_ip("10.96.1.1").port(80).node_port(30080).build());
    back(rig, "ns/port", &["10.244.2.1"]);
}

/// The number of entries in all collections of the proxy: its debug form separates them by commas.
fn entries(proxy: &Reconciler) -> usize {
    format!("{proxy:?}").matches(',').count()
}

#[test]
fn memory_and_objects_do_not_grow_during_a_day_of_churn() {
    for version in ["15.5", "14.0"] {
        let mut rig = crate::faults::empty(version);
        begin(&mut rig);
        rig.settle();
        let mut counter = 0;
        let mut after = Vec::new();
        for _ in 0..24 {
            hour(&mut rig, &mut counter);
            rig.proxy.take_drift();
            rig.proxy.take_changed_services();
            rig.proxy.take_replanned_services();
            rig.proxy.take_backend_changes();
            after.push((entries(&rig.proxy), rig.objects()));
        }
        let first = after[0].clone();
        assert!(first.1.len() < 20, "{:?}", first.1);
        for (hour, now) in after.into_iter().enumerate() {
            assert_eq!(now, first, "after hour {hour} on HNS {version}");
        }
    }
}
