//! HNS has thousands of foreign objects that hnsproxy has not read: pending changes are programmed before all are read.

use hcn::{Guid, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::HostCondition;
use serde_json::{Value, json};

use crate::faults::{empty, serve};
use crate::rig::{NETWORK, Rig};

/// More than a step of an audit reads.
const MANY: u64 = 300;
/// The foreign objects that a step reads: `DeferrableReads::STEP`.
const STEP: u64 = 128;

/// A proxy that is in sync, and the objects that another program then creates.
fn after(add: impl Fn(&Rig, u64)) -> Rig {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    // An audit that lists ids comes next.
    (0..2).for_each(|_| drop(rig.sync()));
    (0..MANY).for_each(|number| add(&rig, number));
    rig.calls();
    rig
}

fn load_balancer(endpoint: Guid, number: u64) -> Value {
    json!({"HostComputeEndpoints": [endpoint], "FrontendVIPs": [format!("172.16.{}.{}", number / 250, number % 250)],
           "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
           "SchemaVersion": {"Major": 2, "Minor": 0}})
}

/// Makes the steps of an audit. After each that has paused, a change is programmed. Returns the calls of each step.
fn steps(rig: &mut Rig) -> Vec<u64> {
    let mut calls = Vec::new();
    for number in 1.. {
        let report = rig.proxy.audit_step(&rig.client).unwrap();
        calls.push(rig.calls().0);
        if !report.paused {
            break;
        }
        let address = format!("10.96.1.{number}");
        serve(rig, &format!("ns/s{number}"), &address, &["10.244.2.1"]);
        rig.run();
        assert!(rig.objects().iter().any(|line| line.starts_with(&format!("lb {address}:80/6"))), "{address}");
        rig.calls();
    }
    calls
}

#[test]
fn changes_are_programmed_before_all_foreign_load_balancers_are_read() {
    let endpoint = Guid::from_u128(7);
    let mut rig = after(|rig, number| {
        rig.emulator.add(Kind::LoadBalancer, load_balancer(endpoint, number));
    });
    // The endpoints, then the load balancers: each step lists them.
    let left = MANY - 2 * STEP;
    assert_eq!(steps(&mut rig), [1, 1 + 2 * STEP, 1 + 2 * STEP, 1 + 2 * left]);
    assert_eq!(rig.proxy.foreign_load_balancers().len() as u64, MANY);
    assert_eq!(steps(&mut rig), [1, 1]);
}

#[test]
fn changes_are_programmed_before_all_skipped_load_balancers_are_read_again() {
    let endpoint = Guid::from_u128(7);
    let mut rig = after(|rig, number| {
        let mut document = load_balancer(endpoint, number);
        document["PortMappings"] = json!([]);
        rig.emulator.add(Kind::LoadBalancer, document);
    });
    assert_eq!(steps(&mut rig).len(), 4);
    let skipped = |rig: &Rig| {
        let conditions = rig.proxy.host_conditions();
        conditions.iter().filter(|one| matches!(one, HostCondition::ObjectSkipped { .. })).count() as u64
    };
    // A cycle later, they are read again.
    let all: Vec<_> = (0..12).map(|_| steps(&mut rig)).collect();
    assert_eq!((all.iter().flatten().max(), skipped(&rig)), (Some(&(1 + 2 * STEP)), MANY));
    assert_eq!(all.iter().flatten().sum::<u64>(), 12 * 2 + 2 + 2 * MANY);
}

#[test]
fn changes_are_programmed_before_all_foreign_endpoints_are_read() {
    let mut rig = after(|rig, number| {
        let address = format!("10.244.{}.{}", 3 + number / 250, 1 + number % 250);
        rig.emulator.add(
            Kind::Endpoint,
            json!({"HostComputeNetwork": NETWORK, "IpConfigurations": [{"IpAddress": address}], "Flags": 1,
                   "MacAddress": "02-11-00-00-00-01", "SchemaVersion": {"Major": 2, "Minor": 0}}),
        );
    });
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::Endpoint), Effect::Fail(hcn::Hresult::E_ACCESSDENIED)));
    // Each step tries the v1 list, as long as more than 16 are left. A step that finds endpoints lists the load balancers too.
    let left = MANY - 2 * STEP;
    assert_eq!(steps(&mut rig), [2 + 2 * STEP, 2 + 2 * STEP, 3 + 2 * left]);
    assert_eq!(rig.proxy.observed().endpoint_count() as u64, MANY + 1);
}

#[test]
fn an_audit_ends_although_a_list_has_foreign_objects_that_are_absent() {
    let endpoint = Guid::from_u128(7);
    let mut rig = after(|rig, number| {
        rig.emulator.add(Kind::LoadBalancer, load_balancer(endpoint, number));
    });
    rig.emulator.inject(Fault::of_each(
        Which::Function("HcnOpenLoadBalancer".into()),
        Effect::Fail(hcn::Hresult::ELEMENT_NOT_FOUND),
    ));
    assert_eq!(steps(&mut rig), [1, 1 + MANY]);
}
